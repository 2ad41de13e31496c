"""Asset checks: their specs and results, and the checks of a table. What they find is in ``quality/``."""

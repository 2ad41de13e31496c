"""Asset checks: their specs and results (``asset_checks``), and a run of those that read a table (``table_checks``).

What the checks find is computed in ``quality/`` and, for the check ``complete``, in ``audit/``.
"""

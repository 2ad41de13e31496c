"""Everything that Dagster loads: components (``defs.yaml``) and Python modules."""

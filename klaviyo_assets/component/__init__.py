"""A Klaviyo account in a ``defs.yaml``: the component of Dagster, its fields, JSON schema and scaffolder.

``dg`` imports :mod:`~klaviyo_assets.component.component` in every project that has this package installed, so it and its fields import neither
DuckDB nor what builds the assets.
"""

"""Klaviyo over HTTP: one rate-limited client, its key hygiene and its errors. Knows nothing of Dagster, Polars or DuckDB."""

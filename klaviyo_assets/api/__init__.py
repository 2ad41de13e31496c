"""The Klaviyo HTTP client: authentication, rate limits, retries and errors. Independent of Dagster, Polars and DuckDB."""

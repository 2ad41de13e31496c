"""The published copy: what readers open while syncs run, a DuckDB file and, if wanted, Parquet files."""

"""The published copy: what readers open while syncs run, a DuckDB file and, if wanted, Parquet files."""

from klaviyo_assets.publish.publisher import Publication, Publisher
from klaviyo_assets.publish.target import NotPublished, Target

__all__ = ["NotPublished", "Publication", "Publisher", "Target"]

"""Where the published copy is written."""

from dataclasses import dataclass
from pathlib import Path

from klaviyo_assets.errors import KlaviyoAssetsError


class NotPublished(KlaviyoAssetsError):
    """The copy was not written because a sync is running; the earlier copy stays, and the next publication includes the sync."""


@dataclass(frozen=True)
class PublishTarget:
    """The files of a published copy.

    Attributes:
        file: The DuckDB file.
        parquet: Folder of the Parquet files, which its link ``current`` leads to; None for none.

    Example:
        >>> PublishTarget.at("data/published.duckdb", "data/published").file.name
        'published.duckdb'
    """

    file: Path
    parquet: Path | None = None

    @classmethod
    def at(cls, file: str | Path, parquet: str | Path | None = None) -> "PublishTarget":
        """Return a target with absolute paths, so that it does not depend on the working folder."""
        return cls(_absolute(file), None if parquet is None else _absolute(parquet))


def _absolute(path: str | Path) -> Path:
    return Path(path).expanduser().absolute()

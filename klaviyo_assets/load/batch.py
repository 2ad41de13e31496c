"""What one load commits: staged files, and the coverage that they bring."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from klaviyo_assets.state.coverage import CoverageRow


@dataclass(frozen=True)
class Batch:
    """Files to load together, and what is covered once they are.

    Attributes:
        files: Parquet files.
        covered: Coverage that they bring.
        progress: How far each slice had come when the batch was taken: (finished, read_up_to) by its place in the manifest.
        rows: Rows in the files.
    """

    files: tuple[Path, ...]
    covered: tuple[CoverageRow, ...]
    progress: tuple[tuple[bool, datetime | None], ...] = ()
    rows: int = 0

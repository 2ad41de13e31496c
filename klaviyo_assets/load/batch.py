"""What one load commits: staged files and their coverage."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from klaviyo_assets.state.coverage import CoverageRow


@dataclass(frozen=True)
class Batch:
    """Files that are loaded together, and their coverage.

    Attributes:
        files: Parquet files.
        covered: Coverage of the files.
        progress: Progress of each slice when the batch was made: (finished, read_up_to), in the order of the manifest.
        rows: Rows in the files.
    """

    files: tuple[Path, ...]
    covered: tuple[CoverageRow, ...]
    progress: tuple[tuple[bool, datetime | None], ...] = ()
    rows: int = 0

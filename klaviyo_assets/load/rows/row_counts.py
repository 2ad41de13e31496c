"""Numbers of rows that loads change."""

from dataclasses import dataclass


@dataclass
class RowCounts:
    """Numbers of rows that loads have changed."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0

"""What loads change, in rows."""

from dataclasses import dataclass


@dataclass
class Counts:
    """What loads have changed, in rows."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0

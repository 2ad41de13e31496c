"""What the database knows about the children of one parent before a sync is planned. Data only."""

from dataclasses import dataclass
from datetime import datetime, timedelta

RECENT = timedelta(days=7)
"""How long a removal counts as recent."""


@dataclass(frozen=True)
class ParentFacts:
    """One parent and its stored children.

    Attributes:
        rows: Children that are not marked as deleted.
        removed: Children that were found removed within :data:`RECENT`.
        oldest: When the oldest content of these rows was read; None if there are none.
        outdated: Of these rows, those with a record of its own that has been marked as deleted since.
        is_paused: True if the parent's count is about to change.
        is_frozen: True if Klaviyo does not change the children.
        changed_at: When the parent was last changed; None if that does not matter or is unknown.
    """

    rows: int = 0
    removed: int = 0
    oldest: datetime | None = None
    outdated: int = 0
    is_paused: bool = False
    is_frozen: bool = False
    changed_at: datetime | None = None

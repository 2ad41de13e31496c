"""What the database knows about the children of one parent before a sync is planned. Data only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

RECENT = timedelta(days=7)
"""How long a removal counts as recent."""


@dataclass(frozen=True)
class StoredPart:
    """The stored children of a parent in one state.

    Attributes:
        rows: Their number.
        borders: Times that divide them into parts of :data:`ROWS_PER_PART`, ascending; none if there are fewer.
    """

    rows: int = 0
    borders: tuple[datetime, ...] = ()


ROWS_PER_PART = 2_000
"""Children that one cursor chain should read, where more are known: what a killed sync has read of a chain is read again."""


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
        parts: The rows by state, with None for all of them, if groups of parents are read.
    """

    rows: int = 0
    removed: int = 0
    oldest: datetime | None = None
    outdated: int = 0
    is_paused: bool = False
    is_frozen: bool = False
    changed_at: datetime | None = None
    parts: Mapping[str | None, StoredPart] = field(default_factory=dict, hash=False)

    def stored(self, state: str | None) -> StoredPart:
        """Return what is stored in a state; in all, if None."""
        return self.parts.get(state, StoredPart())

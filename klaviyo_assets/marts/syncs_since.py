"""Which rows the syncs that ended since the last build may have changed."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

_CLOCKS_DIFFER = timedelta(seconds=10)
"""How far the clocks of two syncs may differ: they follow Klaviyo's time, which has whole seconds."""

KEPT = 100
"""How many syncs a capture remembers; ``_syncs`` keeps at least as many of each type."""


@dataclass(frozen=True)
class Sync:
    """A row of ``_syncs``."""

    id: str
    started_at: datetime
    mode: str
    has_ended: bool
    has_succeeded: bool


@dataclass(frozen=True)
class SyncsSince:
    """The syncs of a type, and those that the last capture has seen.

    Never use the latest ``_synced_at`` for this: windows are read newest first, so a later commit may bring rows with an earlier time.

    Args:
        syncs: All syncs of the type, in the order in which they began.
        seen: Ids of the latest ones that had ended at the last capture.
    """

    syncs: Sequence[Sync]
    seen: Collection[str]

    @property
    def to_remember(self) -> list[str]:
        """Ids of the syncs that this capture has seen to their end."""
        return [sync.id for sync in self.syncs if sync.has_ended][-KEPT:]

    @property
    def unseen(self) -> list[Sync]:
        """The syncs that are running, or have ended since."""
        horizon = min((sync.started_at for sync in self.syncs if sync.id in self.seen), default=None)
        return [sync for sync in self.syncs if not sync.has_ended or (sync.id not in self.seen and (horizon is None or sync.started_at >= horizon))]

    @property
    def were_full(self) -> bool:
        """Whether one of them has replaced the table."""
        return any(sync.mode == "full" and sync.has_ended for sync in self.unseen)

    @property
    def changed_from(self) -> datetime | None:
        """Rows that were read at this time or later may have changed; None if none has.

        A sync loads what an interrupted one before it has staged, which was read earlier: so it begins with the first of those.
        """
        if not self.unseen:
            return None
        earliest = min(sync.started_at for sync in self.unseen)
        for sync in reversed([sync for sync in self.syncs if sync.started_at < earliest]):
            if sync.has_succeeded and sync.mode != "range":
                break
            earliest = sync.started_at
        return earliest - _CLOCKS_DIFFER

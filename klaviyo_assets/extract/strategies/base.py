"""The protocol of strategies, and what planning starts from."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Protocol, runtime_checkable

from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.extract.options import SyncMode, SyncOptions
from klaviyo_assets.extract.slices import AnySlice
from klaviyo_assets.state.coverage import CoverageRow

LAG = timedelta(seconds=10)
"""How far below the server's clock coverage ends: the newest records may not be visible yet, and a bound in the future is refused."""


class Completion(Enum):
    """How a sync ends: what becomes of rows that it did not return."""

    COVERAGE = auto()
    """Rows are loaded while pages arrive, and the coverage records which windows have been read. Nothing is compared."""
    COMPARE_ALL = auto()
    """Everything has been read: ids that are missing are looked up once more, then marked as deleted. Rows are loaded at the end."""
    COMPARE_WINDOW = auto()
    """Like ``COVERAGE``; then rows of the window that was requested are marked as deleted if they were not returned."""
    COMPARE_PER_PARENT = auto()
    """Rows are loaded while pages arrive; then rows of the parents that were read, and of those that are gone, are marked as deleted if they were
    not returned."""
    SWAP = auto()
    """Rows are loaded into a new table, which replaces the old one together with the coverage. Rows that were not returned are kept, marked."""


@dataclass(frozen=True)
class PlanContext:
    """What planning starts from.

    Attributes:
        entry: The resource type.
        options: What is requested of the sync.
        covered: The type's rows of ``_coverage``.
        now: The server's clock at the start of the sync.
        fingerprint: Of the options and columns that are read now.
        parents: Ids of the parents in the parent's table that are not deleted; empty for a type without parents.
    """

    entry: ResourceType
    options: SyncOptions
    covered: Sequence[CoverageRow]
    now: datetime
    fingerprint: str
    parents: Sequence[str] = ()

    @property
    def top(self) -> datetime:
        """The time at which coverage ends."""
        return self.now - LAG

    @property
    def trusted(self) -> list[CoverageRow]:
        """Coverage that counts: none of it in a full read, and only what was read with the same options and columns, unless others are accepted."""
        if self.options.mode is SyncMode.full:
            return []
        return [row for row in self.covered if self.options.accept_changed_options or row.fingerprint == self.fingerprint]


@runtime_checkable
class Strategy(Protocol):
    """What one kind of replication reads. Pure: a strategy does no I/O."""

    def history_field(self, context: PlanContext) -> str | None:
        """Return the time field of a history of which the beginning is unknown; None if there is none.

        The oldest record of that field is then fetched and given to :meth:`plan`, which can cut the history into slices.
        """
        ...

    def plan(self, context: PlanContext, oldest: datetime | None) -> Sequence[AnySlice]:
        """Return the slices to read, the most urgent first.

        Args:
            context: What planning starts from.
            oldest: Time of the oldest record along :meth:`history_field`; None if it is not known.

        Raises:
            InvalidRange: If the requested range cannot be read.
        """
        ...

    def completion(self, mode: SyncMode) -> Completion:
        """Return how a sync of this mode ends."""
        ...

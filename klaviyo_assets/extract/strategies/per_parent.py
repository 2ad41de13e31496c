"""PerParent: the children of each parent, each by one cursor chain."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from klaviyo_assets.catalog.replication import PerParent
from klaviyo_assets.extract.options import SyncMode, check_range
from klaviyo_assets.extract.slices import ParentSlice
from klaviyo_assets.extract.strategies.base import Completion, PlanContext
from klaviyo_assets.state.coverage import BEGINNING


@dataclass(frozen=True)
class PerParentStrategy:
    """Reads the children of all parents that are in the parent's table and not deleted.

    No parent is skipped: its children may change although its own record does not (a profile that joins a list does not change the list's
    ``updated``). Parents that have not been read yet come first, then those that were read the longest time ago, so interrupted syncs do not leave
    the same parents out every time.
    """

    replication: PerParent

    def history_field(self, context: PlanContext) -> str | None:
        """Return None: nothing is read by time."""
        return None

    def plan(self, context: PlanContext, oldest: datetime | None) -> Sequence[ParentSlice]:
        """Return a slice for each parent and subset.

        Raises:
            InvalidRange: If a range is requested, which this replication does not support.
        """
        if context.options.mode is SyncMode.range:
            check_range(context.entry, context.options)
        parent = context.entry.parent
        assert parent is not None
        read_at: dict[str, datetime] = {}
        for row in context.trusted:
            read_at[row.parent] = min(row.read_at, read_at.get(row.parent, row.read_at))
        order = sorted(context.parents, key=lambda id_: (read_at.get(id_, BEGINNING), id_))
        return [ParentSlice(subset, id_, parent.column, context.top) for id_ in order for subset in context.entry.subsets]

    def completion(self, mode: SyncMode) -> Completion:
        """Return ``COMPARE_PER_PARENT``."""
        return Completion.COMPARE_PER_PARENT

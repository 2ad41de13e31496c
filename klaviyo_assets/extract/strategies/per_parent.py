"""PerParent without a time field: the children of each parent, each by one cursor chain."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from klaviyo_assets.catalog.replication import PerParent
from klaviyo_assets.extract.slices import ParentSlice
from klaviyo_assets.extract.strategies.grouped_parents import ParentGroupsStrategy
from klaviyo_assets.extract.strategies.parent_windows import ParentWindowsStrategy
from klaviyo_assets.extract.strategies.strategy import Completion, PlanContext, Strategy
from klaviyo_assets.extract.sync_options import SyncMode
from klaviyo_assets.state.coverage import BEGINNING

_VISIBLE_WITHIN = timedelta(hours=1)
"""How long after a change of its parent a child may become visible."""


@dataclass(frozen=True)
class PerParentStrategy:
    """Reads the children of all parents that are in the parent's table and not deleted.

    No parent is skipped unless the replication says how to know that its children have not changed. Parents that have not been read yet come first,
    then those that were read the longest time ago, so interrupted syncs do not leave the same parents out every time.
    """

    replication: PerParent

    def history_field(self, context: PlanContext) -> str | None:
        """Return None: nothing is read by time."""
        return None

    def plan(self, context: PlanContext, oldest: datetime | None) -> Sequence[ParentSlice]:
        """Return a slice for each parent and subset."""
        parent = context.entry.required_parent
        read_at: dict[str, datetime] = {}
        for row in context.trusted:
            read_at[row.parent] = min(row.read_at, read_at.get(row.parent, row.read_at))
        due = (id_ for id_ in context.parents if self._is_due(context, id_, read_at.get(id_)))
        order = sorted(due, key=lambda id_: (read_at.get(id_, BEGINNING), id_))
        return [ParentSlice(subset, id_, parent.column, context.top) for id_ in order for subset in context.entry.subsets]

    def _is_due(self, context: PlanContext, parent_id: str, read_at: datetime | None) -> bool:
        """Return whether the children of a parent are read: at each sync, or if it has changed or its last read is too old."""
        max_age, changed_with = self.replication.max_age, self.replication.changed_with
        if read_at is None or max_age is None or context.now - read_at >= max_age:
            return True
        changed_at = context.facts_of(parent_id).changed_at
        return changed_with is not None and (changed_at is None or changed_at >= read_at - _VISIBLE_WITHIN)

    def completion(self, mode: SyncMode) -> Completion:
        """Return ``COMPARE_PER_PARENT``."""
        return Completion.COMPARE_PER_PARENT


def per_parent_strategy(replication: PerParent) -> Strategy:
    """Return the strategy of a replication per parent, which depends on whether it reads groups of parents, or by time."""
    if replication.groups is not None:
        return ParentGroupsStrategy(replication)
    return PerParentStrategy(replication) if replication.field is None else ParentWindowsStrategy(replication)

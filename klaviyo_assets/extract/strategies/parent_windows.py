"""PerParent with a time field: the children of each parent in time windows, and completely where they are compared."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from klaviyo_assets.catalog.replication import PerParent
from klaviyo_assets.extract.slices import Slice
from klaviyo_assets.extract.strategies.strategy import LAG, Completion, PlanContext
from klaviyo_assets.extract.strategies.verification import child_windows, first_read_first, read_completely
from klaviyo_assets.extract.sync_options import SyncMode
from klaviyo_assets.state.coverage import BEGINNING, TimeWindow


@dataclass(frozen=True)
class ParentWindowsStrategy:
    """Reads what joined each parent since the last read, and all children of the parents that are due (:mod:`.verification`).

    A chain of the newest window has no upper bound. Idle workers split the chains of large parents.
    """

    replication: PerParent

    def history_field(self, context: PlanContext) -> str | None:
        """Return None: the history of each parent begins elsewhere."""
        return None

    def plan(self, context: PlanContext, oldest: datetime | None) -> Sequence[Slice]:
        """Return the slices of each parent, those of unread parents first."""
        windows = child_windows(context)
        complete = read_completely(context, windows)
        whole = [TimeWindow(BEGINNING, context.top)]
        return [
            _slice(context, id_, window)
            for id_ in first_read_first(context.parents, windows)
            for window in (whole if id_ in complete else windows[id_].left)
        ]

    def completion(self, mode: SyncMode) -> Completion:
        """Return ``COMPARE_PER_PARENT``."""
        return Completion.COMPARE_PER_PARENT


def complete_slice(context: PlanContext, parent_id: str) -> Slice:
    """Return the slice that reads all children of a parent."""
    return _slice(context, parent_id, TimeWindow(BEGINNING, context.top))


def newest_slice(context: PlanContext, parent_id: str) -> Slice:
    """Return the slice that reads what has joined a parent since a sync began: also children that moved there while the others were read."""
    return _slice(context, parent_id, TimeWindow(context.top - LAG, context.top))


def _slice(context: PlanContext, parent_id: str, window: TimeWindow) -> Slice:
    (subset,) = context.entry.subsets
    (field,) = context.entry.replication.cursor_fields
    end = None if window.end == context.top else window.end
    return Slice(subset, field, start=window.start, end=end, covers_to=window.end, parent_id=parent_id)

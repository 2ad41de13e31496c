"""NewestFirst: the history once, then from the newest record down to the last complete read."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from klaviyo_assets.catalog.replication import NewestFirst
from klaviyo_assets.extract.options import SyncMode
from klaviyo_assets.extract.slices import Slice
from klaviyo_assets.extract.strategies import slicing
from klaviyo_assets.extract.strategies.base import LAG, Completion, PlanContext
from klaviyo_assets.extract.strategies.slicing import FieldWindow
from klaviyo_assets.state.coverage import TimeWindow, uncovered


@dataclass(frozen=True)
class NewestFirstStrategy:
    """Sorts by a field that the endpoint does not filter by."""

    replication: NewestFirst

    def history_field(self, context: PlanContext) -> str | None:
        """Return the backfill field while the history has not been read."""
        return slicing.history_field(self._windows(context))

    def plan(self, context: PlanContext, oldest: datetime | None) -> Sequence[Slice]:
        """Return the slice of changes, newest first, then what is left of the history.

        Raises:
            InvalidRange: If the requested range cannot be read.
        """
        windows = self._windows(context)
        if context.options.mode is SyncMode.range:
            return slicing.cut(context.entry, windows, oldest)
        return [*self._changes(context), *slicing.cut(context.entry, windows, oldest, open_end=context.top)]

    def completion(self, mode: SyncMode) -> Completion:
        """Return ``SWAP`` for a full read, ``COMPARE_WINDOW`` for a range, else ``COVERAGE``."""
        return slicing.completion_by_time(mode)

    def _windows(self, context: PlanContext) -> list[FieldWindow]:
        if context.options.mode is SyncMode.range:
            return slicing.range_windows(context)
        return slicing.backfill_windows(self.replication.backfill_field, context.trusted, context.top)

    def _changes(self, context: PlanContext) -> list[Slice]:
        replication, top = self.replication, context.top
        since = slicing.backfilled_since(replication.backfill_field, context.trusted)
        if since is None:
            return []
        begin = since - LAG - replication.margin
        done = [row for row in context.trusted if row.field == replication.field]
        missing = uncovered(TimeWindow(begin, top), done, (), top)
        start = max(begin, missing[0].start - replication.margin) if missing else top
        return [Slice(subset, replication.field, start, None, top, descending=True) for subset in context.entry.subsets]

"""Incremental: the windows of a time field that are not covered well enough."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from klaviyo_assets.catalog.replication import Incremental
from klaviyo_assets.extract.slices import Slice
from klaviyo_assets.extract.strategies import slicing
from klaviyo_assets.extract.strategies.base import LAG, PlanContext
from klaviyo_assets.extract.strategies.slicing import FieldWindow
from klaviyo_assets.extract.strategies.timed import TimedStrategy
from klaviyo_assets.state.coverage import BEGINNING, TimeWindow, uncovered

_STEP = timedelta(hours=1)
"""Lookback ages are looked at once an hour: syncs every few minutes would else read a few minutes at each of them, a request each."""


@dataclass(frozen=True)
class IncrementalStrategy(TimedStrategy):
    """Follows one field; where that moves, the history is read by a field that does not."""

    replication: Incremental

    def _uncovered_windows(self, context: PlanContext) -> list[FieldWindow]:
        backfill_field, start_date = self.replication.backfill_field, context.options.start_date
        if backfill_field is None:
            return self._uncovered(context, start_date if self.replication.honours_start_date and start_date else BEGINNING)
        windows = slicing.backfill_windows(backfill_field, context.trusted, context.top)
        since = slicing.backfilled_since(backfill_field, context.trusted)
        if since is not None:
            # What has moved during or since the backfill is found along the field that moves.
            windows += self._uncovered(context, since - LAG - self.replication.lookback_ages[-1])
        return windows

    def _uncovered(self, context: PlanContext, start: datetime) -> list[FieldWindow]:
        field, ages = self.replication.field, self.replication.lookback_ages
        rows = [row for row in context.trusted if row.field == field]
        return [(field, window) for window in uncovered(TimeWindow(start, context.top), rows, ages, context.now, _STEP)]

    def _changes(self, context: PlanContext) -> list[Slice]:
        """Return what has happened since the first read along times that need not move the followed field, one chain each."""
        replication, top = self.replication, context.top
        since = slicing.backfilled_since(replication.backfill_field, context.trusted) if replication.backfill_field else None
        if since is None:
            return []
        slices = []
        for field in replication.secondary_cursors:
            missing = uncovered(TimeWindow(since - LAG, top), [row for row in context.trusted if row.field == field], (), top)
            # Looks back as far as along the field itself, for what becomes visible late; a sync that follows within a second does, too.
            start = (missing[0].start if missing else top) - replication.lookback_ages[-1]
            slices += [Slice(subset, field, start, None, top, secondary_cursors=True) for subset in context.entry.subsets]
        return slices

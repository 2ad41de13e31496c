"""Incremental: the windows of a time field that were never read or are due to be read again.

A record that arrives late has a time in a window that was read before. So each window is read again when it reaches each of the type's
``lookback_ages``; until it reaches the first one, every sync reads it. :func:`klaviyo_assets.state.coverage.windows_to_read` applies this rule: it
subtracts what the coverage shows as read late enough. A record that arrives after the last age is found only by a full sync or, for events, by the
audit and a repair.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from klaviyo_assets.catalog.replication import Incremental
from klaviyo_assets.extract.slices import Slice
from klaviyo_assets.extract.strategies import slicing
from klaviyo_assets.extract.strategies.slicing import FieldWindow
from klaviyo_assets.extract.strategies.strategy import LAG, PlanContext
from klaviyo_assets.extract.strategies.timed import TimedStrategy
from klaviyo_assets.state.coverage import BEGINNING, TimeWindow, windows_to_read

_CHECK_INTERVAL = timedelta(hours=1)
"""Lookback ages are checked once an hour: otherwise a sync every few minutes would spend a request on a few minutes at each age."""


@dataclass(frozen=True)
class IncrementalStrategy(TimedStrategy):
    """Follows one field. If its values change, the history is read by a field whose values do not."""

    replication: Incremental

    def _windows_to_read(self, context: PlanContext) -> list[FieldWindow]:
        backfill_field, start_date = self.replication.backfill_field, context.options.start_date
        if backfill_field is None:
            return self._windows_from(context, start_date if self.replication.honors_start_date and start_date else BEGINNING)
        windows = slicing.backfill_windows(backfill_field, context.trusted, context.top)
        since = slicing.backfilled_since(backfill_field, context.trusted)
        if since is not None:
            # Records that changed during or since the backfill are found by the field that changes.
            windows += self._windows_from(context, since - LAG - self.replication.lookback_ages[-1])
        return windows

    def _windows_from(self, context: PlanContext, start: datetime) -> list[FieldWindow]:
        field, ages = self.replication.field, self.replication.lookback_ages
        rows = [row for row in context.trusted if row.field == field]
        return [(field, window) for window in windows_to_read(TimeWindow(start, context.top), rows, ages, context.now, _CHECK_INTERVAL)]

    def _changes(self, context: PlanContext) -> list[Slice]:
        """Return one chain for each secondary cursor since the first read: its changes may not change the followed field."""
        replication, top = self.replication, context.top
        since = slicing.backfilled_since(replication.backfill_field, context.trusted) if replication.backfill_field else None
        if since is None:
            return []
        slices = []
        for field in replication.secondary_cursors:
            missing = windows_to_read(TimeWindow(since - LAG, top), [row for row in context.trusted if row.field == field], (), top)
            # Look back as far as for the followed field, for changes that become visible late; even if nothing is missing.
            start = (missing[0].start if missing else top) - replication.lookback_ages[-1]
            slices += [Slice(subset, field, start, None, top, field_is_nested=True) for subset in context.entry.subsets]
        return slices

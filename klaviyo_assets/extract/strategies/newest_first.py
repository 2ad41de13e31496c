"""NewestFirst: reads the history once, then from the newest record down to the last complete read."""

from dataclasses import dataclass

from klaviyo_assets.catalog.replication import NewestFirst
from klaviyo_assets.extract.slices import Slice
from klaviyo_assets.extract.strategies import slicing
from klaviyo_assets.extract.strategies.slicing import FieldWindow
from klaviyo_assets.extract.strategies.strategy import LAG, PlanContext
from klaviyo_assets.extract.strategies.timed import TimedStrategy
from klaviyo_assets.state.coverage import TimeWindow, windows_to_read


@dataclass(frozen=True)
class NewestFirstStrategy(TimedStrategy):
    """Reads by a field that the endpoint can sort by but not filter by."""

    replication: NewestFirst

    def _windows_to_read(self, context: PlanContext) -> list[FieldWindow]:
        return slicing.backfill_windows(self.replication.backfill_field, context.trusted, context.top)

    def _changes(self, context: PlanContext) -> list[Slice]:
        replication, top = self.replication, context.top
        since = slicing.backfilled_since(replication.backfill_field, context.trusted)
        if since is None:
            return []
        begin = since - LAG - replication.margin
        done = [row for row in context.trusted if row.field == replication.field]
        missing = windows_to_read(TimeWindow(begin, top), done, (), top)
        start = max(begin, missing[0].start - replication.margin) if missing else top
        return [Slice(subset, replication.field, start, None, top, descending=True) for subset in context.entry.subsets]

"""Reports the days of a mart as partitions: those that a build has computed, and those with rows that Dagster does not know yet."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import dagster as dg

from klaviyo_assets.marts.day_versions import NO_ROWS, DayOfModel
from klaviyo_assets.marts.results import ModelResult
from klaviyo_assets.partitions import EventPartitions
from klaviyo_assets.reporting.dagster_events import ROW_COUNT, log_materializations
from klaviyo_assets.reporting.provenance import DATA_VERSION, InputVersions
from klaviyo_assets.state.periods import Periods


@dataclass(frozen=True)
class MartDays:
    """The days of one mart after a build.

    Args:
        context: Dagster's execution context.
        asset: Key of the asset with the days.
        partitions: The partitions.
        result: What the build did.
    """

    context: dg.AssetExecutionContext
    asset: dg.AssetKey
    partitions: EventPartitions
    result: ModelResult

    def report(self, inputs: InputVersions, left_out: Collection[str] = ()) -> list[str]:
        """Report days, and return which.

        These are the days that were computed because of a change, and all that Dagster knows with another data version or not at all: a build
        before may have computed them while there was no partition for them yet, or its run may have ended before its report.

        Args:
            inputs: The inputs of the asset as the step has read them.
            left_out: Days that the op reports itself.
        """
        known = self._known()
        different = {day for day in {*known, *self.result.days} if known.get(day) != self.day(day).version}
        first, last = EventPartitions.key(self.partitions.first), EventPartitions.key(self.partitions.last())
        days = sorted(day for day in (different | self.result.computed) - {*left_out} if first <= day <= last)
        self.log(days, inputs)
        return days

    def log(self, days: Iterable[str], inputs: InputVersions) -> None:
        """Record materializations of days."""
        log_materializations(self.context, [self._materialization(day) for day in days], inputs)

    def day(self, day: str) -> DayOfModel:
        """Return a day as the build has left it."""
        return self.result.days.get(day, NO_ROWS)

    def differ_from_partitions(self, days: Iterable[str]) -> bool:
        """Return whether one of some days begins at another time than the partition of the same name."""
        of_mart, of_partitions = Periods(timezone=self.result.timezone), self.partitions.periods
        return any(of_mart.start(day) != of_partitions.start(day) for day in map(EventPartitions.period, days))

    def _known(self) -> dict[str, str]:
        """Return the data versions of the days that are materialized in Dagster."""
        storage = self.context.instance.event_log_storage
        tags = storage.get_latest_tags_by_partition(self.asset, dg.DagsterEventType.ASSET_MATERIALIZATION, [DATA_VERSION])
        return {day: one[DATA_VERSION] for day, one in tags.items() if DATA_VERSION in one}

    def _materialization(self, day: str) -> dg.AssetMaterialization:
        found = self.day(day)
        return dg.AssetMaterialization(self.asset, partition=day, metadata={ROW_COUNT: found.rows}, tags={DATA_VERSION: found.version})

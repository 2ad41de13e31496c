"""Reports days of events to Dagster as materialized partitions: those with changed rows, and those that were read and have none."""

from collections.abc import Iterable, Set
from dataclasses import dataclass
from datetime import date

import dagster as dg

from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.errors import DaysDiffer
from klaviyo_assets.event_batch import ROW_COUNT, log_materializations, mark_as_failed
from klaviyo_assets.load.transaction_retry import retry_on_conflict
from klaviyo_assets.partitions import EventPartitions
from klaviyo_assets.quality.period_counts import PeriodCounts
from klaviyo_assets.state.changed_periods import ChangedPeriod, ChangedPeriods
from klaviyo_assets.state.days import windows_of
from klaviyo_assets.warehouse.base import Warehouse


@dataclass(frozen=True)
class PeriodReport:
    """The report after one sync.

    Reported are the partitions with rows that changed, and those that have been read and that Dagster does not know yet: after the first sync with
    partitions the whole history, later each day that ends without an event. A day that was never read is not reported: it stays missing in Dagster,
    which is what a gap looks like.

    Args:
        context: Dagster's.
        asset: Key of the asset with the partitions.
        partitions: The partitions.
        warehouse: The database.
        schema: DuckDB schema.
        entry: The resource type.
    """

    context: dg.AssetExecutionContext
    asset: dg.AssetKey
    partitions: EventPartitions
    warehouse: Warehouse
    schema: str
    entry: ResourceType

    def send(self, *, selected: Set[date] = frozenset(), left_out: Set[date] = frozenset()) -> dict[date, int]:
        """Report the partitions, and return their rows.

        Args:
            selected: Partitions to report in any case.
            left_out: Partitions to count only: the op reports them itself.

        Raises:
            WarehouseError: If the database cannot be used.
        """
        known = {EventPartitions.period(key) for key in self.context.instance.get_materialized_partitions(self.asset)}
        changed, counts = self._read(known, selected | left_out)
        versions = self._versions(changed)
        events = [self._materialization(period, count, versions.get(period)) for period, count in sorted(counts.items()) if period not in left_out]
        log_materializations(self.context, events)
        if changed:
            self._forget({one.sync_id for one in changed})
        return counts

    def mark_as_failed(self, days: Iterable[date]) -> None:
        """Mark the partitions of days (UTC) as failed, until they are read again.

        Args:
            days: The days.

        Raises:
            DaysDiffer: Always if there are any, since Dagster shows partitions of failed runs alone as failed.
        """
        periods, first, last = self.partitions.periods, self.partitions.first, self.partitions.last()
        if found := sorted(periods.touching(windows_of(days), first, last)):
            mark_as_failed(self.context, self.asset, [EventPartitions.key(period) for period in found])
            raise DaysDiffer(len(found), self.asset.to_user_string())

    def _read(self, known: Set[date], selected: Set[date]) -> tuple[list[ChangedPeriod], dict[date, int]]:
        """Return the changes that are not reported yet, and the rows of each partition to report."""
        periods, first, last = self.partitions.periods, self.partitions.first, self.partitions.last()
        with self.warehouse.connection() as connection:
            store = ChangedPeriods(connection, self.warehouse, self.schema)
            if not store.exists:  # the sync has failed before it began
                return [], {}
            changed = store.of(self.entry.name)
            counts = PeriodCounts(connection, self.warehouse, self.schema, self.entry, periods)
            covered = counts.covered()
            wanted = periods.touching([one.window for one in changed], first, last) | selected
            complete = periods.inside(covered, first, last) - known
            begun = periods.touching(covered, first, last) - known - complete
            rows = counts.rows(wanted | complete | begun)
        # A part of a day without a row, such as the present one, is not reported: events may come.
        return changed, {period: rows.get(period, 0) for period in wanted | complete | (begun & rows.keys())}

    def _versions(self, changed: list[ChangedPeriod]) -> dict[date, str]:
        """Return the sync that has changed each partition."""
        periods, first, last = self.partitions.periods, self.partitions.first, self.partitions.last()
        return {period: one.sync_id for one in changed for period in periods.touching([one.window], first, last)}

    def _materialization(self, period: date, rows: int, version: str | None) -> dg.AssetMaterialization:
        return dg.AssetMaterialization(
            self.asset,
            partition=EventPartitions.key(period),
            metadata={ROW_COUNT: rows},
            tags={"dagster/data_version": version} if version else {},
        )

    @retry_on_conflict
    def _forget(self, sync_ids: Set[str]) -> None:
        """Delete the changes that are reported. Before this, the next sync would report them again, which is harmless."""
        with self.warehouse.transaction() as connection:
            ChangedPeriods(connection, self.warehouse, self.schema).reported(self.entry.name, sync_ids)

"""Reports days of events to Dagster as materialized partitions: those with changed rows, and those that were read and have none."""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import date, datetime

import dagster as dg

from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.errors import DaysDiffer
from klaviyo_assets.load.transaction_retry import retry_on_conflict
from klaviyo_assets.partitions import EventPartitions
from klaviyo_assets.quality.period_counts import PeriodCounts
from klaviyo_assets.reporting.dagster_events import ROW_COUNT, log_materializations, mark_as_failed
from klaviyo_assets.reporting.provenance import DATA_VERSION
from klaviyo_assets.state.changed_periods import ChangedPeriod, ChangedPeriods
from klaviyo_assets.state.coverage import TimeWindow
from klaviyo_assets.state.data_version import data_version
from klaviyo_assets.state.days import windows_of_days
from klaviyo_assets.state.sync_log import SyncLog
from klaviyo_assets.warehouse.interface import Warehouse


@dataclass(frozen=True)
class Partition:
    """What is reported about a partition.

    Attributes:
        rows: Rows of the table in it that are not marked as deleted.
        version: Its data version.
    """

    rows: int
    version: str


@dataclass(frozen=True)
class PeriodReport:
    """The report after one sync.

    Reported are the partitions with rows that changed, and those that have been read and that Dagster does not know yet: after the first sync with
    partitions the whole history, later each day that ends without an event. A day that was never read is not reported: it stays missing in Dagster,
    which is what a gap looks like.

    The data version of a partition is the sync that changed its rows last. It stays the same if the partition is reported again without a change. In
    a time zone other than UTC, its name is part of the version: the partitions of another time zone have other rows, so Dagster knows none of them.

    Args:
        context: Dagster's execution context.
        asset: Key of the asset with the partitions.
        partitions: The partitions.
        warehouse: The database.
        schema: DuckDB schema.
        entry: The resource type.
        start_date: The user's start date: the first partition is complete if it was read from there on.
    """

    context: dg.AssetExecutionContext
    asset: dg.AssetKey
    partitions: EventPartitions
    warehouse: Warehouse
    schema: str
    entry: ResourceType
    start_date: datetime | None = None

    def send(self, *, selected: Set[date] = frozenset(), described: Set[date] = frozenset()) -> dict[date, Partition]:
        """Report the partitions, and return them.

        Changes of a sync that still runs are left to a later report: it may change more rows of the same days.

        Args:
            selected: Partitions to report in any case.
            described: Partitions to return only: the op reports them itself.

        Raises:
            WarehouseError: If the database cannot be used.
        """
        known = self._known()
        changed, rows, otherwise = self._read(known.keys(), selected | described)
        versions = {**known, **self._versions(changed)}
        found = {period: Partition(count, versions.get(period, otherwise)) for period, count in rows.items()}
        self.log({period: one for period, one in found.items() if period not in described})
        if changed:
            self._forget({one.sync_id for one in changed})
        return found

    def log(self, found: Mapping[date, Partition]) -> None:
        """Record materializations of partitions.

        Args:
            found: The partitions.
        """
        log_materializations(self.context, [self._materialization(period, one) for period, one in sorted(found.items())])

    def clear_failed(self, compared: TimeWindow | None, differing: Iterable[date]) -> None:
        """Report partitions that Dagster shows as failed, and in which an audit finds no difference any more.

        Args:
            compared: The window that the audit has compared; None if it has compared nothing.
            differing: Days (UTC) that differ.

        Raises:
            WarehouseError: If the database cannot be used.
        """
        periods, first, last = self.partitions.periods, self.partitions.first, self.partitions.last()
        if compared is None or not (failed := self._failed()):
            return
        with self.warehouse.connection() as connection:
            covered = self._complete(PeriodCounts(connection, self.warehouse, self.schema, self.entry, periods))
        agreeing = periods.inside([compared], first, last) - periods.overlapping(windows_of_days(differing), first, last)
        if cleared := failed & covered & agreeing:
            self.send(selected=cleared)

    def mark_as_failed(self, days: Iterable[date]) -> None:
        """Mark the partitions of days (UTC) as failed, until they are read again.

        Args:
            days: The days.

        Raises:
            DaysDiffer: Always if there are any, since Dagster shows partitions of failed runs alone as failed.
        """
        periods, first, last = self.partitions.periods, self.partitions.first, self.partitions.last()
        if found := sorted(periods.overlapping(windows_of_days(days), first, last)):
            mark_as_failed(self.context, self.asset, [EventPartitions.key(period) for period in found])
            raise DaysDiffer(len(found), self.asset.to_user_string())

    def _known(self) -> dict[date, str]:
        """Return the data versions of the partitions that are materialized in Dagster, in this time zone."""
        storage = self.context.instance.event_log_storage
        tags = storage.get_latest_tags_by_partition(self.asset, dg.DagsterEventType.ASSET_MATERIALIZATION, [DATA_VERSION])
        versions = {EventPartitions.period(key): one[DATA_VERSION] for key, one in tags.items() if DATA_VERSION in one}
        return {period: version for period, version in versions.items() if version.partition("@")[2] == self._zone.removeprefix("@")}

    def _failed(self) -> set[date]:
        definition = self.partitions.definition
        statuses = self.context.instance.get_status_by_partition(self.asset, definition.get_partition_keys(), definition) or {}
        return {EventPartitions.period(key) for key, status in statuses.items() if status is not None and status.value == "FAILED"}

    def _read(self, known: Set[date], selected: Set[date]) -> tuple[list[ChangedPeriod], dict[date, int], str]:
        """Return the changes that are not reported yet, the rows of each partition to report, and the data version of unchanged ones."""
        periods, first, last = self.partitions.periods, self.partitions.first, self.partitions.last()
        with self.warehouse.connection() as connection:
            store = ChangedPeriods(connection, self.warehouse, self.schema)
            if not store.exists:  # the sync has failed before it began
                return [], {}, ""
            changed = store.ended(self.entry.name)
            counts = PeriodCounts(connection, self.warehouse, self.schema, self.entry, periods)
            wanted = periods.overlapping([one.window for one in changed], first, last) | selected
            complete = self._complete(counts) - known
            partial = periods.overlapping(counts.covered(), first, last) - known - complete
            rows = counts.rows(wanted | complete | partial)
            version = data_version(SyncLog(connection, self.warehouse, self.schema), self.entry.name)
        # A part of a day without a row, such as the present one, is not reported: events may come.
        found = {period: rows.get(period, 0) for period in wanted | complete | (partial & rows.keys())}
        return changed, found, f"{version}{self._zone}"

    def _complete(self, counts: PeriodCounts) -> set[date]:
        """Return the periods that were read completely; what is before the start date counts as read."""
        periods, covered = counts.periods, counts.covered()
        if self.start_date is not None:
            covered.append(TimeWindow(periods.start(periods.of(self.start_date)), self.start_date))
        return periods.inside(covered, self.partitions.first, self.partitions.last())

    def _versions(self, changed: Sequence[ChangedPeriod]) -> dict[date, str]:
        """Return the data versions of the partitions that have changed."""
        periods, first, last = self.partitions.periods, self.partitions.first, self.partitions.last()
        syncs: dict[date, set[str]] = {}
        for one in changed:
            for period in periods.overlapping([one.window], first, last):
                syncs.setdefault(period, set()).add(one.sync_id)
        return {period: f"{_joined(ids)}{self._zone}" for period, ids in syncs.items()}

    @property
    def _zone(self) -> str:
        timezone = self.partitions.timezone
        return "" if timezone == "UTC" else f"@{timezone}"

    def _materialization(self, period: date, one: Partition) -> dg.AssetMaterialization:
        return dg.AssetMaterialization(
            self.asset, partition=EventPartitions.key(period), metadata={ROW_COUNT: one.rows}, tags={DATA_VERSION: one.version}
        )

    @retry_on_conflict
    def _forget(self, sync_ids: Set[str]) -> None:
        """Delete the changes that are reported. Before this, the next sync would report them again, which is harmless."""
        with self.warehouse.transaction() as connection:
            ChangedPeriods(connection, self.warehouse, self.schema).reported(self.entry.name, sync_ids)


def _joined(ids: Collection[str]) -> str:
    """Return one id, or a text of the same length that depends on all of them."""
    return next(iter(ids)) if len(ids) == 1 else hashlib.sha256(" ".join(sorted(ids)).encode()).hexdigest()[:32]

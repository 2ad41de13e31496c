"""The table ``_changed_periods``: days with rows that have changed, until Dagster has been informed.

It is written in the transaction that changes the rows, so a process that is killed after it loses no day: the next sync reports it.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

import polars as pl

from klaviyo_assets._internal.instants import from_microseconds, from_seconds
from klaviyo_assets.state.bookkeeping_store import BookkeepingStore
from klaviyo_assets.state.coverage import TimeWindow
from klaviyo_assets.state.days import joined
from klaviyo_assets.state.periods import SECONDS_OF_A_QUARTER, is_plausible
from klaviyo_assets.state.sync_log import SyncLog
from klaviyo_assets.warehouse.ddl import INSTANT, Columns
from klaviyo_assets.warehouse.sql import quoted


@dataclass(frozen=True)
class ChangedPeriod:
    """A period with rows that a sync has changed.

    Attributes:
        window: The period.
        sync_id: The sync.
    """

    window: TimeWindow
    sync_id: str


class ChangedPeriods(BookkeepingStore):
    """The changed periods of a schema. The table is created when Dagster has partitions for them."""

    NAME: ClassVar[str] = "_changed_periods"
    DESCRIPTION: ClassVar[str] = "Days (or months) with rows that have changed, until they are reported as partitions in Dagster."
    COLUMNS: ClassVar[Columns] = {
        "resource_type": ("VARCHAR", "Table."),
        "period_start": (INSTANT, "Rows with a time from here on …"),
        "period_end": (INSTANT, "… and before this have changed: one was added, replaced or marked as deleted."),
        "sync_id": ("VARCHAR", "The sync that changed them, or what else did, such as erasure."),
    }

    def add(self, resource_type: str, windows: Iterable[TimeWindow], sync_id: str) -> None:
        """Record that rows of some periods have changed. A period that the same sync has recorded before is not recorded again.

        Args:
            resource_type: The resource type.
            windows: The periods.
            sync_id: The sync.
        """
        known = {one.window for one in self.of(resource_type) if one.sync_id == sync_id}
        new = [(one.start, one.end) for one in sorted({*windows} - known)]
        if new:
            instant = pl.Datetime("us", "UTC")
            frame = pl.DataFrame(new, schema={"period_start": instant, "period_end": instant}, orient="row")
            self.connection.register("new_periods", frame)
            self.connection.execute(
                f"INSERT INTO {self.table} BY NAME SELECT *, ? AS resource_type, ? AS sync_id FROM new_periods", [resource_type, sync_id]
            )
            self.connection.unregister("new_periods")

    def quarters_of(self, rows: str, time: str) -> set[int]:
        """Return the quarters of an hour since 1970 in which some rows lie: memory depends on the length of the history, not on the number of rows.

        Args:
            rows: SQL after ``FROM``: a relation, and a condition if not all of its rows count.
            time: The time field.
        """
        found = self._rows(f"SELECT DISTINCT floor(epoch({quoted(time)}) / {SECONDS_OF_A_QUARTER})::BIGINT FROM {rows}")
        return {quarter for (quarter,) in found if quarter is not None}

    def add_quarters(self, resource_type: str, quarters: Iterable[int], change_id: str) -> None:
        """Record that rows of some quarters of an hour have changed, where the time zone is not known: each lies in one day of any zone.

        Args:
            resource_type: The resource type.
            quarters: See :meth:`quarters_of`. Those that no partition can contain are left out.
            change_id: What has changed the rows, other than a sync.
        """
        times = [from_seconds(one * SECONDS_OF_A_QUARTER) for one in sorted(quarters) if is_plausible(one)]
        self.add(resource_type, joined(TimeWindow(time, time + timedelta(seconds=SECONDS_OF_A_QUARTER)) for time in times), change_id)

    def of(self, resource_type: str) -> list[ChangedPeriod]:
        """Return the periods that are not reported yet, ascending."""
        return self._found("resource_type = ?", resource_type)

    def _found(self, condition: str, resource_type: str) -> list[ChangedPeriod]:
        rows = self._rows(
            f"SELECT epoch_us(period_start), epoch_us(period_end), sync_id FROM {self.table} WHERE {condition} ORDER BY ALL", [resource_type]
        )
        return [ChangedPeriod(TimeWindow(from_microseconds(start), from_microseconds(end)), sync_id) for start, end, sync_id in rows]

    def ended(self, resource_type: str) -> list[ChangedPeriod]:
        """Return the periods that are not reported yet, ascending, without those of syncs that still run: they may change more rows of a period.

        One statement, so that a sync which ends meanwhile is left out, or its changes are complete.
        """
        log = SyncLog(self.connection, self.warehouse, self.schema)
        return self._found(f"resource_type = ? AND sync_id NOT IN ({log.running_ids})", resource_type)

    def reported(self, resource_type: str, sync_ids: Collection[str]) -> None:
        """Delete the periods that some syncs changed: they are reported."""
        self.connection.execute(f"DELETE FROM {self.table} WHERE resource_type = ? AND list_contains(?, sync_id)", [resource_type, [*sync_ids]])

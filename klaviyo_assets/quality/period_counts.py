"""Counts the rows of days or months, and finds those that syncs have read completely."""

from collections.abc import Set
from dataclasses import dataclass
from datetime import UTC, date, datetime

from duckdb import DuckDBPyConnection

from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.load.schema.tables import DELETED_AT
from klaviyo_assets.state.coverage import TimeWindow
from klaviyo_assets.state.coverage_store import CoverageStore
from klaviyo_assets.state.periods import SECONDS_OF_A_QUARTER, Periods
from klaviyo_assets.warehouse.interface import Warehouse
from klaviyo_assets.warehouse.sql import instant_literal, quoted

_FEW = 20
"""Windows up to which a condition for each costs less than counting what is between them."""


@dataclass(frozen=True)
class PeriodCounts:
    """What the table and the coverage say about the periods of one resource type.

    Args:
        connection: The database.
        warehouse: The same.
        schema: DuckDB schema.
        entry: The resource type; it has a time field whose values never change.
        periods: The periods.
    """

    connection: DuckDBPyConnection
    warehouse: Warehouse
    schema: str
    entry: ResourceType
    periods: Periods

    def rows(self, wanted: Set[date]) -> dict[date, int]:
        """Count the rows of some periods that are not marked as deleted; a period without rows is left out.

        Rows are counted by quarter of an hour first: converting the time of each to a time zone would take seconds.
        """
        time, found = quoted(self.entry.replication.range_field or ""), dict[date, int]()
        windows = self.periods.windows(wanted)
        if not windows:
            return found
        # The extent lets DuckDB skip row groups.
        extent = f"{time} >= {instant_literal(windows[0].start)} AND {time} < {instant_literal(windows[-1].end)}"
        among = (
            " OR ".join(f"({time} >= {instant_literal(one.start)} AND {time} < {instant_literal(one.end)})" for one in windows)
            if len(windows) <= _FEW
            else "true"
        )
        quarters = self.connection.execute(
            f"SELECT floor(epoch({time}) / {SECONDS_OF_A_QUARTER})::BIGINT AS quarter, count(*) "
            f"FROM {self.warehouse.qualified(self.schema, self.entry.name)} WHERE {DELETED_AT} IS NULL AND {extent} AND ({among}) GROUP BY 1"
        ).fetchall()
        for quarter, count in quarters:
            period = self.periods.of(datetime.fromtimestamp(quarter * SECONDS_OF_A_QUARTER, UTC))
            if period in wanted:
                found[period] = found.get(period, 0) + count
        return found

    def covered(self) -> list[TimeWindow]:
        """Return the windows that syncs have read."""
        store = CoverageStore(self.connection, self.warehouse, self.schema)
        field = self.entry.replication.range_field
        return [TimeWindow(row.start, row.end) for row in store.rows(self.entry.name) if row.field == field]

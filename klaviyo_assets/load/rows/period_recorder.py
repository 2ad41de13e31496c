"""Records in which days rows have changed, in the transaction that changes them."""

from dataclasses import dataclass
from datetime import datetime

from duckdb import DuckDBPyConnection

from klaviyo_assets.decode import SYNCED_AT
from klaviyo_assets.load.schema.tables import DELETED_AT, Tables
from klaviyo_assets.state.changed_periods import ChangedPeriods
from klaviyo_assets.state.periods import Periods
from klaviyo_assets.warehouse.sql import instant_literal


@dataclass(frozen=True)
class PeriodRecorder:
    """Records the periods of changed rows of one resource type, each time in the caller's transaction.

    Args:
        tables: The tables of a resource type with a time field whose values never change.
        periods: The periods; None to record nothing.
        sync_id: The sync.
    """

    tables: Tables
    periods: Periods | None
    sync_id: str

    def prepare(self, connection: DuckDBPyConnection) -> None:
        """Create the table."""
        if self.periods is not None:
            self._store(connection).prepare()

    def note(self, connection: DuckDBPyConnection, rows: str) -> None:
        """Record the periods of some rows.

        Args:
            connection: The database, in a transaction.
            rows: SQL after ``FROM``: a relation, and a condition if not all of its rows have changed.
        """
        if self.periods is None:
            return
        store = self._store(connection)
        periods = self.periods.of_quarters(store.quarters_of(rows, self.tables.entry.replication.range_field or ""))
        windows = [self.periods.window(period) for period in periods]
        store.add(self.tables.entry.name, windows, self.sync_id)

    def note_marked(self, connection: DuckDBPyConnection, at: datetime) -> None:
        """Record the periods of rows that were marked as deleted at some time."""
        self.note(connection, f"{self.tables.rows} WHERE {DELETED_AT} = {instant_literal(at)}")

    def note_rebuilt(self, connection: DuckDBPyConnection, at: datetime) -> None:
        """Record the periods of rows that a full read has changed. Rows with the same content have the time of their earlier read.

        Args:
            connection: The database, before the tables are swapped.
            at: When the full read began.
        """
        self.note(connection, f"{self.tables.rebuilt} WHERE {SYNCED_AT} >= {instant_literal(at)} OR {DELETED_AT} = {instant_literal(at)}")

    def _store(self, connection: DuckDBPyConnection) -> ChangedPeriods:
        return ChangedPeriods(connection, self.tables.warehouse, self.tables.schema)

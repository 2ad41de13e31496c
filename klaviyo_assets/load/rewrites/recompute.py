"""Brings what the load derives from JSON up to date for stored rows: computed columns, and the profile of properties. Nothing is read again."""

from collections.abc import Sequence
from dataclasses import dataclass

from klaviyo_assets.load.parts.row_ranges import RowRange, row_ranges
from klaviyo_assets.load.rewrites.derived_state import DerivedState
from klaviyo_assets.load.rewrites.rewriting import OpenRewriting
from klaviyo_assets.load.rows.computed import sources, with_computed
from klaviyo_assets.load.schema.tables import Tables
from klaviyo_assets.load.transaction_retry import retry_on_conflict
from klaviyo_assets.warehouse.interface import Warehouse
from klaviyo_assets.warehouse.sql import quoted
from klaviyo_assets.warehouse.wide_tables import grouped

_ROWS_PER_TRANSACTION = 400_000
"""DuckDB keeps what a transaction has updated in memory: some 300 bytes of each row."""


@dataclass(frozen=True)
class Recompute:
    """What the load derives from the JSON of one resource type: computed columns, and the profile of the properties of events.

    The columns are filled in short transactions, the last of which records their definitions. If it is interrupted, the next
    sync begins it again. Rows that are loaded in between are filled by the load.

    Args:
        tables: The tables of the resource type.
        rewriting: Opens a transaction that rewrites rows.
    """

    tables: Tables
    rewriting: OpenRewriting

    @property
    def warehouse(self) -> Warehouse:
        """The database."""
        return self.tables.warehouse

    def apply(self) -> tuple[list[str], int]:
        """Fill the columns with definitions that are not recorded, and make the profile if there is none.

        Returns:
            Names of the columns, and how many rows were filled.
        """
        columns, parts, lacks_profile = self._begin()
        rows = sum(self._fill(columns, part) for part in parts)
        if columns:
            self._record()
        if lacks_profile:
            self._note_properties()
        return columns, rows

    @retry_on_conflict
    def _begin(self) -> tuple[list[str], list[list[RowRange]], bool]:
        """Return the columns to fill, the rows by transaction, and whether the properties of stored events are not recorded."""
        with self.warehouse.connection() as connection:
            state = DerivedState(connection, self.tables)
            columns, lacks_profile = state.outdated_columns, state.lacks_profile
            if not columns:
                return [], [], lacks_profile
            names = sources(self.tables.entry)
            filled = " OR ".join(f"{quoted(name)} IS NOT NULL" for name in names)
            rows = f"(SELECT * FROM {self.tables.places(connection).rows} WHERE {filled})"
            return columns, grouped(row_ranges(connection, rows, names), max_rows=_ROWS_PER_TRANSACTION), lacks_profile

    @retry_on_conflict
    def _fill(self, columns: Sequence[str], ranges: Sequence[RowRange]) -> int:
        with self.rewriting() as transaction:
            connection = transaction.connection
            places = self.tables.places(connection)
            assignments = ", ".join(f"{quoted(name)} = filled.{quoted(name)}" for name in columns)
            computed = {column.name for column in self.tables.entry.computed_columns}
            others = f"* EXCLUDE ({', '.join(map(quoted, sorted(computed)))})"
            listed = ", ".join(("place", *map(quoted, columns)))
            for range_ in ranges:
                rows = f"(SELECT {others} FROM {places.rows} WHERE {range_.condition})"
                connection.execute(f"CREATE OR REPLACE TEMP TABLE filled AS SELECT {listed} FROM {with_computed(self.tables.entry, rows)}")
                connection.execute(places.update(assignments, "filled"))
            connection.execute("DROP TABLE IF EXISTS temp.filled")
            transaction.rows = sum(range_.rows for range_ in ranges)
        return transaction.rows

    @retry_on_conflict
    def _record(self) -> None:
        with self.warehouse.transaction() as connection:
            DerivedState(connection, self.tables).record_columns()

    @retry_on_conflict
    def _note_properties(self) -> None:
        with self.warehouse.transaction() as connection:
            DerivedState(connection, self.tables).record_properties()

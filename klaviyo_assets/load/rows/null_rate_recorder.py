"""Records columns that lose their values while rows are loaded; afterwards the table no longer shows which values it had."""

from collections.abc import Sequence
from dataclasses import dataclass

from duckdb import DuckDBPyConnection

from klaviyo_assets.catalog.columns import Column
from klaviyo_assets.decode import SYNCED_AT
from klaviyo_assets.load.predicates import is_present
from klaviyo_assets.load.schema.tables import DELETED_AT, Tables
from klaviyo_assets.state.null_rate_log import NullRateLog

USUAL = 0.5
"""Share of rows with a value above which its absence in new rows deserves a warning."""

_MIN_ROWS = 3
"""Number of rows with a value above which its absence in all rows deserves a warning."""

_ROWS_CHECKED_FIRST = 2_000
"""Rows to check first; most columns have a value in one of them."""

_ROWS_BEFORE = 10_000
"""Latest rows of the table, used to measure the usual share of values."""

_OWN_PATHS = ("id", "subset")


@dataclass(frozen=True)
class NullRateRecorder:
    """Records columns of one resource type that had values in earlier rows and have none in the rows written since.

    A load without a value for a column that had values inserts a row into the log; the first load with a value deletes it. A load that writes no
    rows changes nothing.

    Args:
        connection: The database, in a transaction.
        tables: Names of the tables.
    """

    connection: DuckDBPyConnection
    tables: Tables

    def note(self, written: str, replaced: str | None = None) -> None:
        """Record the columns without a value in rows that are about to be written.

        Args:
            written: SQL for these rows, at least one.
            replaced: SQL for the rows of the table that they replace; rows without an earlier value do not count.
        """
        columns = [column for column in self.tables.entry.received_columns if column.path[0] not in _OWN_PATHS]
        empty = self._empty(written, self._empty(f"(SELECT * FROM {written} AS w LIMIT {_ROWS_CHECKED_FIRST})", columns))
        known = {rate.column for rate in self._log.rates(self._type)}
        for name in known - {column.name for column in empty}:
            self._log.delete(self._type, name)
        if lacking := self._lacking(empty, written, replaced):
            self._add([column for column in empty if column.name in lacking.keys() - known], written)
            self._log.add_null_rows(self._type, lacking)

    def _empty(self, rows: str, columns: Sequence[Column]) -> list[Column]:
        """Return the columns without a value in any row."""
        if not columns:
            return []
        found = ", ".join(f"coalesce(bool_or({is_present(column)}), false)" for column in columns)
        (any_value,) = self.connection.execute(f"SELECT {found} FROM {rows} AS r").fetchall()
        return [column for column, filled in zip(columns, any_value, strict=True) if not filled]

    def _lacking(self, columns: Sequence[Column], written: str, replaced: str | None) -> dict[str, int]:
        """For columns without a value in the written rows, count the new rows and those that had a value."""
        if not columns:
            return {}
        ((rows,),) = self.connection.execute(f"SELECT count(*) FROM {written} AS w").fetchall()
        lacked = {column.name: self._count_lacking(column, replaced) if replaced is not None else 0 for column in columns}
        return {name: rows - count for name, count in lacked.items() if count < rows}

    def _count_lacking(self, column: Column, rows: str) -> int:
        # One column per query, as in ``_add``.
        ((count,),) = self.connection.execute(f"SELECT count(*) FILTER (WHERE NOT {is_present(column)}) FROM {rows} AS r").fetchall()
        return int(count)

    def _add(self, columns: Sequence[Column], written: str) -> None:
        """Record the columns that have a value in enough rows of the table."""
        if not columns:
            return
        before = f"FROM {self._latest_rows} WHERE {DELETED_AT} IS NULL"
        ((rows,),) = self.connection.execute(f"SELECT count(*) {before}").fetchall()
        for column in columns if rows else ():
            # One column per query: DuckDB holds 2,048 rows of all columns that a query reads, and each may be wide.
            ((had,),) = self.connection.execute(f"SELECT count(*) FILTER (WHERE {is_present(column)}) {before}").fetchall()
            if had and (had >= _MIN_ROWS or had >= USUAL * rows):
                since = f"SELECT min({SYNCED_AT}) FROM {written} AS w"
                self._log.insert(self._type, column.name, rows_before=rows, values_before=had, since=since)

    @property
    def _latest_rows(self) -> str:
        """SQL for the rows that were written last."""
        table = self.tables.rows
        if self.tables.warehouse.capabilities.rowid:
            # Use a literal: compared with a subquery, DuckDB joins the whole table and combines wide rows of small row groups.
            ((last,),) = self.connection.execute(f"SELECT coalesce(max(rowid), 0) FROM {table}").fetchall()
            return f"(FROM {table} WHERE rowid > {last - _ROWS_BEFORE})"
        return f"(FROM {table} ORDER BY {SYNCED_AT} DESC LIMIT {_ROWS_BEFORE})"

    @property
    def _log(self) -> NullRateLog:
        return NullRateLog(self.connection, self.tables.warehouse, self.tables.schema)

    @property
    def _type(self) -> str:
        return self.tables.entry.name

"""Attributes that Klaviyo sends no more: noticed while rows are loaded, since a table that has been rewritten does not know what it held."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from duckdb import DuckDBPyConnection

from klaviyo_assets.catalog.columns import Column
from klaviyo_assets.decode import SYNCED_AT
from klaviyo_assets.load.predicates import has_value
from klaviyo_assets.load.tables import DELETED_AT, Tables
from klaviyo_assets.quality.drift import Drift, Kind
from klaviyo_assets.state.null_rate_log import NullRate, NullRateLog
from klaviyo_assets.warehouse.sql import key_text

_ROWS_IN_A_ROW = 30
"""Rows without a value, one after the other, from which on it is missed though older rows still have it."""

_USUAL = 0.5
"""Share of the rows that have a value, from which on it is missed where new rows lack it."""

_SOME_ROWS = 3
"""Rows that had a value, from which on it is missed where no row has it any more."""

_FIRST_LOOK = 2_000
"""Rows that tell of most columns that they have values."""

_ROWS_BEFORE = 10_000
"""Rows, the latest of the table, that tell what is usual."""

_OWN_PATHS = ("id", "division")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class NullRates:
    """The columns of one resource type that rows had a value in, and that the rows written since lack.

    A line is written when a load brings no value for a column that had some, and goes with the first load that brings one. A load that writes no
    row leaves all lines as they are.

    Args:
        connection: The database; in a transaction where something is noted.
        tables: Names of the tables.
    """

    connection: DuckDBPyConnection
    tables: Tables

    def note(self, written: str, replaced: str | None = None) -> None:
        """Note what rows lack that are about to be written.

        Args:
            written: SQL for these rows, at least one.
            replaced: SQL for the rows of the table that they replace: one that had no value before tells nothing.
        """
        columns = [column for column in self.tables.entry.columns if column.path[0] not in _OWN_PATHS]
        empty = self._empty(written, self._empty(f"(SELECT * FROM {written} AS w LIMIT {_FIRST_LOOK})", columns))
        known = {rate.column for rate in self._log.rates(self._type)}
        for name in known - {column.name for column in empty}:
            self._log.delete(self._type, name)
        if lacking := self._lacking(empty, written, replaced):
            self._add([column for column in empty if column.name in lacking.keys() - known], written)
            self._log.add_null_rows(self._type, lacking)

    def drifts(self, ruled: frozenset[str] = frozenset()) -> Iterator[Drift]:
        """Yield the columns that are missed.

        Args:
            ruled: Columns under a field rule.
        """
        if not self._log.exists:
            return
        columns = {column.name: column for column in self.tables.entry.columns if column.name not in ruled}
        for rate in self._log.rates(self._type):
            if rate.column in columns and (drift := self._drift(columns[rate.column], rate)):
                yield drift

    def _drift(self, column: Column, rate: NullRate) -> Drift | None:
        rows = (
            f"SELECT {key_text(self.tables.entry.primary_key)} AS id, {SYNCED_AT} AS synced, {has_value(column)} AS filled "
            f"FROM {self.tables.rows} WHERE {DELETED_AT} IS NULL"
        )
        ((alive, having, id_),) = self.connection.execute(
            f"SELECT count(*), count(*) FILTER (WHERE filled), arg_max(id, synced) FILTER (WHERE NOT filled) FROM ({rows})"
        ).fetchall()
        is_missed = rate.null_rows >= _ROWS_IN_A_ROW and rate.values_before >= _USUAL * rate.rows_before
        if not alive or (having and not is_missed):
            return None
        since = f"{_EPOCH + timedelta(microseconds=rate.since_us):%Y-%m-%d %H:%M} UTC"
        expected = f"a value, as in {rate.values_before} of {rate.rows_before} rows before {since}"
        return Drift(Kind.GONE, column.name, expected, rate.null_rows, id_, None)

    def _empty(self, rows: str, columns: Sequence[Column]) -> list[Column]:
        """Return those of some columns that no row has a value in."""
        if not columns:
            return []
        found = ", ".join(f"coalesce(bool_or({has_value(column)}), false)" for column in columns)
        (any_value,) = self.connection.execute(f"SELECT {found} FROM {rows} AS r").fetchall()
        return [column for column, filled in zip(columns, any_value, strict=True) if not filled]

    def _lacking(self, columns: Sequence[Column], written: str, replaced: str | None) -> dict[str, int]:
        """Count, for columns that no written row has a value in, the rows that tell something: new ones, and those that have had a value."""
        if not columns:
            return {}
        ((rows,),) = self.connection.execute(f"SELECT count(*) FROM {written} AS w").fetchall()
        lacked: Sequence[int] = [0] * len(columns)
        if replaced is not None:
            counts = ", ".join(f"count(*) FILTER (WHERE NOT {has_value(column)})" for column in columns)
            (lacked,) = self.connection.execute(f"SELECT {counts} FROM {replaced} AS r").fetchall()
        return {column.name: rows - count for column, count in zip(columns, lacked, strict=True) if count < rows}

    def _add(self, columns: Sequence[Column], written: str) -> None:
        """Write a line for those of some columns that enough rows of the table have a value in."""
        if not columns:
            return
        counts = ", ".join(f"count(*) FILTER (WHERE {has_value(column)})" for column in columns)
        ((rows, *having),) = self.connection.execute(f"SELECT count(*), {counts} FROM {self._latest_rows} WHERE {DELETED_AT} IS NULL").fetchall()
        for column, had in zip(columns, having, strict=True):
            if had and (had >= _SOME_ROWS or had >= _USUAL * rows):
                since = f"SELECT min({SYNCED_AT}) FROM {written} AS w"
                self._log.insert(self._type, column.name, rows_before=rows, values_before=had, since=since)

    @property
    def _latest_rows(self) -> str:
        """SQL for the rows that were written last."""
        table = self.tables.rows
        if self.tables.warehouse.capabilities.rowid:  # reads no more than these rows
            return f"(FROM {table} WHERE rowid > (SELECT max(rowid) FROM {table}) - {_ROWS_BEFORE})"
        return f"(FROM {table} ORDER BY {SYNCED_AT} DESC LIMIT {_ROWS_BEFORE})"

    @property
    def _log(self) -> NullRateLog:
        return NullRateLog(self.connection, self.tables.warehouse, self.tables.schema)

    @property
    def _type(self) -> str:
        return self.tables.entry.name

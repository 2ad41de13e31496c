"""Finds attributes that Klaviyo no longer sends."""

from collections.abc import Iterator

from duckdb import DuckDBPyConnection

from klaviyo_assets._internal.instants import from_microseconds
from klaviyo_assets.catalog.columns import Column
from klaviyo_assets.decode import SYNCED_AT
from klaviyo_assets.load.predicates import is_present
from klaviyo_assets.load.rows.null_rate_recorder import USUAL
from klaviyo_assets.load.schema.tables import DELETED_AT, Tables
from klaviyo_assets.quality.drift import Drift, DriftKind
from klaviyo_assets.state.null_rate_log import NullRate, NullRateLog
from klaviyo_assets.warehouse.sql import key_text

_ROWS_IN_A_ROW = 30
"""After this many consecutive rows without it, a value counts as missing even if older rows have it."""


def null_rate_drifts(connection: DuckDBPyConnection, tables: Tables, with_rules: frozenset[str] = frozenset()) -> Iterator[Drift]:
    """Yield the columns that no longer get values, as recorded by :mod:`klaviyo_assets.load.rows.null_rate_recorder`.

    Args:
        connection: The database.
        tables: Names of the tables.
        with_rules: Columns with a field rule.
    """
    log = NullRateLog(connection, tables.warehouse, tables.schema)
    if not log.exists:
        return
    columns = {column.name: column for column in tables.entry.columns if column.name not in with_rules}
    for rate in log.rates(tables.entry.name):
        if rate.column in columns and (drift := _drift(connection, tables, columns[rate.column], rate)):
            yield drift


def _drift(connection: DuckDBPyConnection, tables: Tables, column: Column, rate: NullRate) -> Drift | None:
    rows = (
        f"SELECT {key_text(tables.entry.primary_key)} AS id, {SYNCED_AT} AS synced, {is_present(column)} AS filled "
        f"FROM {tables.rows} WHERE {DELETED_AT} IS NULL"
    )
    ((rows_left, filled, id_),) = connection.execute(
        f"SELECT count(*), count(*) FILTER (WHERE filled), arg_max(id, synced) FILTER (WHERE NOT filled) FROM ({rows})"
    ).fetchall()
    is_missing = rate.null_rows >= _ROWS_IN_A_ROW and rate.values_before >= USUAL * rate.rows_before
    if not rows_left or (filled and not is_missing):
        return None
    since = f"{from_microseconds(rate.since_us):%Y-%m-%d %H:%M} UTC"
    expected = f"a value, as in {rate.values_before:,} of {rate.rows_before:,} rows before {since}"
    return Drift(DriftKind.GONE, column.name, expected, rate.null_rows, id_, None)

"""A column that gets another type: every value is converted, or kept in ``_extra``; none of them stops a sync."""

from typing import Any

import msgspec
import polars as pl
from duckdb import DuckDBPyConnection
from msgspec import Raw

from klaviyo_assets.catalog.model import Column
from klaviyo_assets.frames import EXTRA
from klaviyo_assets.sync.values import stands_beside
from klaviyo_assets.warehouse.base import quoted

_ROWS_AT_ONCE = 20_000
"""Rows that are in memory at once."""


def converted(column: str, before: str, after: str) -> str:
    """Return SQL for the values of a column in another type.

    Args:
        column: The column, quoted.
        before: Its type.
        after: Its new type.
    """
    if after == "JSON" and before == "VARCHAR":
        return f"CASE WHEN json_valid({column}) THEN {column}::JSON ELSE to_json({column}) END"
    if after == "VARCHAR" and before == "JSON":
        return f"{column} ->> '$'"
    return f"{column}::{after}"


def set_misfits_aside(connection: DuckDBPyConnection, table: str, column: Column, before: str) -> None:
    """Move values that cannot be converted into ``_extra``, where those stand that Klaviyo sends in another type.

    Args:
        connection: The database, in a transaction.
        table: The table, qualified.
        column: The column as the catalogue has it now.
        before: The type that it has in the table.
    """
    name = quoted(column.name)
    misfit = f"{name} IS NOT NULL AND TRY_CAST({name} AS {column.type}) IS NULL"
    if {before, str(column.type)} == {"JSON", "VARCHAR"}:
        return
    for first in [start for (start,) in connection.execute(f"SELECT DISTINCT rowid // {_ROWS_AT_ONCE} FROM {table} WHERE {misfit}").fetchall()]:
        rows = connection.sql(
            f"SELECT rowid AS place, to_json({name})::VARCHAR AS value, {EXTRA}::VARCHAR AS extra FROM {table} "
            f"WHERE rowid // {_ROWS_AT_ONCE} = {first} AND {misfit}"
        ).pl()
        beside = [_with(extra, stands_beside(column), value) for extra, value in zip(rows["extra"], rows["value"], strict=True)]
        connection.register("misfits", rows.select("place").with_columns(pl.Series("extra", beside, dtype=pl.String)))
        connection.execute(f"UPDATE {table} AS t SET {EXTRA} = misfits.extra, {name} = NULL FROM misfits WHERE t.rowid = misfits.place")
        connection.unregister("misfits")


def _with(extra: str | None, names: tuple[str, ...], value: str) -> str:
    """Return ``_extra`` with one value more."""
    members: dict[str, Any] = msgspec.json.decode(extra, type=dict[str, Raw]) if extra is not None else {}
    first, *rest = names
    members[first] = (
        Raw(_with(bytes(members[first]).decode() if first in members else None, tuple(rest), value).encode()) if rest else Raw(value.encode())
    )
    return msgspec.json.encode(members).decode()

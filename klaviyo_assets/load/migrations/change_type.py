"""A column that gets another type: every value is converted, or kept in ``_extra``; none of them stops a sync."""

from typing import Any

import msgspec
import polars as pl
from duckdb import DuckDBPyConnection
from msgspec import Raw

from klaviyo_assets.catalog.columns import Column
from klaviyo_assets.decode import EXTRA
from klaviyo_assets.load.predicates import extra_path
from klaviyo_assets.load.row_places import RowPlaces
from klaviyo_assets.load.row_ranges import row_ranges
from klaviyo_assets.warehouse.sql import quoted


def converted(column: str, before: str, after: str) -> str:
    """Return SQL for the values of a column in another type; null for those that cannot be converted.

    Args:
        column: The column, quoted.
        before: Its type.
        after: Its new type.
    """
    if after == "JSON" and before == "VARCHAR":
        return f"CASE WHEN json_valid({column}) THEN {column}::JSON ELSE to_json({column}) END"
    if after == "VARCHAR" and before == "JSON":
        return f"{column} ->> '$'"
    return f"TRY_CAST({column} AS {after})"


def collect_unconvertible(connection: DuckDBPyConnection, places: RowPlaces, column: Column, before: str) -> None:
    """Keep the values that cannot be converted for this transaction, until the column has its new type: see :func:`keep_unconvertible_in_extra`.

    Args:
        connection: The database, in a transaction.
        places: The rows of the table.
        column: The column as the catalog has it now.
        before: The type that it has in the table.
    """
    name = quoted(column.name)
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {_unconvertible(column)} AS SELECT place, to_json({name})::VARCHAR AS value FROM {places.rows} "
        f"WHERE {name} IS NOT NULL AND ({converted(name, before, str(column.type))}) IS NULL"
    )


def keep_unconvertible_in_extra(connection: DuckDBPyConnection, places: RowPlaces, column: Column) -> None:
    """Put the values that could not be converted into ``_extra``, where those stand that Klaviyo sends in another type.

    DuckDB 1 commits no change of a column's type after one of its rows, so that this comes last.

    Args:
        connection: The database, in the same transaction.
        places: The rows of the table.
        column: The column.
    """
    unconvertible = f"temp.{_unconvertible(column)}"
    found = f"(SELECT place, value, {EXTRA}::VARCHAR AS extra FROM {places.rows} AS t JOIN {unconvertible} AS m USING (place))"
    for some in row_ranges(connection, found, ["value", "extra"]):
        rows = connection.sql(f"FROM {found} WHERE {some.condition}").pl()
        beside = [_with(extra, extra_path(column), value) for extra, value in zip(rows["extra"], rows["value"], strict=True)]
        connection.register("beside", rows.select("place").with_columns(pl.Series("extra", beside, dtype=pl.String)))
        connection.execute(places.update(f"{EXTRA} = beside.extra", "beside"))
        connection.unregister("beside")
    connection.execute(f"DROP TABLE {unconvertible}")


def _unconvertible(column: Column) -> str:
    return quoted(f"unconvertible_of_{column.name}")


def _with(extra: str | None, names: tuple[str, ...], value: str) -> str:
    """Return ``_extra`` with one value more."""
    members: dict[str, Any] = msgspec.json.decode(extra, type=dict[str, Raw]) if extra is not None else {}
    first, *rest = names
    members[first] = (
        Raw(_with(bytes(members[first]).decode() if first in members else None, tuple(rest), value).encode()) if rest else Raw(value.encode())
    )
    return msgspec.json.encode(members).decode()

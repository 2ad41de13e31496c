"""Changes the type of a column. Values that cannot be converted are kept in ``_extra``, so none of them fails a sync."""

from typing import Any

import msgspec
import polars as pl
from duckdb import DuckDBPyConnection
from msgspec import Raw

from klaviyo_assets.catalog.columns import Column
from klaviyo_assets.decode import EXTRA
from klaviyo_assets.load.parts.row_places import RowPlaces
from klaviyo_assets.load.parts.row_ranges import row_ranges
from klaviyo_assets.load.predicates import extra_path
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
    """Collect the values that cannot be converted, before the type changes; :func:`keep_unconvertible_in_extra` stores them afterwards.

    Args:
        connection: The database, in a transaction.
        places: The rows of the table.
        column: The column, as defined in the catalog.
        before: Its current type in the table.
    """
    name = quoted(column.name)
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {_unconvertible(column)} AS SELECT place, to_json({name})::VARCHAR AS value FROM {places.rows} "
        f"WHERE {name} IS NOT NULL AND ({converted(name, before, str(column.type))}) IS NULL"
    )


def keep_unconvertible_in_extra(connection: DuckDBPyConnection, places: RowPlaces, column: Column) -> None:
    """Store the values that could not be converted in ``_extra``, like values that Klaviyo sends in an unexpected type.

    DuckDB 1 cannot commit a column's type change that follows a change of the table's rows, so this comes last.

    Args:
        connection: The database, in the same transaction.
        places: The rows of the table.
        column: The column.
    """
    unconvertible = f"temp.{_unconvertible(column)}"
    found = f"(SELECT place, m.value AS value, t.{EXTRA}::VARCHAR AS extra FROM {places.rows} AS t JOIN {unconvertible} AS m USING (place))"
    for range_ in row_ranges(connection, found, ["value", "extra"]):
        rows = connection.sql(f"FROM {found} WHERE {range_.condition}").pl()
        extended = [_with(extra, extra_path(column), value) for extra, value in zip(rows["extra"], rows["value"], strict=True)]
        connection.register("extended", rows.select("place").with_columns(pl.Series("extra", extended, dtype=pl.String)))
        connection.execute(places.update(f"{EXTRA} = extended.extra", "extended"))
        connection.unregister("extended")
    connection.execute(f"DROP TABLE {unconvertible}")


def _unconvertible(column: Column) -> str:
    return quoted(f"unconvertible_of_{column.name}")


def _with(extra: str | None, names: tuple[str, ...], value: str) -> str:
    """Return ``_extra`` with a value added."""
    members: dict[str, Any] = msgspec.json.decode(extra, type=dict[str, Raw]) if extra is not None else {}
    first, *rest = names
    members[first] = (
        Raw(_with(bytes(members[first]).decode() if first in members else None, tuple(rest), value).encode()) if rest else Raw(value.encode())
    )
    return msgspec.json.encode(members).decode()

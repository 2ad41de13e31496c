"""Rows that name included resources which are not stored: a response did not include them, and they could not be fetched by id so far."""

from collections.abc import Collection, Sequence

from duckdb import DuckDBPyConnection

from klaviyo_assets.catalog.columns import INCLUDED, Column, ColumnType
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.load.schema.tables import DELETED_AT, Tables
from klaviyo_assets.warehouse.sql import quoted

MAX_INCOMPLETE = 1_000
"""Rows that one sync completes; the others are left to later syncs."""


def incomplete_ids(connection: DuckDBPyConnection, tables: Tables, limit: int, without: Collection[str] = ()) -> list[str]:
    """Return the ids of rows that name resources which are not stored, ascending.

    Args:
        connection: The database.
        tables: Names of the tables; the table has all columns of the type.
        limit: Maximum number of ids.
        without: SHA-256 of the ids that are left out.
    """
    condition = _condition(tables.entry)
    if condition is None:
        return []
    id_ = quoted(tables.entry.id_column or "id")
    rows = connection.execute(
        f"SELECT {id_} FROM {tables.rows} WHERE {condition} AND NOT list_contains(?, sha256({id_})) ORDER BY {id_} LIMIT {int(limit)}",
        [sorted(without)],
    ).fetchall()
    return [str(value) for (value,) in rows]


def count_incomplete(connection: DuckDBPyConnection, tables: Tables) -> int:
    """Return how many rows name resources which are not stored."""
    condition = _condition(tables.entry)
    if condition is None:
        return 0
    ((rows,),) = connection.execute(f"SELECT count(*) FROM {tables.rows} WHERE {condition}").fetchall()
    return int(rows)


def _condition(entry: ResourceType) -> str | None:
    """SQL for rows that list ids of a relationship without a value for each; the ids are null in most rows, so the JSON is rarely read."""
    found = [
        f"(len({quoted(ids.name)}) > 0 AND ({quoted(column.name)} IS NULL OR list_contains(json_type({quoted(column.name)}, '$[*]'), 'NULL')))"
        for column in _lists(entry)
        for ids in entry.columns
        if ids.path == ("relationships", column.path[1])
    ]
    return f"{DELETED_AT} IS NULL AND ({' OR '.join(found)})" if found else None


def _lists(entry: ResourceType) -> Sequence[Column]:
    return [column for column in entry.columns if column.path[0] == INCLUDED and column.type is ColumnType.JSON]

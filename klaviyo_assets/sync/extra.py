"""Attributes that an earlier version did not know are moved out of ``_extra``, once there are columns for them."""

import msgspec
from duckdb import DuckDBPyConnection
from msgspec import Raw

from klaviyo_assets.catalog.model import ResourceType
from klaviyo_assets.frames import EXTRA, PageDecoder
from klaviyo_assets.warehouse.base import quoted

_ROWS_AT_ONCE = 20_000
"""Rows that are in memory at once."""

_RELATIONSHIP = "relationships."


def move_from_extra(connection: DuckDBPyConnection, table: str, entry: ResourceType) -> int:
    """Put what stands in ``_extra`` and fits a column into that column, inside the caller's transaction; the rest stays.

    Args:
        connection: The database.
        table: The table, qualified; it has all columns of the entry.
        entry: The resource type.

    Returns:
        Rows that were changed.
    """
    ((last,),) = connection.execute(f"SELECT coalesce(max(rowid), -1) FROM {table}").fetchall()
    return sum(_move(connection, table, entry, first) for first in range(0, last + 1, _ROWS_AT_ONCE))


def _move(connection: DuckDBPyConnection, table: str, entry: ResourceType, first: int) -> int:
    rows = connection.sql(
        f"SELECT rowid AS place, {quoted(entry.primary_key)} AS id, {EXTRA} FROM {table} "
        f"WHERE rowid BETWEEN {first} AND {first + _ROWS_AT_ONCE - 1} AND {EXTRA} IS NOT NULL"
    ).pl()
    if rows.is_empty():
        return 0
    records = b",".join(_record(id_, extra) for id_, extra in zip(rows["id"], rows[EXTRA], strict=True))
    fitted = PageDecoder(entry).page(b'{"data":[' + records + b"]}").frame.with_columns(rows["place"])
    fitted = fitted.filter(fitted[EXTRA].ne_missing(rows[EXTRA]))
    if fitted.is_empty():
        return 0
    names = [quoted(column.name) for column in entry.columns if column.path[0] in ("attributes", "relationships")]
    connection.register("fitted", fitted)
    connection.execute(
        f"UPDATE {table} AS t SET {', '.join(f'{name} = coalesce(t.{name}, fitted.{name})' for name in names)}, {EXTRA} = fitted.{EXTRA} "
        "FROM fitted WHERE t.rowid = fitted.place"
    )
    connection.unregister("fitted")
    return fitted.height


def _record(id_: str, extra: str) -> bytes:
    """Return a resource object of what stood in ``_extra``, each value as it came."""
    members = msgspec.json.decode(extra, type=dict[str, Raw])
    relationships = {name.removeprefix(_RELATIONSHIP): raw for name, raw in members.items() if name.startswith(_RELATIONSHIP)}
    attributes = {name: raw for name, raw in members.items() if not name.startswith(_RELATIONSHIP)}
    return msgspec.json.encode({"id": id_, "attributes": attributes, "relationships": relationships})

"""Attributes that an earlier version did not know, or had another type for, are moved out of ``_extra``, once there are columns that take them."""

from typing import Any

import msgspec
import polars as pl
from duckdb import DuckDBPyConnection
from msgspec import Raw

from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.decode import EXTRA, ODD_TEXT, RELATIONSHIP, PageDecoder
from klaviyo_assets.decode.schema import ATTRIBUTE, RECORD
from klaviyo_assets.load.row_places import RowPlaces
from klaviyo_assets.load.row_ranges import RowRange, row_ranges
from klaviyo_assets.warehouse.sql import key_text, quoted


def move_from_extra(connection: DuckDBPyConnection, places: RowPlaces, entry: ResourceType) -> int:
    """Put what stands in ``_extra`` and fits a column into that column, inside the caller's transaction; the rest stays.

    Args:
        connection: The database.
        places: The rows of the table, which has all columns of the entry.
        entry: The resource type.

    Returns:
        Rows that were changed.
    """
    filled = f"(SELECT place, {EXTRA} FROM {places.rows} WHERE {EXTRA} IS NOT NULL)"
    return sum(_move(connection, places, entry, some) for some in row_ranges(connection, filled, [EXTRA]))


def _move(connection: DuckDBPyConnection, places: RowPlaces, entry: ResourceType, some: RowRange) -> int:
    rows = connection.sql(
        f"SELECT place, {key_text(entry.primary_key)} AS id, {EXTRA} FROM {places.rows} WHERE {some.condition} AND {EXTRA} IS NOT NULL"
    ).pl()
    records = b",".join(_record(id_, extra) for id_, extra in zip(rows["id"], rows[EXTRA], strict=True))
    fitted = PageDecoder(entry).page(b'{"data":[' + records + b"]}").frame.with_columns(rows["place"])
    fitted = fitted.with_columns(pl.Series(EXTRA, map(_with_odd_text, fitted[EXTRA], rows[EXTRA]), dtype=pl.String))
    fitted = fitted.filter(fitted[EXTRA].ne_missing(rows[EXTRA]))
    if fitted.is_empty():
        return 0
    names = [quoted(column.name) for column in entry.columns if column.path[0] in ("attributes", "relationships")]
    connection.register("fitted", fitted)
    moved = [f"{name} = coalesce(t.{name}, fitted.{name})" for name in names]
    connection.execute(places.update(", ".join([*moved, f"{EXTRA} = fitted.{EXTRA}"]), "fitted"))
    connection.unregister("fitted")
    return fitted.height


def _record(id_: str, extra: str) -> bytes:
    """Return a resource object of what stood in ``_extra``, each value as it came."""
    record: dict[str, Any] = {"id": id_}
    attributes: dict[str, Raw] = {}
    relationships: dict[str, Raw] = {}
    for name, raw in _members(extra).items():
        if name.startswith(RELATIONSHIP):
            relationships[name.removeprefix(RELATIONSHIP)] = raw
        elif name.startswith(RECORD):
            record[name.removeprefix(RECORD)] = raw
        elif name != ODD_TEXT:
            attributes[name.removeprefix(ATTRIBUTE)] = raw
    return msgspec.json.encode({"attributes": attributes, "relationships": relationships} | record)


def _with_odd_text(extra: str | None, before: str) -> str | None:
    """Put back the record as it came: it stays beside the row, whatever has got a column."""
    odd = _members(before).get(ODD_TEXT)
    if odd is None:
        return extra
    return msgspec.json.encode((_members(extra) if extra is not None else {}) | {ODD_TEXT: odd}).decode()


def _members(extra: str) -> dict[str, Raw]:
    return msgspec.json.decode(extra, type=dict[str, Raw])

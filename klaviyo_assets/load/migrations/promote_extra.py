"""Moves values from ``_extra`` into columns that now exist, or now have the right type."""

from typing import Any

import msgspec
import polars as pl
from duckdb import DuckDBPyConnection
from msgspec import Raw

from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.decode import EXTRA, ODD_TEXT, RELATIONSHIP, PageDecoder
from klaviyo_assets.decode.polars_schema import ATTRIBUTE, RECORD
from klaviyo_assets.load.parts.row_places import RowPlaces
from klaviyo_assets.load.parts.row_ranges import RowRange, row_ranges
from klaviyo_assets.warehouse.sql import key_text, quoted


def move_from_extra(connection: DuckDBPyConnection, places: RowPlaces, entry: ResourceType) -> int:
    """Move the values of ``_extra`` that fit a column into that column, inside the caller's transaction. Other values stay.

    Args:
        connection: The database.
        places: The rows of the table, which has all columns of the entry.
        entry: The resource type.

    Returns:
        Rows that were changed.
    """
    filled = f"(SELECT place, {EXTRA} FROM {places.rows} WHERE {EXTRA} IS NOT NULL)"
    return sum(_move(connection, places, entry, range_) for range_ in row_ranges(connection, filled, [EXTRA]))


def _move(connection: DuckDBPyConnection, places: RowPlaces, entry: ResourceType, range_: RowRange) -> int:
    rows = connection.sql(
        f"SELECT place, {key_text(entry.primary_key)} AS id, {EXTRA} FROM {places.rows} WHERE {range_.condition} AND {EXTRA} IS NOT NULL"
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
    """Build a resource object from the members of ``_extra``, each value unchanged."""
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
    """Put the raw record back into ``_extra``: it stays there, whatever moved into columns."""
    odd = _members(before).get(ODD_TEXT)
    if odd is None:
        return extra
    return msgspec.json.encode((_members(extra) if extra is not None else {}) | {ODD_TEXT: odd}).decode()


def _members(extra: str) -> dict[str, Raw]:
    return msgspec.json.decode(extra, type=dict[str, Raw])

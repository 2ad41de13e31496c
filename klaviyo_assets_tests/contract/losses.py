"""Lists the members of a resource object that a row holds neither in a column nor in ``_extra``."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from klaviyo_assets.catalog.columns import Column, ColumnType
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.decode import EXTRA
from klaviyo_assets.decode.timestamps import timestamp_or_none

Path = tuple[str, ...]

_ADDRESSES = "links"
"""The member with the API's own addresses of a record or relationship: no data of the account."""


def losses(entry: ResourceType, record: Mapping[str, Any], row: Mapping[str, Any]) -> list[str]:
    """Return the dotted paths of the members that the row does not hold, or holds with another value.

    Args:
        entry: The type.
        record: The resource object, as Klaviyo sent it.
        row: The row that it was decoded into.

    Example:
        >>> losses(CATALOG["lists"], {"type": "list", "id": "A", "attributes": {"name": "VIP"}}, {"id": "A", "name": None, "_extra": None})
        ['attributes.name']
    """
    extra = json.loads(row[EXTRA]) if row[EXTRA] else {}
    columns = {column.path: column for column in entry.columns}
    lost: list[Path] = [] if record["type"] == entry.jsonapi_type else [("type",)]
    for name, value in record.items():
        match name:
            case "id":
                lost += [] if row[str(entry.id_column)] == value else [("id",)]
            case "attributes":
                lost += _of_attributes(value, ("attributes",), columns, row, extra)
            case "relationships":
                # The parent's id is a column of a child type, whether the record names it or not.
                of_parent = entry.parent.relationship if entry.parent is not None else None
                lost += _of_relationships({name: one for name, one in value.items() if name != of_parent}, columns, row, extra)
            case "type" | "links":
                pass
            case _:
                lost += [] if name in extra and extra[name] == value else [(name,)]
    return [".".join(path) for path in lost]


def _of_attributes(value: Any, path: Path, columns: Mapping[Path, Column], row: Mapping[str, Any], extra: Any) -> Iterator[Path]:
    if path in columns:
        if row[columns[path].name] != _stored(columns[path], value) and not _in_extra(extra, path[1:], value):
            yield path
    elif isinstance(value, dict) and any(known[: len(path)] == path for known in columns):
        for name, member in value.items():
            yield from _of_attributes(member, (*path, name), columns, row, extra)
    elif not _in_extra(extra, path[1:], value) and value not in ({}, []):
        yield path


def _stored(column: Column, value: Any) -> Any:
    """Return what the column holds for a value; JSON is compared by its content."""
    if value is None and column.type is not ColumnType.JSON:
        return None
    match column.type:
        case ColumnType.TIMESTAMP:
            return timestamp_or_none(value)
        case ColumnType.JSON:
            return _SameJson(value)
        case _:
            return value


class _SameJson:
    """Equals any JSON text of a value."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and json.loads(other) == self._value

    __hash__ = None  # type: ignore[assignment]


def _in_extra(extra: Any, path: Path, value: Any) -> bool:
    place = extra
    for name in path:
        if not isinstance(place, dict) or name not in place:
            return False
        place = place[name]
    return bool(place == value)


def _of_relationships(found: Mapping[str, Any], columns: Mapping[Path, Column], row: Mapping[str, Any], extra: Any) -> Iterator[Path]:
    for name, relationship in found.items():
        path, data = ("relationships", name), relationship.get("data")
        if extra.get(f"relationships.{name}") == relationship:
            continue
        if relationship.keys() - {"data", _ADDRESSES}:
            yield path
        elif path not in columns:
            yield from [path] if data else []
        elif row[columns[path].name] != (None if data is None else [one["id"] for one in data] if isinstance(data, list) else data["id"]):
            yield path

"""A record's JSON as the row that the table should hold. It uses the catalog's paths and no decoder code of the library."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from klaviyo_assets.catalog.columns import Column, ColumnType
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets_tests.event_columns import event_columns

Row = tuple[Any, ...]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def row_of(entry: ResourceType, raw: bytes) -> Row:
    """Return the row of a resource object: timestamps in microseconds, JSON as the text that was sent; no volatile values.

    Args:
        entry: The resource type.
        raw: The resource object. ``meta`` holds the values that come from its subset, and the id of its parent.
    """
    values = {column.name: None if column.volatile else _value(column, raw) for column in entry.received_columns}
    if entry.computed_columns:
        values |= event_columns(values["event_properties"], values)
    return tuple(values[column.name] for column in entry.columns)


def volatile_values(entry: ResourceType, raw: bytes) -> Row:
    """Return the values of a resource object in the volatile columns."""
    return tuple(_value(column, raw) for column in entry.columns if column.volatile)


def volatile_sql(entry: ResourceType) -> str:
    """Return SQL for a list of such values."""
    return f"[{', '.join(f'({_value_sql(column)})::VARCHAR' for column in entry.columns if column.volatile)}]"


def key_of(entry: ResourceType, raw: bytes) -> str:
    """Return the primary key of a resource object as one string, prefixed with the parent's id if the type has a parent."""
    id_ = str(_loaded(_member(raw, ("id",))))
    return id_ if entry.parent is None else f"{_loaded(_member(raw, ('meta', entry.parent.column)))}/{id_}"


def parent_of(entry: ResourceType, key: str) -> str | None:
    """Return the parent's id in a key of :func:`key_of`; None if the type has no parent."""
    return None if entry.parent is None else key.split("/")[0]


def secondary_cursor_times(paths: Iterable[str], raw: bytes) -> dict[str, int | None]:
    """Return a resource object's secondary cursor timestamps by dotted path; for a list, the first entry counts."""
    found = {}
    for path in paths:
        value: Any = _loaded(_member(raw, ("attributes", path.split(".")[0])))
        for name in path.split(".")[1:]:
            value = value[0] if isinstance(value, list) and value else value
            value = value.get(name) if isinstance(value, dict) else None
        found[path] = micros(datetime.fromisoformat(value)) if value is not None else None
    return found


def row_sql(entry: ResourceType) -> str:
    """Return SQL that selects the columns of such a row."""
    return ", ".join(map(_column_sql, entry.columns))


def _column_sql(column: Column) -> str:
    return "NULL" if column.volatile else _value_sql(column)


def _value_sql(column: Column) -> str:
    return f'epoch_us("{column.name}")' if column.type is ColumnType.TIMESTAMP else f'"{column.name}"'


def micros(instant: datetime) -> int:
    """Return a datetime as microseconds since 1970."""
    return (instant - _EPOCH) // _MICROSECOND


def _value(column: Column, raw: bytes) -> Any:
    match column.path:
        case ("relationships", name):
            data = _loaded(_member(raw, ("relationships", name, "data")))
            if column.type is ColumnType.STRINGS:
                return [one["id"] for one in data] if isinstance(data, list) else None
            return data["id"] if data is not None else None
        case ("included", name, "relationships", *target):
            return _included_value(_member(raw, ("meta", "included", name)), target)
        case ("subset" | "parent" | "derived", name):
            return _loaded(_member(raw, ("meta", name)))
        case ("within", name, *inside):
            return _value_within(column, _loaded(_member(raw, ("attributes", name))), inside)
        case path:
            found = _member(raw, path)
    if column.type is ColumnType.JSON:
        return found.decode() if found is not None else None
    value = _loaded(found)
    if column.type is ColumnType.FLOAT and value is not None:
        return float(value)  # Klaviyo writes coordinates as numbers or as text
    return micros(datetime.fromisoformat(value)) if column.type is ColumnType.TIMESTAMP and value is not None else value


def _included_value(resources: bytes | None, target: list[str]) -> str | None:
    """Return what all included resources of a relationship name, as JSON; or the id that the first one names in a relationship of its own."""
    if resources is None or resources == b"[]":
        return None
    if not target:
        return resources.decode()
    first = msgspec.json.decode(resources, type=list[msgspec.Raw])[0]
    related = _loaded(_member(bytes(first), (target[0], "data")))
    return related["id"] if related is not None else None


def _value_within(column: Column, value: Any, path: list[str]) -> Any:
    for place, name in enumerate(path):
        if name == "*":
            return None if not value else [_value_within(column, one, path[place + 1 :]) for one in value]
        if value is not None:
            value = (value[0] if value else None) if name == "0" else value.get(name)
    return micros(datetime.fromisoformat(value)) if column.type is ColumnType.TIMESTAMP and value is not None else value


def _member(raw: bytes, path: tuple[str, ...]) -> bytes | None:
    """Return the raw JSON text of an object's member; None if it is missing."""
    for name in path:
        members = msgspec.json.decode(raw, type=dict[str, msgspec.Raw] | None)
        if members is None or name not in members:
            return None
        raw = bytes(members[name])
    return raw


def _loaded(raw: bytes | None) -> Any:
    return json.loads(raw) if raw is not None else None

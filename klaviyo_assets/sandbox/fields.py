"""The fields that Klaviyo filters and sorts by: where a record holds their values, and the kind of the values."""

from enum import StrEnum
from functools import cache
from typing import Any

import msgspec

from klaviyo_assets.catalog.columns import ColumnType
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.sandbox import instants

Value = str | int | bool | None
"""A value to filter or sort by; instants are microseconds since the epoch."""


class FieldKind(StrEnum):
    """Kind of a field; determines the syntax of its values in a filter."""

    TIME = "time"
    STRING = "string"
    BOOLEAN = "boolean"
    INTEGER = "integer"
    RELATION = "relation"


_KINDS = {
    ColumnType.TIMESTAMP: FieldKind.TIME,
    ColumnType.BOOLEAN: FieldKind.BOOLEAN,
    ColumnType.INTEGER: FieldKind.INTEGER,
    ColumnType.STRING: FieldKind.STRING,
}

_ALIASES = {
    ("events", "timestamp"): "datetime",
    ("events", "profile"): "profile_id",
    ("events", "metric"): "metric_id",
    ("catalog_categories", "ids"): "id",
    ("catalog_category_items", "ids"): "id",
    ("catalog_items", "ids"): "id",
    ("catalog_variants", "ids"): "id",
}
"""Fields that are aliases of another field."""

_OWN_NAMES = {("reviews", "status"): ("status", "value")}
"""Fields with a value at another path in the attributes than their name."""


def canonical(entry: ResourceType, field: str) -> str:
    """Return the name under which a record stores the field's value."""
    return _ALIASES.get((entry.name, field), field)


@cache
def _attribute_paths(name: str, entry_columns: tuple[Any, ...]) -> dict[str, tuple[tuple[str, ...], FieldKind]]:
    paths = {
        ".".join(column.path[1:]): (column.path[1:], _KINDS[column.type])
        for column in entry_columns
        if column.path[0] == "attributes" and column.type in _KINDS
    }
    return paths | {field: (path, FieldKind.STRING) for (type_name, field), path in _OWN_NAMES.items() if type_name == name}


@cache
def _sorted_or_filtered(name: str, filters: tuple[str, ...], sorts: tuple[str, ...]) -> frozenset[str]:
    return frozenset(filters) | frozenset(sorts)


def kind_of(entry: ResourceType, field: str) -> FieldKind:
    """Return the kind of a field that the endpoint filters by."""
    if "has" in entry.endpoint.filters.get(field, ()):
        return FieldKind.RELATION
    if field.endswith(".timestamp") or field == "timestamp":
        return FieldKind.TIME
    known = _attribute_paths(entry.name, entry.columns).get(field)
    return known[1] if known else FieldKind.STRING


def values_of(entry: ResourceType, attributes: dict[str, Any]) -> dict[str, Value]:
    """Return the values in a record's attributes to filter and sort by, by field."""
    wanted = _sorted_or_filtered(entry.name, tuple(entry.endpoint.filters), entry.endpoint.sorts)
    values: dict[str, Value] = {}
    for field, (path, kind) in _attribute_paths(entry.name, entry.columns).items():
        if field in wanted and canonical(entry, field) == field:
            value = _at(attributes, path)
            values[field] = instants.parse(value) if kind is FieldKind.TIME and value is not None else value
    for field in wanted - values.keys():
        inner = _at(attributes, tuple(field.split("."))) if "." in field else None
        if isinstance(inner, str | bool | int):
            values[field] = inner
    if "integration" in attributes:
        integration = _plain(attributes["integration"])
        values |= {"integration.name": integration["name"], "integration.category": integration["category"]}
    return values


def _at(attributes: dict[str, Any], path: tuple[str, ...]) -> Any:
    value: Any = attributes
    for part in path:
        value = _plain(value.get(part)) if isinstance(value, dict) else None
    return value


def _plain(value: Any) -> Any:
    return msgspec.json.decode(value) if isinstance(value, msgspec.Raw) else value

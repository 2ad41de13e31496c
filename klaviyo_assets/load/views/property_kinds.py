"""Kinds of values of a custom property: the narrowest column type that all values agree on, found by reading the JSON alone."""

import math
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Raw

_EXACT_IN_DOUBLE = 2**53
_MAX_BIGINT = 2**63 - 1

_Instant = Annotated[datetime, msgspec.Meta(tz=True)]
_Exact = Annotated[int, msgspec.Meta(ge=-_EXACT_IN_DOUBLE, le=_EXACT_IN_DOUBLE)]
_Long = Annotated[int, msgspec.Meta(ge=-_MAX_BIGINT - 1, le=_MAX_BIGINT)]


class PropertyKind(StrEnum):
    """What all values of a property are; the value is what the bookkeeping stores."""

    NULL = "null"
    INTEGER = "integer"
    """Whole numbers that a DOUBLE holds exactly."""
    LONG = "long"
    """Whole numbers of which some fit a BIGINT only."""
    NUMBER = "number"
    BOOLEAN = "boolean"
    TIME = "time"
    """Texts that are timestamps with an offset (ISO 8601)."""
    TEXT = "text"
    JSON = "json"
    """Values of different kinds, lists, objects and numbers that no column holds."""


COLUMN_TYPES: dict[PropertyKind, str] = {
    PropertyKind.INTEGER: "BIGINT",
    PropertyKind.LONG: "BIGINT",
    PropertyKind.NUMBER: "DOUBLE",
    PropertyKind.BOOLEAN: "BOOLEAN",
    PropertyKind.TIME: "TIMESTAMP WITH TIME ZONE",
    PropertyKind.TEXT: "VARCHAR",
    PropertyKind.JSON: "JSON",
}
"""The type of a property's column. A property without any value but null has none yet."""

DECODED: dict[PropertyKind, Any] = {
    PropertyKind.NULL: Literal[None],
    PropertyKind.INTEGER: _Exact | None,
    PropertyKind.LONG: _Long | None,
    PropertyKind.NUMBER: _Exact | float | None,
    PropertyKind.BOOLEAN: bool | None,
    PropertyKind.TIME: _Instant | None,
    PropertyKind.TEXT: str | None,
    PropertyKind.JSON: Raw,
}
"""What msgspec accepts for a kind: exactly its values, checked at the speed of C."""

_WIDER: dict[frozenset[PropertyKind], PropertyKind] = {
    frozenset({PropertyKind.INTEGER, PropertyKind.LONG}): PropertyKind.LONG,
    frozenset({PropertyKind.INTEGER, PropertyKind.NUMBER}): PropertyKind.NUMBER,
    frozenset({PropertyKind.TIME, PropertyKind.TEXT}): PropertyKind.TEXT,
}

_INSTANT_DECODER = msgspec.json.Decoder(_Instant)


def wider(one: PropertyKind, other: PropertyKind) -> PropertyKind:
    """Return the narrowest kind that has the values of both.

    Example:
        >>> wider(PropertyKind.INTEGER, PropertyKind.NUMBER), wider(PropertyKind.LONG, PropertyKind.NUMBER)
        (<PropertyKind.NUMBER: 'number'>, <PropertyKind.JSON: 'json'>)
    """
    if one is other or other is PropertyKind.NULL:
        return one
    return other if one is PropertyKind.NULL else _WIDER.get(frozenset({one, other}), PropertyKind.JSON)


def json_kind_of(value: Raw | bytes) -> PropertyKind:
    """Return the kind of one JSON value."""
    text = bytes(value)
    match text[:1]:
        case b"n":
            return PropertyKind.NULL
        case b"t" | b"f":
            return PropertyKind.BOOLEAN
        case b'"':
            return PropertyKind.TIME if _is_instant(text) else PropertyKind.TEXT
        case b"{" | b"[":
            return PropertyKind.JSON
    if any(character in text for character in b".eE"):
        return PropertyKind.NUMBER if math.isfinite(float(text)) else PropertyKind.JSON
    size = abs(int(text)) if len(text) <= len(str(_MAX_BIGINT)) + 1 else math.inf
    return PropertyKind.INTEGER if size <= _EXACT_IN_DOUBLE else PropertyKind.LONG if size <= _MAX_BIGINT else PropertyKind.JSON


def _is_instant(text: bytes) -> bool:
    try:
        _INSTANT_DECODER.decode(text)
    except msgspec.DecodeError:
        return False
    return True

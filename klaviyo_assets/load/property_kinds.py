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


class Kind(StrEnum):
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


COLUMN_TYPES: dict[Kind, str] = {
    Kind.INTEGER: "BIGINT",
    Kind.LONG: "BIGINT",
    Kind.NUMBER: "DOUBLE",
    Kind.BOOLEAN: "BOOLEAN",
    Kind.TIME: "TIMESTAMP WITH TIME ZONE",
    Kind.TEXT: "VARCHAR",
    Kind.JSON: "JSON",
}
"""The type of a property's column. A property without any value but null has none yet."""

DECODED: dict[Kind, Any] = {
    Kind.NULL: Literal[None],
    Kind.INTEGER: _Exact | None,
    Kind.LONG: _Long | None,
    Kind.NUMBER: _Exact | float | None,
    Kind.BOOLEAN: bool | None,
    Kind.TIME: _Instant | None,
    Kind.TEXT: str | None,
    Kind.JSON: Raw,
}
"""What msgspec accepts for a kind: exactly its values, checked at the speed of C."""

_WIDER: dict[frozenset[Kind], Kind] = {
    frozenset({Kind.INTEGER, Kind.LONG}): Kind.LONG,
    frozenset({Kind.INTEGER, Kind.NUMBER}): Kind.NUMBER,
    frozenset({Kind.TIME, Kind.TEXT}): Kind.TEXT,
}

_INSTANT_DECODER = msgspec.json.Decoder(_Instant)


def wider(one: Kind, other: Kind) -> Kind:
    """Return the narrowest kind that has the values of both.

    Example:
        >>> wider(Kind.INTEGER, Kind.NUMBER), wider(Kind.LONG, Kind.NUMBER)
        (<Kind.NUMBER: 'number'>, <Kind.JSON: 'json'>)
    """
    if one is other or other is Kind.NULL:
        return one
    return other if one is Kind.NULL else _WIDER.get(frozenset({one, other}), Kind.JSON)


def kind_of(value: Raw | bytes) -> Kind:
    """Return the kind of one JSON value."""
    text = bytes(value)
    match text[:1]:
        case b"n":
            return Kind.NULL
        case b"t" | b"f":
            return Kind.BOOLEAN
        case b'"':
            return Kind.TIME if _is_instant(text) else Kind.TEXT
        case b"{" | b"[":
            return Kind.JSON
    if any(character in text for character in b".eE"):
        return Kind.NUMBER if math.isfinite(float(text)) else Kind.JSON
    size = abs(int(text)) if len(text) <= len(str(_MAX_BIGINT)) + 1 else math.inf
    return Kind.INTEGER if size <= _EXACT_IN_DOUBLE else Kind.LONG if size <= _MAX_BIGINT else Kind.JSON


def _is_instant(text: bytes) -> bool:
    try:
        _INSTANT_DECODER.decode(text)
    except msgspec.DecodeError:
        return False
    return True

"""Instants: from Klaviyo's texts to a column, or to ``_extra`` where a text is no instant, so that no value changes without a trace."""

import re
from collections.abc import Sequence
from datetime import MAXYEAR, MINYEAR, UTC, datetime
from typing import Any

import msgspec
import polars as pl

from klaviyo_assets.catalog.columns import Column

_USUAL = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?[+-](?:[01][0-9]|2[0-3]):[0-5][0-9]$"
"""The form in which nearly all instants come; parsers take much more, and turn it into an instant that Klaviyo has not sent."""

_USUAL_FORMAT = "%Y-%m-%dT%H:%M:%S%.f%:z"

_ACCEPTED = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(?:[T ](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6}([0-9]*))?(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])?)?"
)
"""RFC 3339, and what has been seen besides: a space for the T, no offset (which means UTC), a day alone. The group is finer than a column is."""


def parse_instant(text: str) -> datetime | None:
    """Parse an instant; None if the text is none.

    Example:
        >>> parse_instant("2026-01-02 03:04:05+00:00")
        datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)
    """
    if not _ACCEPTED.fullmatch(text):
        return None
    try:
        value = datetime.fromisoformat(text)
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def instants(column: Column, texts: list[str | None], extras: list[bytes | None]) -> pl.Series:
    """Parse a column of instants: the usual form in one go, others one by one.

    Args:
        column: The column.
        texts: Its values.
        extras: ``_extra`` of the same records; what is no instant is put in there, and what is finer than the column as well.
    """
    raw = pl.Series(column.name, texts, dtype=pl.String)
    parsed = raw.str.to_datetime(_USUAL_FORMAT, time_unit="us", time_zone="UTC", strict=False)
    usual = raw.str.contains(_USUAL) & parsed.dt.year().is_between(MINYEAR, MAXYEAR)  # Python's dates end there
    others = (raw.is_not_null() & ~usual.fill_null(False)).arg_true()
    for index in others.to_list():
        text = raw[index]
        parsed[index] = value = parse_instant(text)
        if value is None or _is_finer(text):
            extras[index] = _with_extra(extras[index], column.path[1:], text)
    return parsed


def _is_finer(text: str) -> bool:
    """Whether an instant has digits beyond microseconds."""
    found = _ACCEPTED.fullmatch(text)
    return found is not None and bool((found[1] or "").strip("0"))


def _with_extra(extra: bytes | None, path: Sequence[str], value: str) -> bytes:
    members: dict[str, Any] = msgspec.json.decode(extra, type=dict[str, msgspec.Raw]) if extra else {}
    node = members
    for part in path[:-1]:
        inner = node.get(part)
        node[part] = msgspec.json.decode(inner, type=dict[str, msgspec.Raw]) if isinstance(inner, msgspec.Raw) else (inner or {})
        node = node[part]
    node[path[-1]] = value
    return msgspec.json.encode(members)

"""Parses Klaviyo's timestamps to a column; a text that is not a valid timestamp goes to ``_extra``, so no value is lost."""

import re
from collections.abc import Sequence
from datetime import MAXYEAR, MINYEAR, UTC, datetime
from typing import Any

import msgspec
import polars as pl

from klaviyo_assets.catalog.columns import Column

_USUAL = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?[+-](?:[01][0-9]|2[0-3]):[0-5][0-9]$"
"""The format of nearly all timestamps. Parsers accept more, and would turn some texts into a time that Klaviyo has not sent."""

_USUAL_FORMAT = "%Y-%m-%dT%H:%M:%S%.f%:z"

_RAW = pl.col("text")

_PARSED = _RAW.str.to_datetime(_USUAL_FORMAT, time_unit="us", time_zone="UTC", strict=False)

_WHOLE_UTC_SECONDS = (_RAW.str.ends_with("+00:00") & (_RAW.str.len_bytes() == len("2026-01-02T03:04:05+00:00"))).all()
"""Whether all texts have the form of nearly all columns; nulls do not count. Polars parses it in a third of the time."""

_PARSED_WHOLE_SECONDS = _RAW.str.head(-len("+00:00")).str.to_datetime("%Y-%m-%dT%H:%M:%S", time_unit="us", strict=False).dt.replace_time_zone("UTC")

_UNUSUAL = _RAW.is_not_null() & ~(_RAW.str.contains(_USUAL) & pl.col("parsed").dt.year().is_between(MINYEAR, MAXYEAR)).fill_null(False)
"""Whether a text must be parsed separately; the range is that of Python's dates."""

_DATE_ONLY = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"

_ACCEPTED = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(?:[T ](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6}([0-9]*))?(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])?)?"
)
"""RFC 3339 and variants seen in practice: a space instead of the T, no offset (which means UTC), a date alone. The group has the digits beyond
microseconds."""


def timestamp_or_none(text: str) -> datetime | None:
    """Parse a timestamp; return None if it is invalid.

    Example:
        >>> timestamp_or_none("2026-01-02 03:04:05+00:00")
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
    """Parse a column of timestamps: the usual format at once, others one by one.

    Args:
        column: The column.
        texts: Its values.
        extras: ``_extra`` of the same records; modified here to include invalid timestamps, and those with more digits than microseconds.
    """
    raw = pl.Series(column.name, texts, dtype=pl.String)
    # Expressions, not one method after another: each method of a series is a separate query, which costs more than its work.
    frame = raw.to_frame("text")
    whole_seconds = frame.select(_WHOLE_UTC_SECONDS).item()
    frame = frame.with_columns((_PARSED_WHOLE_SECONDS if whole_seconds else _PARSED).alias("parsed"))
    parsed = frame["parsed"].alias(column.name)
    for index in frame.select(_UNUSUAL.arg_true()).to_series().to_list():
        text = raw[index]
        parsed[index] = value = timestamp_or_none(text)
        if value is None or _is_finer(text):
            extras[index] = _with_extra(extras[index], column.path[1:], text)
    return parsed


def dates(column: Column, texts: list[str | None], extras: list[bytes | None]) -> pl.Series:
    """Parse a column of dates such as ``2026-01-31``.

    Args:
        column: The column.
        texts: Its values.
        extras: ``_extra`` of the same records; modified here to include what is not a date.
    """
    raw = pl.Series(column.name, texts, dtype=pl.String)
    parsed = raw.str.to_date("%Y-%m-%d", strict=False)
    usual = raw.str.contains(_DATE_ONLY) & parsed.is_not_null()
    for index in (raw.is_not_null() & ~usual.fill_null(False)).arg_true().to_list():
        parsed[index] = None
        extras[index] = _with_extra(extras[index], column.path[1:], raw[index])
    return parsed


def _is_finer(text: str) -> bool:
    """Return whether a timestamp has digits beyond microseconds."""
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

"""Instants as whole microseconds since 1970-01-01 UTC: exact, small and fast to compare."""

import re
from datetime import UTC, datetime, timedelta

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)")


def to_micros(instant: datetime) -> int:
    """Return a timezone-aware datetime as microseconds since the epoch."""
    return (instant - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """Return microseconds since the epoch as a datetime in UTC."""
    return _EPOCH + timedelta(microseconds=micros)


def render(micros: int) -> str:
    """Return an instant in Klaviyo's format: ``2026-07-15T10:00:00+00:00``, with a fraction only if it is not zero."""
    return from_micros(micros).isoformat()


def render_whole(micros: int) -> str:
    """Return an instant in Klaviyo's format for whole seconds, such as a profile's times: without the fraction."""
    return render(micros - micros % SECOND)


def parse(text: str) -> int:
    """Return an RFC 3339 instant as microseconds since the epoch.

    Raises:
        ValueError: If the text is not one; a UTC offset is required.
    """
    if not _RFC_3339.fullmatch(text):
        raise ValueError(f"not an RFC 3339 instant: {text!r}")
    return to_micros(datetime.fromisoformat(text.upper()))

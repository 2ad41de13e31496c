"""Instants as numbers since 1970. DuckDB's own conversion to Python fails for the first and last years, so queries select ``epoch_us()``."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def from_microseconds(microseconds: int) -> datetime:
    """Return the instant, as UTC.

    Example:
        >>> from_microseconds(1_000_000).isoformat()
        '1970-01-01T00:00:01+00:00'
    """
    return _EPOCH + timedelta(microseconds=microseconds)


def from_seconds(seconds: int) -> datetime:
    """Return the instant, as UTC.

    Example:
        >>> from_seconds(900).isoformat()
        '1970-01-01T00:15:00+00:00'
    """
    return _EPOCH + timedelta(seconds=seconds)

"""Requests counts of events from Klaviyo, by metric and day."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import msgspec

from klaviyo_assets.api.client import KlaviyoClient
from klaviyo_assets.catalog.endpoint import Query
from klaviyo_assets.catalog.types.metric_aggregates import METRIC_AGGREGATES


class _Measurements(msgspec.Struct):
    count: list[float]


class _Measured(msgspec.Struct):
    measurements: _Measurements


class _Attributes(msgspec.Struct):
    dates: list[datetime]
    data: list[_Measured]


class _Data(msgspec.Struct):
    attributes: _Attributes


class _Document(msgspec.Struct):
    data: _Data


def years(start: datetime, end: datetime, longest: timedelta = METRIC_AGGREGATES.longest_span) -> Iterator[tuple[datetime, datetime]]:
    """Split a time window into parts that one request may cover.

    Args:
        start: Start of the window.
        end: End of the window, excluded.
        longest: The longest part.

    Example:
        >>> len(list(years(datetime(2024, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC))))
        3
    """
    while start < end:
        piece_end = min(start + longest, end)
        yield start, piece_end
        start = piece_end


async def counts_by_day(client: KlaviyoClient, metric_id: str, start: datetime, end: datetime, query: Query = METRIC_AGGREGATES) -> dict[date, int]:
    """Return the number of events of a metric on each day (UTC) of a time window. Days missing from the response are left out.

    Args:
        client: The client; one request.
        metric_id: The metric.
        start: Start of the window; a midnight (UTC) for whole days.
        end: End of the window, excluded; at most a year later.
        query: The endpoint with the counts.

    Raises:
        KlaviyoError: If Klaviyo refuses or fails.
    """
    body = {
        "metric_id": metric_id,
        "measurements": ["count"],
        "interval": "day",
        "timezone": "UTC",
        "filter": [f"greater-or-equal(datetime,{_naive(start)})", f"less-than(datetime,{_naive(end)})"],
    }
    return (await client.query(query, body, _decode)).value


def _decode(body: bytes) -> dict[date, int]:
    """Decode a response. Without grouping it has one set of measurements, or none if nothing was measured."""
    found = msgspec.json.decode(body, type=_Document).data.attributes
    days = [moment.astimezone(UTC).date() if moment.tzinfo else moment.date() for moment in found.dates]
    counts = dict.fromkeys(days, 0)
    for measured in found.data:
        for day, count in zip(days, measured.measurements.count, strict=True):
            counts[day] += int(count)
    return counts


def _naive(moment: datetime) -> str:
    """Format an instant as this endpoint expects it: without an offset, in the timezone of the request."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat()

"""Asks Klaviyo how many events of a metric lie in each day."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import msgspec

from klaviyo_assets.api.client import KlaviyoClient
from klaviyo_assets.catalog.aggregates import METRIC_AGGREGATES
from klaviyo_assets.sync.coverage import Span

DAY = timedelta(days=1)


class _Measured(msgspec.Struct):
    measurements: dict[str, list[float]]


class _Attributes(msgspec.Struct):
    dates: list[datetime]
    data: list[_Measured]


class _Data(msgspec.Struct):
    attributes: _Attributes


class _Document(msgspec.Struct):
    data: _Data


def years(span: Span) -> Iterator[Span]:
    """Cut a span into pieces that one question may be about.

    Example:
        >>> len(list(years(Span(datetime(2024, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)))))
        3
    """
    start = span.start
    while start < span.end:
        end = min(start + METRIC_AGGREGATES.longest_span, span.end)
        yield Span(start, end)
        start = end


async def counts_by_day(client: KlaviyoClient, metric_id: str, span: Span) -> dict[date, int]:
    """Return how many events of a metric lie in each day (UTC) of a span; days that the answer leaves out are missing.

    Args:
        client: The client; one request.
        metric_id: The metric.
        span: Whole days, a year at most.

    Raises:
        KlaviyoError: If Klaviyo refuses or fails.
    """
    question = {
        "metric_id": metric_id,
        "measurements": ["count"],
        "interval": "day",
        "timezone": "UTC",
        "filter": [f"greater-or-equal(datetime,{_naive(span.start)})", f"less-than(datetime,{_naive(span.end)})"],
    }
    return (await client.ask(METRIC_AGGREGATES, question, _decode)).value


def _decode(body: bytes) -> dict[date, int]:
    """Read an answer; without grouping it has one set of measurements, or none where nothing was measured."""
    found = msgspec.json.decode(body, type=_Document).data.attributes
    days = [moment.astimezone(UTC).date() if moment.tzinfo else moment.date() for moment in found.dates]
    counts = dict.fromkeys(days, 0)
    for measured in found.data:
        for day, count in zip(days, measured.measurements["count"], strict=True):
            counts[day] += int(count)
    return counts


def _naive(moment: datetime) -> str:
    """Write an instant as this endpoint takes it: without an offset, in the question's timezone."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat()

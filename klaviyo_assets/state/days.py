"""Days (UTC), and the spans that they make up. Pure."""

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta

from klaviyo_assets.state.coverage import CoverageRow, TimeWindow

DAY = timedelta(days=1)


def midnight(day: date) -> datetime:
    """Return the beginning of a day, UTC."""
    return datetime.combine(day, time(), UTC)


def whole_days(covered: Iterable[CoverageRow], within: TimeWindow) -> Iterator[date]:
    """Yield the days (UTC) of a span that are covered from their beginning to their end, ascending."""
    spans = _joined(sorted(TimeWindow(max(row.start, within.start), min(row.end, within.end)) for row in covered))
    for span in spans:
        day = span.start.astimezone(UTC).date()
        if midnight(day) < span.start:
            day += DAY
        while midnight(day) + DAY <= span.end:
            yield day
            day += DAY


def spans_of(days: Iterable[date]) -> list[TimeWindow]:
    """Return days as spans, neighbours joined, ascending."""
    return _joined(TimeWindow(midnight(day), midnight(day) + DAY) for day in sorted(set(days)))


def _joined(spans: Iterable[TimeWindow]) -> list[TimeWindow]:
    result: list[TimeWindow] = []
    for span in spans:
        if span.start >= span.end:
            continue
        if result and span.start <= result[-1].end:
            result[-1] = TimeWindow(result[-1].start, max(result[-1].end, span.end))
        else:
            result.append(span)
    return result

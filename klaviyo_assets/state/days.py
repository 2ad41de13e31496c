"""Days (UTC) and the time windows that consist of them. Pure."""

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta

from klaviyo_assets.state.coverage import CoverageRow, TimeWindow

DAY = timedelta(days=1)


def midnight(day: date) -> datetime:
    """Return the start of a day, UTC."""
    return datetime.combine(day, time(), UTC)


def whole_days(covered: Iterable[CoverageRow], within: TimeWindow) -> Iterator[date]:
    """Yield the days (UTC) of a window that are completely covered, ascending."""
    for window in clipped((TimeWindow(row.start, row.end) for row in covered), within):
        day = window.start.astimezone(UTC).date()
        if midnight(day) < window.start:
            day += DAY
        while midnight(day) + DAY <= window.end:
            yield day
            day += DAY


def windows_of_days(days: Iterable[date]) -> list[TimeWindow]:
    """Return days as time windows, ascending; adjacent days are merged."""
    return joined(TimeWindow(midnight(day), midnight(day) + DAY) for day in sorted(set(days)))


def joined(windows: Iterable[TimeWindow]) -> list[TimeWindow]:
    """Merge windows that touch or overlap, and drop empty ones. They must be ascending by start."""
    result: list[TimeWindow] = []
    for window in windows:
        if window.start >= window.end:
            continue
        if result and window.start <= result[-1].end:
            result[-1] = TimeWindow(result[-1].start, max(result[-1].end, window.end))
        else:
            result.append(window)
    return result


def clipped(windows: Iterable[TimeWindow], limits: TimeWindow) -> list[TimeWindow]:
    """Return the parts of windows that lie within limits, ascending and merged."""
    return joined(sorted(TimeWindow(max(one.start, limits.start), min(one.end, limits.end)) for one in windows))

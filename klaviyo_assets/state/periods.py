"""The days or months of a time zone, by which Dagster's partitions of a table are counted. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import cached_property
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from klaviyo_assets.state.coverage import TimeWindow
from klaviyo_assets.state.days import clipped, joined

SECONDS_OF_A_QUARTER = 900
"""Each quarter of an hour lies in one day of any time zone."""

_FIRST_QUARTER, _END_QUARTER = 0, int(datetime(9999, 1, 1, tzinfo=UTC).timestamp()) // SECONDS_OF_A_QUARTER


def is_plausible(quarter: int) -> bool:
    """Return whether a quarter of an hour, counted from 1970, may have events: earlier ones, and those of the year 9999, are a sender's mistakes."""
    return _FIRST_QUARTER <= quarter < _END_QUARTER


def is_timezone(name: str) -> bool:
    """Return whether this machine knows a time zone."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


class Grain(StrEnum):
    """Length of a period."""

    DAILY = "daily"
    MONTHLY = "monthly"


@dataclass(frozen=True)
class Periods:
    """Consecutive days, or months, of a time zone. A period is identified by its first day.

    Args:
        grain: Their length.
        timezone: IANA name of the time zone.

    Example:
        >>> Periods(Grain.MONTHLY, "UTC").of(datetime(2026, 6, 15, tzinfo=UTC))
        datetime.date(2026, 6, 1)
    """

    grain: Grain = Grain.DAILY
    timezone: str = "UTC"

    @cached_property
    def _zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    def of(self, instant: datetime) -> date:
        """Return the period in which an instant lies."""
        day = instant.astimezone(self._zone).date()
        return day if self.grain is Grain.DAILY else day.replace(day=1)

    def next(self, period: date) -> date:
        """Return the period after another one."""
        if self.grain is Grain.DAILY:
            return period + timedelta(days=1)
        return (period + timedelta(days=32)).replace(day=1)

    def start(self, period: date) -> datetime:
        """Return the first instant of a period, as UTC."""
        return datetime.combine(period, time(), self._zone).astimezone(UTC)

    def window(self, period: date) -> TimeWindow:
        """Return the time window of a period, as UTC."""
        return TimeWindow(self.start(period), self.start(self.next(period)))

    def of_quarters(self, quarters: Iterable[int]) -> set[date]:
        """Return the periods of quarters of an hour since 1970, except those that :func:`is_plausible` excludes."""
        return {self.of(datetime.fromtimestamp(quarter * SECONDS_OF_A_QUARTER, UTC)) for quarter in quarters if is_plausible(quarter)}

    def between(self, first: date, last: date) -> Iterator[date]:
        """Yield the periods from one to another, both included."""
        while first <= last:
            yield first
            first = self.next(first)

    def overlapping(self, windows: Iterable[TimeWindow], first: date, last: date) -> set[date]:
        """Return the periods from ``first`` to ``last`` that have a moment in common with some windows."""
        limits = TimeWindow(self.start(first), self.start(self.next(last)))
        found: set[date] = set()
        for window in clipped(windows, limits):
            found.update(self.between(self.of(window.start), self.of(window.end - timedelta(microseconds=1))))
        return found

    def inside(self, windows: Iterable[TimeWindow], first: date, last: date) -> set[date]:
        """Return the periods from ``first`` to ``last`` that lie completely in some windows."""
        limits = TimeWindow(self.start(first), self.start(self.next(last)))
        found: set[date] = set()
        for window in clipped(windows, limits):
            period = self.of(window.start)
            if self.start(period) < window.start:
                period = self.next(period)
            while self.start(after := self.next(period)) <= window.end:
                found.add(period)
                period = after
        return found

    def windows(self, periods: Iterable[date]) -> list[TimeWindow]:
        """Return periods as time windows, ascending; adjacent ones are merged."""
        return joined(self.window(period) for period in sorted(set(periods)))

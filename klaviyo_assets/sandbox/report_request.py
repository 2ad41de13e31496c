"""A request for a report, once it has been checked, and a row of the response."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import msgspec

from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.sandbox.instants import to_micros
from klaviyo_assets.sandbox.store import Store

DAY = timedelta(days=1)

Counts = dict[str, float]

Row = tuple[Mapping[str, str | None], Callable[[date, date], Counts]]
"""Groupings, and a function that returns the counts from a day to another one, both included."""


class Timeframe(msgspec.Struct):
    """A custom time frame."""

    start: datetime
    end: datetime


class Attributes(msgspec.Struct, forbid_unknown_fields=True):
    """Attributes of a request."""

    statistics: list[str]
    timeframe: Timeframe
    conversion_metric_id: str = ""
    group_by: list[str] | None = None
    interval: str | None = None
    filter: str | None = None


@dataclass(frozen=True)
class Request:
    """A checked request.

    Attributes:
        store: The account's records.
        entry: The report.
        asked: Its attributes.
        zone: The account's time zone.
        first: First day of the time frame.
        last: Last day of the time frame.
        now: The sandbox's time.
        segments: The segments that the filter names; None for all.
    """

    store: Store
    entry: ResourceType
    asked: Attributes
    zone: ZoneInfo
    first: date
    last: date
    now: datetime
    segments: frozenset[str] | None

    @property
    def days(self) -> list[date]:
        """The days of the time frame."""
        return [self.first + number * DAY for number in range((self.last - self.first).days + 1)]

    @property
    def now_micros(self) -> int:
        """The sandbox's time in microseconds."""
        return to_micros(self.now)

    @property
    def today(self) -> date:
        """The day that it is in the account."""
        return self.now.astimezone(self.zone).date()

    def hours_since(self, day: date) -> float:
        """Return the hours since noon of a day; negative before."""
        return (self.now - datetime.combine(day, time(12), self.zone)).total_seconds() / 3600

    def share_of(self, day: date) -> float:
        """Return the share of a day that has passed."""
        passed = self.now - datetime.combine(day, time(), self.zone)
        return max(0.0, min(1.0, passed / DAY))

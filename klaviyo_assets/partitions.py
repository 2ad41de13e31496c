"""Which days, or months, of events are partitions in Dagster."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property

import dagster as dg

from klaviyo_assets.state.periods import Grain, Periods, is_timezone
from klaviyo_assets.validation import InvalidDefinition

DEFAULT_START = date(2012, 1, 1)
"""The first day without a start date: Klaviyo was founded in that year."""

ASSET_NAMES = {Grain.DAILY: "events_by_day", Grain.MONTHLY: "events_by_month"}
"""What the asset with the partitions is called."""


@dataclass(frozen=True)
class EventPartitions:
    """The partitions of events.

    By default they are days of UTC, as the windows of mode ``range``, the coverage and the audit: no request is needed to know them when code is
    loaded. Name the account's time zone for days that equal the column ``day`` of the marts.

    Args:
        grain: ``daily`` or ``monthly``.
        timezone: IANA name of the time zone in which days begin.
        start: The first day, or its text such as ``2024-01-01``; by default the start date of the ``KlaviyoResource``, or 2012-01-01.

    Raises:
        InvalidDefinition: A ``ValueError``: if a value cannot be used.

    Example:
        >>> defs = build_klaviyo_definitions(klaviyo, duckdb="data/warehouse.duckdb", partitions=EventPartitions("daily", "Europe/Berlin"))
    """

    grain: str = Grain.DAILY.value
    timezone: str = "UTC"
    start: date | str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.grain, str) or self.grain not in {*Grain}:
            raise InvalidDefinition(f"partitions={self.grain!r} is not a length of partitions. Use {' or '.join(repr(one.value) for one in Grain)}.")
        if not isinstance(self.timezone, str) or not is_timezone(self.timezone):
            raise InvalidDefinition(f"timezone={self.timezone!r} is not the name of a time zone. Write its IANA name, such as Europe/Berlin.")
        object.__setattr__(self, "start", _day(self.start))

    @cached_property
    def periods(self) -> Periods:
        """The periods, for code that knows no Dagster."""
        return Periods(Grain(self.grain), self.timezone)

    @property
    def is_daily(self) -> bool:
        """Whether the partitions are days."""
        return Grain(self.grain) is Grain.DAILY

    @property
    def asset_name(self) -> str:
        """Name of the asset with the partitions: ``events_by_day`` or ``events_by_month``."""
        return ASSET_NAMES[Grain(self.grain)]

    @property
    def first(self) -> date:
        """The first period."""
        day = _day(self.start) or DEFAULT_START
        return day if self.is_daily else day.replace(day=1)

    @cached_property
    def definition(self) -> dg.TimeWindowPartitionsDefinition:
        """Dagster's definition; the present day, or month, is the last partition."""
        start = f"{self.first:%Y-%m-%d}"
        if self.is_daily:
            return dg.DailyPartitionsDefinition(start_date=start, timezone=self.timezone, end_offset=1)
        return dg.MonthlyPartitionsDefinition(start_date=start, timezone=self.timezone, end_offset=1)

    def starting(self, start_date: datetime | None) -> "EventPartitions":
        """Return a copy that begins with the period of the account's start date, unless a start was given."""
        if self.start is not None or start_date is None:
            return self
        return EventPartitions(self.grain, self.timezone, self.periods.of(start_date))

    @staticmethod
    def key(period: date) -> str:
        """Return Dagster's key of a period."""
        return period.isoformat()

    @staticmethod
    def period(key: str) -> date:
        """Return the period of a partition key."""
        return date.fromisoformat(key)

    def last(self, now: datetime | None = None) -> date:
        """Return the period of the present moment."""
        return self.periods.of(now or datetime.now(UTC))


def _day(start: date | str | None) -> date | None:
    if isinstance(start, str):
        with suppress(ValueError):
            return datetime.strptime(start, "%Y-%m-%d").date()
    elif start is None or (isinstance(start, date) and not isinstance(start, datetime)):
        return start
    raise InvalidDefinition(f"start={start!r} is not a day. Write a date, such as 2024-01-01.")


def event_partitions(partitions: "str | EventPartitions | None", start_date: datetime | None = None) -> EventPartitions | None:
    """Return what ``partitions=`` asks for.

    Args:
        partitions: ``"daily"``, ``"monthly"``, an :class:`EventPartitions`, or None.
        start_date: The account's start date, if that is known when code is loaded.

    Raises:
        InvalidDefinition: If it is something else.
    """
    if partitions is None:
        return None
    if isinstance(partitions, str):
        partitions = EventPartitions(partitions)
    if not isinstance(partitions, EventPartitions):
        raise InvalidDefinition(f"partitions= takes 'daily', 'monthly' or EventPartitions(…), not {type(partitions).__name__}.")
    return partitions.starting(start_date)

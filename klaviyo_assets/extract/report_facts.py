"""What planning a report needs to know about the account. Data only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo


@dataclass(frozen=True)
class ReportFacts:
    """What planning a report needs to know about the account.

    Attributes:
        zone: Its time zone: a report's windows are days of it.
        since: No window before this day has data.
        metrics: Ids of the conversion metrics; empty if the report has none.
        ids: Ids that the report's filter names, each with the day before which it has no data; empty if it has no such filter.
    """

    zone: ZoneInfo
    since: date
    metrics: tuple[str, ...] = ()
    ids: Mapping[str, date] = field(default_factory=dict)

    def day_of(self, instant: datetime) -> date:
        """Return the account's day of an instant."""
        return instant.astimezone(self.zone).date()

    def start_of(self, day: date) -> datetime:
        """Return when a day of the account begins."""
        return datetime.combine(day, time(), self.zone).astimezone(UTC)

    def end_of(self, day: date) -> datetime:
        """Return when a day of the account ends."""
        return self.start_of(day + timedelta(days=1))

"""Report: fixed windows, read again while their numbers change.

==========  =========================================  ===================================================
windows     read at most once a day                    afterwards
==========  =========================================  ===================================================
years       the current and the last calendar year     once a month
days        the last 60 days, in one request           once a month, or never once the days are settled
observed    the sends of the last 30 days              never: each day of observation has its own rows
==========  =========================================  ===================================================
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from klaviyo_assets.api.filters import any_of
from klaviyo_assets.catalog.replication import Report, ReportWindows
from klaviyo_assets.catalog.report_columns import groupings_of, statistics_of
from klaviyo_assets.catalog.resource_type import Subset
from klaviyo_assets.extract.report_facts import ReportFacts
from klaviyo_assets.extract.slices import ReportSlice
from klaviyo_assets.extract.strategies.strategy import Completion, PlanContext
from klaviyo_assets.extract.sync_options import SyncMode
from klaviyo_assets.state.coverage import CoverageRow, TimeWindow, minus

DAYS_PER_REQUEST = 60
"""Days of the longest daily series (OpenAPI ``interval``)."""

IDS_PER_REQUEST = 100
"""Ids that one ``any`` filter may name (OpenAPI ``filter``)."""

_OBSERVED_DAYS = 30
"""A campaign is observed for this many days after it was sent."""

_MONTH = timedelta(days=30)
"""How often windows are read again that rarely change."""

_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Window:
    """A fixed window: whole days of the account.

    Attributes:
        first: Its first day.
        last: Its last day.
        changes: True if it is read daily.
    """

    first: date
    last: date
    changes: bool


@dataclass(frozen=True)
class ReportStrategy:
    """Reads each window once, and again as long as it changes."""

    replication: Report

    def history_field(self, context: PlanContext) -> str | None:
        """Return None: the windows are fixed."""
        return None

    def plan(self, context: PlanContext, oldest: datetime | None) -> Sequence[ReportSlice]:
        """Return a slice for each window, conversion metric and group of ids that is due, newest window first."""
        facts = context.required_report
        slices = [
            (self._slice(context, facts, window, subset, ids), read_at)
            for window in self._windows(facts, facts.day_of(context.now))
            for subset in _subsets(facts)
            for ids, read_at in self._due_ids(context, facts, window, subset)
        ]
        monthly = sorted((read_at, number) for number, (_, read_at) in enumerate(slices) if read_at is not None)
        # A month's windows are spread over its days: read together once, they would all be due on one day again.
        later = {number for _, number in monthly[math.ceil(len(monthly) / _MONTH.days) :]}
        return [one for number, (one, _) in enumerate(slices) if number not in later]

    def completion(self, mode: SyncMode) -> Completion:
        """Return ``COMPARE_REPORT``, or ``COVERAGE`` for observations, which are never taken back."""
        return Completion.COVERAGE if self.replication.windows is ReportWindows.OBSERVED else Completion.COMPARE_REPORT

    def _windows(self, facts: ReportFacts, today: date) -> Iterator[Window]:
        """Yield the windows that may have data, newest first."""
        match self.replication.windows:
            case ReportWindows.OBSERVED:
                yield Window(today, today, changes=True)
            case ReportWindows.YEARS:
                for year in range(today.year, min(facts.since.year, today.year) - 1, -1):
                    yield Window(date(year, 1, 1), date(year, 12, 31), changes=year >= today.year - 1)
            case ReportWindows.DAYS:
                yield from _windows_of_days(facts.since, today)

    def _due_ids(self, context: PlanContext, facts: ReportFacts, window: Window, subset: Subset) -> Iterator[tuple[tuple[str, ...], datetime | None]]:
        """Yield the groups of ids for which a window is due, and when they were read if it is only due because a month has passed."""
        of: dict[str, list[CoverageRow]] = {}
        for row in context.trusted:
            if (row.subset, row.field) == (subset.name, self.replication.field):
                of.setdefault(row.parent, []).append(row)
        if context.entry.named_in_filter is None:
            due, read_at = self._is_due(window, of.get("", []), context, facts)
            if due:
                yield (), read_at
            return
        some = [id_ for id_, since in facts.ids.items() if since <= window.last and self._is_due(window, of.get(id_, []), context, facts)[0]]
        for first in range(0, len(some), IDS_PER_REQUEST):
            yield tuple(some[first : first + IDS_PER_REQUEST]), None

    def _is_due(self, window: Window, rows: Sequence[CoverageRow], context: PlanContext, facts: ReportFacts) -> tuple[bool, datetime | None]:
        """Return whether a window must be read, and when it was read if that is only because a month has passed."""
        start, end = facts.start_of(window.first), facts.end_of(window.last)
        rows = [row for row in rows if row.start < end and start < row.end]
        if window.changes:
            today = facts.day_of(context.now)
            rows = [row for row in rows if facts.day_of(row.read_at) == today]
            return not rows or bool(_uncovered(start, min(end, facts.start_of(today)), rows)), None
        if _uncovered(start, end, rows):
            return True, None
        if self.replication.final_after is not None:
            age = self.replication.final_after
            return any(not row.final and row.read_at < min(row.end, end) + age for row in rows), None
        read_at = min(row.read_at for row in rows)
        return context.now - read_at >= _MONTH, read_at

    def _slice(self, context: PlanContext, facts: ReportFacts, window: Window, subset: Subset, ids: tuple[str, ...]) -> ReportSlice:
        return ReportSlice(
            subset=subset,
            field=self.replication.field,
            start=facts.start_of(window.first),
            covers_to=min(facts.end_of(window.last), context.top),
            first=window.first,
            last=window.last,
            body=self._body(context, facts, window, subset, ids),
            window_values={} if self.replication.windows is ReportWindows.DAYS else {self.replication.field: window.first.isoformat()},
            ids=ids,
            ids_column=self.replication.ids_filter,
        )

    def _body(self, context: PlanContext, facts: ReportFacts, window: Window, subset: Subset, ids: tuple[str, ...]) -> dict[str, object]:
        """Return the attributes of the request. Bounds are inclusive, in the account's time zone, and their offset is ignored (OpenAPI)."""
        report, entry = self.replication, context.entry
        first = window.first - timedelta(days=_OBSERVED_DAYS - 1) if report.windows is ReportWindows.OBSERVED else window.first
        now = context.now.astimezone(facts.zone).replace(microsecond=0, tzinfo=None)
        end = min(datetime.combine(window.last, datetime.max.time()).replace(microsecond=0), now)
        body: dict[str, object] = {
            "statistics": list(statistics_of(entry)),
            "timeframe": {"start": f"{first}T00:00:00+00:00", "end": f"{end.isoformat()}+00:00"},
        }
        if report.has_group_by:
            body["group_by"] = list(groupings_of(entry))
        if report.windows is ReportWindows.DAYS:
            body["interval"] = "daily"
        if report.by_conversion_metric:
            body["conversion_metric_id"] = subset.values["conversion_metric_id"]
        if ids:
            body["filter"] = any_of(report.ids_filter, ids)
        return body


def _subsets(facts: ReportFacts) -> list[Subset]:
    return [Subset(f"metric {metric}", values={"conversion_metric_id": metric}) for metric in facts.metrics] or [Subset()]


def _windows_of_days(since: date, today: date) -> Iterator[Window]:
    """Yield the last 60 days, then windows of 60 days that always begin on the same days."""
    recent = today - timedelta(days=DAYS_PER_REQUEST - 1)
    yield Window(min(max(recent, since), today), today, changes=True)
    last = recent - _ONE_DAY
    while last >= since:
        first = last - timedelta(days=last.toordinal() % DAYS_PER_REQUEST)
        yield Window(max(first, since), last, changes=False)
        last = first - _ONE_DAY


def _uncovered(start: datetime, end: datetime, rows: Sequence[CoverageRow]) -> list[TimeWindow]:
    """Return the parts of a window that no row covers."""
    left = [TimeWindow(start, end)] if start < end else []
    for row in rows:
        left = [part for one in left for part in minus(one, TimeWindow(row.start, row.end))]
    return left

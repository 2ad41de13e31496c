"""Compares Klaviyo's own counts of events with the table, metric by metric and day by day.

Events may be imported with any date, long after the last lookback age of their day. Only reading all events again would find them. Klaviyo's counts
find them too, with one request per metric and year with events.
"""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

from klaviyo_assets._internal.event_loop import first_error
from klaviyo_assets._internal.threads import in_thread
from klaviyo_assets.api.client import KlaviyoClient
from klaviyo_assets.api.filters import compare
from klaviyo_assets.api.klaviyo_errors import BadRequest, NotFound
from klaviyo_assets.api.probe import probe, sync_clock
from klaviyo_assets.audit.audit_store import FIELD, AuditStore
from klaviyo_assets.audit.audit_tables import AuditRecord
from klaviyo_assets.audit.compare import Difference, DifferenceState, EventCounts, differences
from klaviyo_assets.audit.event_counts import counts_by_day, years
from klaviyo_assets.audit.occupied import occupied
from klaviyo_assets.catalog.resource_type import Subset
from klaviyo_assets.decode import PageDecoder
from klaviyo_assets.extract.metric_names import metric_names
from klaviyo_assets.extract.metric_selection import EVERY_METRIC, EXCLUDE, INCLUDE, NO_RULES, MetricRules, MetricSelection, coverage_of
from klaviyo_assets.extract.strategies.strategy import LAG
from klaviyo_assets.state.coverage import CoverageRow, TimeWindow
from klaviyo_assets.state.days import DAY, midnight, whole_days

TOO_YOUNG = timedelta(days=3)
"""Days that ended more recently are not compared: incremental syncs still read them again at the lookback ages."""

Piece = tuple[TimeWindow, set[date]]
"""The time window of one request, and its days that can be compared."""

_SECONDS_BETWEEN = 30.0
_MAX_CONCURRENT = 8
"""Metrics that are requested concurrently. The rate limit is one request per second."""


@dataclass
class Audit:
    """One audit.

    Args:
        client: The client, open.
        store: Reads and writes the findings; its catalog is that of the audit.
        log: Receives progress messages.
        start_date: The user's start date; older events were never requested.
        metrics: The metrics that the user selects; no others are compared.
        only_rereads: True to compare only the days for which a repair has requested a reread, and keep the other findings.

    Example:
        >>> record, found = await Audit(client, AuditStore(warehouse, "klaviyo"), log).run()
    """

    client: KlaviyoClient
    store: AuditStore
    log: logging.Logger
    start_date: datetime | None = None
    metrics: MetricRules = NO_RULES
    only_rereads: bool = False
    _selection: MetricSelection = EVERY_METRIC
    _covered: list[CoverageRow] = field(default_factory=list)
    _klaviyo_counts: dict[tuple[str, date], int] = field(default_factory=dict)
    _excluded: dict[str, list[str]] = field(default_factory=dict)
    _not_counted: dict[str, list[str]] = field(default_factory=dict)
    _uncounted: set[str] = field(default_factory=set)
    _excluded_days: set[tuple[str, date]] = field(default_factory=set)
    _last_rejection: BadRequest | NotFound | None = None
    _requests: int = 0
    _compared_metrics: int = 0
    _last_progress: float = field(default_factory=time.monotonic)

    async def run(self) -> tuple[AuditRecord, list[Difference]]:
        """Request the counts, compare them and save the differences.

        Raises:
            KlaviyoError: If Klaviyo rejects the key or fails; nothing is saved.
            WarehouseError: If the database cannot be opened.
        """
        metrics_type = self.store.catalog.metrics_type
        await probe(self.client, metrics_type)  # checks the scope
        await sync_clock(self.client, metrics_type)
        now = self.client.now()
        listed = await metric_names(self.client, metrics_type)
        if self.metrics:
            self._selection = self.metrics.resolve(listed, await in_thread(self.store.metric_names), await in_thread(self.store.coverage))
            for text in self._selection.notes:
                self.log.warning("audit: %s", text)
            if left := sorted(id_ for id_ in listed if not self._selection.selects(id_)):
                self._excluded[f"Not selected ({INCLUDE}, {EXCLUDE})"] = left
        last, before = await in_thread(self.store.last)
        before = [one for one in before if self._selection.selects(one.metric_id)]
        wanted = await self._wanted(now, before)
        pieces = await self._pieces(wanted, before) if wanted is not None else []
        if not pieces and not self.only_rereads:
            self._excluded["No day of the table is both covered by a sync and old enough to be compared"] = ["all days"]
        if self.only_rereads:
            pending = [one for one in before if one.state is DifferenceState.REREAD_PENDING]
            metrics = {one.metric_id for one in pending}
        else:
            metrics = {*filter(self._selection.selects, listed), *(one.metric_id for one in before)}
        days = {day for _, some in pieces for day in some}
        if days:
            await self._request_counts(sorted(metrics), pieces)
            self._fail_if_none_is_counted(metrics)
        found = differences(self._klaviyo_counts, await self._table_counts(metrics, days), [one for one in before if not self._is_excluded(one)])
        excluded = self._excluded | self._not_counted
        record = AuditRecord(
            now, _window_of(days), len({metric for metric, _ in self._klaviyo_counts}), len(self._klaviyo_counts), self._requests, excluded
        )
        counts = [f"{count:,}" for count in (record.days, record.metrics, self._requests, len(found))]
        self.log.info("audit: %s days of %s metrics compared with %s requests, %s differ", *counts)
        if self.only_rereads and last is not None:
            record = replace(last, excluded=_joined(last.excluded, self._not_counted))  # comparing a few days does not replace the full comparison
        await in_thread(self.store.save, record, found)
        return record, found

    def _fail_if_none_is_counted(self, metrics: set[str]) -> None:
        """Fail if Klaviyo rejects every metric: one may be deleted, but if all are rejected the request is wrong, and nothing was compared."""
        if self._last_rejection is not None and len(metrics) > 1 and self._uncounted >= metrics:
            raise self._last_rejection

    async def _pieces(self, wanted: TimeWindow, before: Sequence[Difference]) -> list[Piece]:
        """Return the windows to request, newest first: the years with events, each with its covered days."""
        start, end = _midnight_before(wanted.start), _midnight_before(wanted.end)
        grid = [TimeWindow(*bounds) for bounds in years(start, end, self.store.counted_by.longest_span)]
        if self.only_rereads:
            pending = {one.day for one in before if one.state is DifferenceState.REREAD_PENDING}
            windows = await occupied(grid, pending, _no_further_event)
        else:
            pending = set()
            known = {*await in_thread(self.store.days, wanted), *(one.day for one in before)}
            windows = await occupied(grid, known, self._newest_event_before)
        covered = self._covered = await in_thread(self.store.coverage)
        pieces = [(window, set(whole_days(covered, TimeWindow(max(window.start, wanted.start), window.end)))) for window in windows]
        if self.only_rereads:
            pieces = [(window, days & pending) for window, days in pieces]
        return [(window, days) for window, days in pieces if days]

    async def _table_counts(self, metrics: set[str], days: set[date]) -> EventCounts:
        """Count the table's rows, and note those that none of Klaviyo's counts includes."""
        window = _window_of(days)
        if window is None:
            return {}
        counts, without_metric = await in_thread(self.store.counts, window)
        if without_metric:
            self._excluded["Events without a metric are in none of Klaviyo's counts"] = [f"{without_metric} events"]
        if unknown := sorted({metric for metric, _ in counts if self._selection.selects(metric)} - metrics):
            self._excluded["Klaviyo no longer lists these metrics"] = unknown
        return counts

    def _is_excluded(self, known: Difference) -> bool:
        """Whether a day that differed before can no longer be compared."""
        too_old = self.start_date is not None and midnight(known.day) < self.start_date
        return too_old or known.metric_id in self._uncounted or (known.metric_id, known.day) in self._excluded_days

    async def _wanted(self, now: datetime, before: Sequence[Difference]) -> TimeWindow | None:
        """Return the window to compare: from the oldest event in Klaviyo, the table or earlier findings, up to the last day old enough."""
        oldest = [one for one in (await self._oldest_event(), await in_thread(self.store.oldest)) if one is not None]
        oldest += [midnight(one.day) for one in before]
        if not oldest:
            return None
        start, end = min(oldest), now - LAG - TOO_YOUNG
        if self.start_date is not None and self.start_date > start:
            self._excluded["Older than the start date"] = [f"before {self.start_date:%Y-%m-%d}"]
            start = self.start_date
        else:
            start = start.replace(hour=0, minute=0, second=0, microsecond=0)
        return TimeWindow(start, end) if start < end else None

    async def _oldest_event(self) -> datetime | None:
        return await self._first_event({"sort": FIELD})

    async def _newest_event_before(self, end: datetime) -> datetime | None:
        """Return the time of Klaviyo's newest event before an instant; None if there is none, or if Klaviyo rejects such an early date."""
        try:
            return await self._first_event({"sort": f"-{FIELD}", "filter": compare("less-than", FIELD, end)})
        except BadRequest as error:
            reason = f"Klaviyo does not list events of these dates ({error.detail or error.message})"
            self._excluded[reason] = [f"before {end:%Y-%m-%d}, unless the table has events of the same year"]
            return None

    async def _first_event(self, parameters: Mapping[str, str]) -> datetime | None:
        events = self.store.events
        response = await self.client.get(events, events.endpoint.path, {**parameters, "page[size]": "1"}, PageDecoder(events, Subset()).page)
        extent = response.value.extent(FIELD)
        return extent.least if extent else None

    async def _request_counts(self, metrics: Sequence[str], pieces: Sequence[Piece]) -> None:
        self.log.info("audit: %s metrics, %s requests of about one a second", f"{len(metrics):,}", f"{len(metrics) * len(pieces):,}")
        slots = asyncio.Semaphore(_MAX_CONCURRENT)

        async def one(metric: str) -> None:
            """Compare one metric, and log progress from time to time."""
            async with slots:
                await self._compare(metric, pieces)
            self._compared_metrics += 1
            if time.monotonic() - self._last_progress >= _SECONDS_BETWEEN:
                self._last_progress = time.monotonic()
                self.log.info("audit: %s of %s metrics compared", f"{self._compared_metrics:,}", f"{len(metrics):,}")

        try:
            async with asyncio.TaskGroup() as group:
                for metric in metrics:
                    group.create_task(one(metric))
        except BaseExceptionGroup as errors:
            raise first_error(errors) from None

    async def _compare(self, metric: str, pieces: Sequence[Piece]) -> None:
        counted = False
        for index, (window, days) in enumerate(pieces):
            if not (wanted := self._covered_days(metric, window, days)):
                continue
            try:
                self._requests += 1
                counts = await counts_by_day(self.client, metric, window.start, window.end, self.store.counted_by)
            except (BadRequest, NotFound) as error:
                if not counted or isinstance(error, NotFound):
                    self._uncounted.add(metric)
                    self._last_rejection = error
                    self._not_counted.setdefault(f"Klaviyo does not count them ({error.detail or error.message})", []).append(metric)
                else:
                    # Newer days were counted, so Klaviyo rejects this early date, and will reject all earlier ones.
                    early = {day for _, days in pieces[index:] for day in days}
                    self._exclude_days(metric, early, f"Klaviyo does not count days so long ago ({error.detail or error.message})")
                return
            counted = True
            self._klaviyo_counts |= {(metric, day): count for day, count in counts.items() if day in wanted}
            if missing := wanted - counts.keys():
                self._exclude_days(metric, missing, "Klaviyo's response lacks days")

    def _covered_days(self, metric: str, window: TimeWindow, days: set[date]) -> set[date]:
        """Return those of the days of a window that are covered for a metric: others may have been read without it, or only others with it."""
        if all(row.subset == Subset().name for row in self._covered):
            return days
        return days & set(whole_days(coverage_of(metric, self._covered), window))

    def _exclude_days(self, metric: str, days: set[date], reason: str) -> None:
        self._excluded_days |= {(metric, day) for day in days}
        self._not_counted.setdefault(reason, []).append(f"{metric}: {len(days)} days from {min(days)} on")


async def request_rereads(client: KlaviyoClient, store: AuditStore) -> int:
    """Request that syncs reread the days that differed in the last audit; return their number.

    Raises:
        KlaviyoError: If Klaviyo refuses or fails.
        WarehouseError: If the database cannot be opened.
    """
    await sync_clock(client, store.events)
    return await in_thread(store.request_rereads, client.now().replace(microsecond=0))


def _joined(excluded: Mapping[str, list[str]], more: Mapping[str, list[str]]) -> dict[str, list[str]]:
    return {reason: sorted({*excluded.get(reason, []), *more.get(reason, [])}) for reason in (*excluded, *more)}


def _window_of(days: set[date]) -> TimeWindow | None:
    return TimeWindow(midnight(min(days)), midnight(max(days)) + DAY) if days else None


def _midnight_before(moment: datetime) -> datetime:
    return midnight(moment.astimezone(UTC).date())


async def _no_further_event(_: datetime) -> None:
    """Stop the search: only known days matter."""

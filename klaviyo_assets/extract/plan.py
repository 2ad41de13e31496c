"""From the catalogue's entry, the coverage so far and the request to slices, each one cursor chain. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from klaviyo_assets.catalog.replication import FullTable, Incremental, NewestFirst
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.extract.options import SyncMode, SyncOptions, check_range
from klaviyo_assets.extract.slices import AnySlice, Slice, SubsetSlice
from klaviyo_assets.state.coverage import BEGINNING, USUAL_BEGINNING, CoverageRow, TimeWindow, uncovered

LAG = timedelta(seconds=10)
"""How far below the server's clock coverage ends: the newest records may not be visible yet, and a bound in the future is refused."""

_SECOND = timedelta(seconds=1)

_STEP = timedelta(hours=1)
"""Settling ages are looked at once an hour: syncs every few minutes would else ask for a few minutes at each of them, a request each."""

_LONG = timedelta(days=30)
_NEWEST = timedelta(days=1)
_GROWTH = 4
"""A long window is cut into slices newest first, each so many times longer than the one before: what is newest is complete within seconds, and even
twenty years are few slices, since workers that become idle cut them further (see :mod:`klaviyo_assets.extract.fetcher`)."""


@dataclass(frozen=True)
class Plan:
    """What a sync reads.

    Attributes:
        slices: Cursor chains, newest first.
        stale: True if a part is read again because it was read with other options or columns.
    """

    slices: tuple[AnySlice, ...]
    stale: bool = False


def plan(
    entry: ResourceType,
    request: SyncOptions,
    covered: Sequence[CoverageRow],
    *,
    now: datetime,
    fingerprint: str,
    oldest: datetime | None,
) -> Plan:
    """Plan one sync.

    Args:
        entry: The resource type.
        request: What is asked for.
        covered: Its rows of ``_coverage``.
        now: The server's clock at the start.
        fingerprint: Of the options and columns that are read now.
        oldest: Time of the oldest record, to cut a history that begins unknown; None if there is none or it is not known.

    Raises:
        InvalidRange: If a range is asked for that cannot be read.
    """
    trusted = [row for row in covered if request.accept_changed_options or row.fingerprint == fingerprint]
    top = now - LAG
    if request.mode is SyncMode.range:
        field, asked = check_range(entry, request)
        return Plan(tuple(_cut(entry, [(field, TimeWindow(asked.start, min(asked.end, top)))], oldest)))
    if isinstance(entry.replication, FullTable):
        return Plan(tuple(SubsetSlice(division) for division in entry.divisions))
    if request.mode is SyncMode.full:
        trusted = []
    if isinstance(entry.replication, Incremental):
        windows, walk = _coverage_windows(entry.replication, request, trusted, now), _watch(entry, entry.replication, trusted, top)
    else:
        windows, walk = _sweep_windows(entry.replication.backfill_field, trusted, top), _walk(entry, entry.replication, trusted, top)
    slices = (*walk, *_cut(entry, windows, oldest, open_end=top))
    set_aside = [] if request.mode is SyncMode.full else [row for row in covered if row not in trusted]
    return Plan(slices, stale=any(_reads(part, row) for part in slices for row in set_aside))


def _reads(part: Slice, row: CoverageRow) -> bool:
    """Return whether a slice reads records that a row of the coverage speaks of."""
    return (part.division.name, part.field) == (row.division, row.field) and part.start < row.end and row.start < part.covers_to


_Windows = list[tuple[str, TimeWindow]]


def _coverage_windows(replication: Incremental, request: SyncOptions, covered: Sequence[CoverageRow], now: datetime) -> _Windows:
    top = now - LAG
    if replication.backfill_field is None:
        start = request.start_date if replication.honours_start_date and request.start_date else BEGINNING
        rows = [row for row in covered if row.field == replication.field]
        return [(replication.field, span) for span in uncovered(TimeWindow(start, top), rows, replication.lookback_ages, now, _STEP)]
    windows = _sweep_windows(replication.backfill_field, covered, top)
    swept_since = _swept_since(replication.backfill_field, covered)
    if swept_since is not None:
        # What moved while or since the history was swept turns up along the moving field.
        wanted = TimeWindow(swept_since - LAG - replication.lookback_ages[-1], top)
        rows = [row for row in covered if row.field == replication.field]
        windows += [(replication.field, span) for span in uncovered(wanted, rows, replication.lookback_ages, now, _STEP)]
    return windows


def _sweep_windows(backfill_field: str, covered: Sequence[CoverageRow], top: datetime) -> _Windows:
    """History along a field that does not move, up to where the first read of it began; later records are found by the moving field."""
    since = _swept_since(backfill_field, covered)
    end = top if since is None else since - LAG
    rows = [row for row in covered if row.field == backfill_field]
    return [(backfill_field, span) for span in uncovered(TimeWindow(BEGINNING, end), rows, (), top)]


def _swept_since(backfill_field: str, covered: Sequence[CoverageRow]) -> datetime | None:
    return min((row.read_at for row in covered if row.field == backfill_field), default=None)


def _walk(entry: ResourceType, replication: NewestFirst, covered: Sequence[CoverageRow], top: datetime) -> list[Slice]:
    since = _swept_since(replication.backfill_field, covered)
    if since is None:
        return []
    begin = since - LAG - replication.margin
    done = [row for row in covered if row.field == replication.field]
    missing = uncovered(TimeWindow(begin, top), done, (), top)
    start = max(begin, missing[0].start - replication.margin) if missing else top
    return [Slice(division, replication.field, start, None, top, descending=True) for division in entry.divisions]


def _watch(entry: ResourceType, replication: Incremental, covered: Sequence[CoverageRow], top: datetime) -> list[Slice]:
    """What has happened since the first read along times that need not move the field which is followed, each a single chain."""
    since = _swept_since(replication.backfill_field, covered) if replication.backfill_field else None
    if since is None:
        return []
    slices = []
    for field in replication.secondary_cursors:
        missing = uncovered(TimeWindow(since - LAG, top), [row for row in covered if row.field == field], (), top)
        # What becomes visible late is looked for as long as along the field itself; so is, in a sync that follows within a second, what is new.
        start = (missing[0].start if missing else top) - replication.lookback_ages[-1]
        slices += [Slice(division, field, start, None, top, secondary_cursors=True) for division in entry.divisions]
    return slices


def _cut(
    entry: ResourceType,
    windows: Iterable[tuple[str, TimeWindow]],
    oldest: datetime | None,
    open_end: datetime | None = None,
) -> list[Slice]:
    """Cut windows into slices, newest first; one that ends at ``open_end`` reads on beyond."""
    return [
        Slice(division, field, start=span.start, end=None if span.end == open_end else span.end, covers_to=span.end)
        for field, window in sorted(windows, key=lambda item: item[1].start, reverse=True)
        for span in _pieces(window, oldest)
        for division in entry.divisions
    ]


def _pieces(window: TimeWindow, oldest: datetime | None) -> list[TimeWindow]:
    """Cut a window at whole seconds, newest first; the last span also takes what lies before the oldest record."""
    if window.start >= window.end:
        return []
    begin = max(window.start, oldest) if oldest is not None else window.start
    if begin > BEGINNING:
        begin = max(begin, USUAL_BEGINNING)
    spans, end, length = [], window.end, _NEWEST
    while begin > BEGINNING and window.end - begin > _LONG and (border := (end - length).replace(microsecond=0)) > begin:
        spans.append(TimeWindow(border, end))
        end, length = border, length * _GROWTH
    return [*spans, TimeWindow(window.start, end)]

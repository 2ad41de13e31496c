"""Cuts time windows into slices, for strategies that read by time. Pure."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.extract.slices import Slice
from klaviyo_assets.extract.strategies.strategy import LAG, PlanContext
from klaviyo_assets.extract.sync_options import check_range
from klaviyo_assets.state.coverage import BEGINNING, USUAL_BEGINNING, CoverageRow, TimeWindow, windows_to_read

_LONG_WINDOW = timedelta(days=30)
_NEWEST = timedelta(days=1)
_LENGTH_GROWTH = 4
"""A long window is cut into slices newest first, each this many times longer than the one before: the newest data is complete within seconds, and
even twenty years are few slices; idle workers cut them further (see :mod:`klaviyo_assets.extract.fetcher`)."""

FieldWindow = tuple[str, TimeWindow]
"""A time field and a window of it."""


def range_windows(context: PlanContext) -> list[FieldWindow]:
    """Return the window that a sync of mode ``range`` reads; it ends where coverage ends at the latest.

    Raises:
        InvalidRange: If the range cannot be read.
    """
    field, requested = check_range(context.entry, context.options)
    return [(field, TimeWindow(requested.start, min(requested.end, context.top)))]


def backfill_windows(field: str, covered: Sequence[CoverageRow], top: datetime) -> list[FieldWindow]:
    """Return the windows of the history that are left to read, by a field whose values do not change.

    The history ends where its first read began; later records are found by the field that changes.
    """
    since = backfilled_since(field, covered)
    end = top if since is None else since - LAG
    rows = [row for row in covered if row.field == field]
    return [(field, window) for window in windows_to_read(TimeWindow(BEGINNING, end), rows, (), top)]


def backfilled_since(field: str, covered: Sequence[CoverageRow]) -> datetime | None:
    """Return when the first read of the history began; None if there was none."""
    return min((row.read_at for row in covered if row.field == field), default=None)


def history_field(windows: Iterable[FieldWindow]) -> str | None:
    """Return the field of a window without a lower bound."""
    return next((field for field, window in windows if window.start == BEGINNING), None)


def cut(
    entry: ResourceType,
    windows: Iterable[FieldWindow],
    oldest: datetime | None,
    open_end: datetime | None = None,
) -> list[Slice]:
    """Cut windows into slices, newest first.

    Args:
        entry: The resource type.
        windows: The windows.
        oldest: Time of the oldest record; None if it is not known.
        open_end: A slice that would end here has no upper bound instead.
    """
    return [
        Slice(subset, field, start=piece.start, end=None if piece.end == open_end else piece.end, covers_to=piece.end)
        for field, window in sorted(windows, key=lambda item: item[1].start, reverse=True)
        for piece in _pieces(window, oldest)
        for subset in entry.subsets
    ]


def _pieces(window: TimeWindow, oldest: datetime | None) -> list[TimeWindow]:
    """Cut a window at whole seconds, newest first; the last piece also includes the time before the oldest record."""
    if window.start >= window.end:
        return []
    begin = max(window.start, oldest) if oldest is not None else window.start
    if begin > BEGINNING:
        begin = max(begin, USUAL_BEGINNING)
    pieces, end, length = [], window.end, _NEWEST
    while begin > BEGINNING and window.end - begin > _LONG_WINDOW and (border := (end - length).replace(microsecond=0)) > begin:
        pieces.append(TimeWindow(border, end))
        end, length = border, length * _LENGTH_GROWTH
    return [*pieces, TimeWindow(window.start, end)]

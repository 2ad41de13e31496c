"""Coverage: which windows of a time field have been read, and which must be read (again). Pure.

A plan is the wanted window minus the parts that are up to date (:func:`windows_to_read`). Records may arrive late, so a part is read again each time
it reaches a lookback age, for example when it is an hour, a day and a week old. That is not a lookback window, which every sync reads again: each age
causes one more read. The ages of events are in ``catalog/types/events.py``; ``extract/strategies/incremental.py`` plans with them.
Windows that must be read again for another reason, such as a difference that an audit found, are removed from the coverage (:func:`without`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

BEGINNING = datetime.min.replace(tzinfo=UTC)
"""The start of a window without a lower bound: a timestamp of RFC 3339 cannot be earlier. It is never sent in a filter."""

USUAL_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
"""Records dated before this are read like all others, but their dates do not affect slices, estimates or progress: such a date is the sender's
mistake, and would spread the slices over empty centuries."""


@dataclass(frozen=True, order=True)
class TimeWindow:
    """A half-open time window, ``[start, end)``."""

    start: datetime
    end: datetime


@dataclass(frozen=True)
class CoverageRow:
    """One row of ``_coverage``: the records whose ``field`` lay in ``[start, end)`` were all read.

    Attributes:
        subset: Name of the subset.
        field: The time field.
        start: Start of the window, included.
        end: End of the window, excluded.
        read_at: The server's clock when the read began; the earliest time if rows were merged.
        fingerprint: Fingerprint of the options and columns that were read.
        final: True if every part was read after its last lookback age.
        parent: Id of the parent record whose children were read; empty for a type without parents.
    """

    subset: str
    field: str
    start: datetime
    end: datetime
    read_at: datetime
    fingerprint: str
    final: bool = False
    parent: str = ""


def windows_to_read(
    wanted: TimeWindow,
    covered: Iterable[CoverageRow],
    lookback_ages: Sequence[timedelta],
    now: datetime,
    check_interval: timedelta = timedelta(microseconds=1),
) -> list[TimeWindow]:
    """Return the parts of ``wanted`` that were never read or are due to be read again, ascending.

    The age of a moment is the time from that moment until now. A moment younger than the first lookback age is read at every sync. An older one is up
    to date if it had reached the first age when it was last read, and has reached no other age since.

    With the ages of an hour and a day, for example, every sync reads the last hour. A moment that was read when it was two hours old is up to date
    until it is a day old; a moment that was read when it was older than a day is never read again.

    Args:
        wanted: The window that should be covered.
        covered: Rows of one subset, parent and field, all with the fingerprint of this sync.
        lookback_ages: Lookback ages, ascending; without any, one read is enough.
        now: The server's clock.
        check_interval: Moments that reach a lookback age wait for the next multiple of this duration, so that frequent syncs do not each read a few
            seconds at every age.
    """
    last_check = now - (now - BEGINNING) % check_interval
    remaining = [wanted] if wanted.start < wanted.end else []
    for row in covered:
        for up_to_date in _up_to_date_parts(row, lookback_ages, now, last_check):
            remaining = [part for window in remaining for part in minus(window, up_to_date)]
    return sorted(remaining)


def _up_to_date_parts(row: CoverageRow, lookback_ages: Sequence[timedelta], now: datetime, last_check: datetime) -> list[TimeWindow]:
    if row.final or not lookback_ages:
        return [TimeWindow(row.start, row.end)]
    parts = []
    for age, next_age in zip(lookback_ages, [*lookback_ages[1:], None], strict=True):
        # Moments between `age` and `next_age` are up to date if they had reached `age` when they were read. If they have reached `next_age` since the
        # last check, they are not due before the next one.
        start = max(row.start, last_check - next_age) if next_age is not None else row.start
        end = min(row.end, row.read_at - age, now - age)  # `now - age` is the earlier one only if the clock was set back
        if start < end:
            parts.append(TimeWindow(start, end))
    return parts


def minus(window: TimeWindow, hole: TimeWindow) -> list[TimeWindow]:
    """Return the parts of a window outside of another one."""
    if hole.start >= hole.end or hole.end <= window.start or hole.start >= window.end:
        return [window]
    pieces = [TimeWindow(window.start, hole.start), TimeWindow(hole.end, window.end)]
    return [piece for piece in pieces if piece.start < piece.end]


def merge_coverage(covered: Iterable[CoverageRow], new: Iterable[CoverageRow], lookback_ages: Sequence[timedelta]) -> list[CoverageRow]:
    """Return the coverage after a read: new rows replace what they overlap, and adjacent rows are merged if no information is lost.

    Args:
        covered: Rows of one subset, parent and field before.
        new: Rows that the read adds; if two overlap, the one that comes later in ``new`` replaces the other.
        lookback_ages: Lookback ages of the resource type.
    """
    rows = list(covered)
    for added in new:
        if added.start < added.end:
            rows = [*(piece for row in rows for piece in _outside(row, added)), added]
    # The rest of a row may be final although the whole row was not. Checking it again lets adjacent rows merge and keeps their number low.
    return _joined([_finalized(row, lookback_ages) for row in sorted(rows, key=lambda row: row.start)])


def without(covered: Iterable[CoverageRow], rereads: Iterable[TimeWindow]) -> list[CoverageRow]:
    """Return the coverage without some windows, so that the next sync reads them again."""
    rows = list(covered)
    for window in rereads:
        rows = [replace(row, start=part.start, end=part.end) for row in rows for part in minus(TimeWindow(row.start, row.end), window)]
    return rows


def _outside(row: CoverageRow, added: CoverageRow) -> list[CoverageRow]:
    return [replace(row, start=part.start, end=part.end) for part in minus(TimeWindow(row.start, row.end), TimeWindow(added.start, added.end))]


def _finalized(row: CoverageRow, lookback_ages: Sequence[timedelta]) -> CoverageRow:
    return replace(row, final=row.final or not lookback_ages or row.read_at >= row.end + lookback_ages[-1])


def _joined(rows: Sequence[CoverageRow]) -> list[CoverageRow]:
    """Merge adjacent rows of one fingerprint that were read at the same time or are final."""
    result: list[CoverageRow] = []
    for row in rows:
        last = result[-1] if result else None
        alike = last is not None and last.end == row.start and last.fingerprint == row.fingerprint and last.final == row.final
        if last is not None and alike and (row.final or last.read_at == row.read_at):
            result[-1] = replace(last, end=row.end, read_at=min(last.read_at, row.read_at))
        else:
            result.append(row)
    return result

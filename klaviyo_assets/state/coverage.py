"""Coverage: which spans of a time field have been read, and which must be read (again). Pure.

To plan is to subtract from what is wanted what is covered well enough.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

BEGINNING = datetime.min.replace(tzinfo=UTC)
"""The start of a span without a lower bound: a timestamp of RFC 3339 cannot be earlier. It is never sent in a filter."""

USUAL_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
"""Records that are dated earlier are read like all others, but nothing is cut, estimated or counted by their dates: such a date is an error of the
sender, and one of them must not spread the work over empty centuries."""


@dataclass(frozen=True, order=True)
class TimeWindow:
    """A half-open span of time, ``[start, end)``."""

    start: datetime
    end: datetime


@dataclass(frozen=True)
class CoverageRow:
    """One row of ``_coverage``: the records whose ``field`` lay in ``[start, end)`` were all read.

    Attributes:
        division: Name of the division.
        field: The time field.
        start: Start of the span, included.
        end: End of the span, excluded.
        read_at: The server's clock when the read began; the earliest, where rows were joined.
        fingerprint: Of the options and columns that were read.
        settled: True if every part was read after its last lookback age.
    """

    division: str
    field: str
    start: datetime
    end: datetime
    read_at: datetime
    fingerprint: str
    settled: bool = False


def uncovered(
    wanted: TimeWindow, covered: Iterable[CoverageRow], lookback_ages: Sequence[timedelta], now: datetime, step: timedelta = timedelta(microseconds=1)
) -> list[TimeWindow]:
    """Return the parts of ``wanted`` that are not covered well enough, ascending.

    A moment is covered well enough when it has been read since it reached the greatest lookback age that it has reached by now. One that has not even
    reached the first is read at every sync.

    Args:
        wanted: The span that should be covered.
        covered: Rows of one division and field.
        lookback_ages: Lookback ages, ascending; none means that once is enough.
        now: The server's clock.
        step: What was read before an age is read again from the next multiple of this time on after it has reached that age, so that
            syncs that follow each other closely do not read a few seconds at each age every time.
    """
    stepped = now - (now - BEGINNING) % step
    left = [wanted] if wanted.start < wanted.end else []
    for row in covered:
        for good in _good_parts(row, lookback_ages, now, stepped):
            left = [part for span in left for part in _minus(span, good)]
    return sorted(left)


def _good_parts(row: CoverageRow, lookback_ages: Sequence[timedelta], now: datetime, stepped: datetime) -> list[TimeWindow]:
    if row.settled or not lookback_ages:
        return [TimeWindow(row.start, row.end)]
    parts = []
    for age, next_age in zip(lookback_ages, [*lookback_ages[1:], None], strict=True):
        # Moments with an age in [age, next_age): good if they had reached `age` when they were read.
        start = max(row.start, stepped - next_age) if next_age is not None else row.start
        end = min(row.end, row.read_at - age, now - age)
        if start < end:
            parts.append(TimeWindow(start, end))
    return parts


def _minus(span: TimeWindow, hole: TimeWindow) -> list[TimeWindow]:
    if hole.start >= hole.end or hole.end <= span.start or hole.start >= span.end:
        return [span]
    pieces = [TimeWindow(span.start, hole.start), TimeWindow(hole.end, span.end)]
    return [piece for piece in pieces if piece.start < piece.end]


def merged(covered: Iterable[CoverageRow], new: Iterable[CoverageRow], lookback_ages: Sequence[timedelta]) -> list[CoverageRow]:
    """Return the coverage after a read: the new rows in place of what they overlap, neighbours joined where nothing is lost by it.

    Args:
        covered: Rows of one division and field before.
        new: Rows that the read adds; of two that overlap the later counts.
        lookback_ages: Lookback ages of the resource type.
    """
    rows = list(covered)
    for added in new:
        if added.start < added.end:
            rows = [*(piece for row in rows for piece in _outside(row, added)), added]
    # What is left of a row may be settled although the whole row was not: looked at again, it joins its neighbours, and the rows stay few.
    return _joined([_settle(row, lookback_ages) for row in sorted(rows, key=lambda row: row.start)])


def without(covered: Iterable[CoverageRow], struck: Iterable[TimeWindow]) -> list[CoverageRow]:
    """Return the coverage without some spans, so that the next sync reads them again."""
    rows = list(covered)
    for span in struck:
        rows = [replace(row, start=part.start, end=part.end) for row in rows for part in _minus(TimeWindow(row.start, row.end), span)]
    return rows


def _outside(row: CoverageRow, added: CoverageRow) -> list[CoverageRow]:
    return [replace(row, start=part.start, end=part.end) for part in _minus(TimeWindow(row.start, row.end), TimeWindow(added.start, added.end))]


def _settle(row: CoverageRow, lookback_ages: Sequence[timedelta]) -> CoverageRow:
    return replace(row, settled=row.settled or not lookback_ages or row.read_at >= row.end + lookback_ages[-1])


def _joined(rows: Sequence[CoverageRow]) -> list[CoverageRow]:
    """Join neighbours of one fingerprint that were read at one time or are settled for good."""
    result: list[CoverageRow] = []
    for row in rows:
        last = result[-1] if result else None
        alike = last is not None and last.end == row.start and last.fingerprint == row.fingerprint and last.settled == row.settled
        if last is not None and alike and (row.settled or last.read_at == row.read_at):
            result[-1] = replace(last, end=row.end, read_at=min(last.read_at, row.read_at))
        else:
            result.append(row)
    return result

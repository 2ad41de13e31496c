"""Which days may be compared, what differs, and what a difference has come to. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum

from klaviyo_assets.sync.coverage import Covered, Span

_DAY = timedelta(days=1)

Counts = Mapping[tuple[str, date], int]
"""Events by metric and day (UTC)."""


class State(StrEnum):
    """What a difference has come to."""

    DIFFERS = "differs"
    """Found, and nothing done yet."""
    STRUCK = "struck"
    """Struck from the coverage; the next sync of events reads the day again."""
    CONFIRMED = "confirmed"
    """Still there after the day was read again."""


@dataclass(frozen=True, order=True)
class Difference:
    """A metric's day of which Klaviyo counts more or fewer events than the table holds.

    Attributes:
        day: The day, UTC.
        metric_id: The metric.
        theirs: Klaviyo's count.
        ours: Rows of the table.
        state: What it has come to.
    """

    day: date
    metric_id: str
    theirs: int
    ours: int
    state: State = State.DIFFERS


def midnight(day: date) -> datetime:
    """Return the beginning of a day, UTC."""
    return datetime.combine(day, time(), UTC)


def whole_days(covered: Iterable[Covered], within: Span) -> Iterator[date]:
    """Yield the days (UTC) of a span that are covered from their beginning to their end, ascending."""
    spans = _joined(sorted(Span(max(row.start, within.start), min(row.end, within.end)) for row in covered))
    for span in spans:
        day = span.start.astimezone(UTC).date()
        if midnight(day) < span.start:
            day += _DAY
        while midnight(day) + _DAY <= span.end:
            yield day
            day += _DAY


def spans_of(days: Iterable[date]) -> list[Span]:
    """Return days as spans, neighbours joined, ascending."""
    return _joined(Span(midnight(day), midnight(day) + _DAY) for day in sorted(set(days)))


def _joined(spans: Iterable[Span]) -> list[Span]:
    result: list[Span] = []
    for span in spans:
        if span.start >= span.end:
            continue
        if result and span.start <= result[-1].end:
            result[-1] = Span(result[-1].start, max(result[-1].end, span.end))
        else:
            result.append(span)
    return result


def differences(theirs: Counts, ours: Counts, before: Iterable[Difference]) -> list[Difference]:
    """Return the days that differ, with what each has come to.

    Args:
        theirs: Klaviyo's counts, of every metric and day that was compared.
        ours: The table's counts; what is missing counts as none.
        before: Differences that are known. One that was struck and has been read again is confirmed; one that is confirmed stays so until a count
            changes; one that was not compared this time stays as it is.
    """
    known = {(one.metric_id, one.day): one for one in before}
    found = [one for key, one in known.items() if key not in theirs]
    for (metric_id, day), count in theirs.items():
        here = ours.get((metric_id, day), 0)
        if count != here:
            found.append(Difference(day, metric_id, count, here, _state(known.get((metric_id, day)), count, here)))
    return sorted(found)


def _state(before: Difference | None, theirs: int, ours: int) -> State:
    if before is None:
        return State.DIFFERS
    if before.state is State.STRUCK:
        return State.CONFIRMED
    if before.state is State.CONFIRMED and (before.theirs, before.ours) != (theirs, ours):
        return State.DIFFERS
    return before.state

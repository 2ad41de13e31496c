"""Compares counts, and decides the state of each difference. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

EventCounts = Mapping[tuple[str, date], int]
"""Events by metric and day (UTC)."""


class DifferenceState(StrEnum):
    """State of a difference."""

    MISMATCH = "mismatch"
    """Found; nothing done yet."""
    REREAD_PENDING = "reread_pending"
    """A repair has requested a reread of the day; the next audit compares it."""
    UNRESOLVED = "unresolved"
    """Still different after the day was read again."""


@dataclass(frozen=True)
class Difference:
    """A day of a metric for which Klaviyo's count differs from the table.

    Attributes:
        day: The day, UTC.
        metric_id: The metric.
        klaviyo_count: Klaviyo's count.
        table_count: Rows of the table.
        state: Its state.
        reread_at: Start of the read that read the whole day again after the request; None until then.
    """

    day: date
    metric_id: str
    klaviyo_count: int
    table_count: int
    state: DifferenceState = DifferenceState.MISMATCH
    reread_at: datetime | None = None


def differences(klaviyo_counts: EventCounts, table_counts: EventCounts, before: Iterable[Difference]) -> list[Difference]:
    """Return the days that do not match, with the state of each.

    Args:
        klaviyo_counts: Klaviyo's counts, of every metric and day that was compared.
        table_counts: The table's counts; missing ones are 0.
        before: Known differences. A pending one stays pending until the day has been read again; then it is unresolved, unless Klaviyo's count
            has changed since. An unresolved one stays unresolved until a count changes. One that was not compared this time does not change.
    """
    known = {(one.metric_id, one.day): one for one in before}
    found = [one for key, one in known.items() if key not in klaviyo_counts]
    for (metric_id, day), klaviyo_count in klaviyo_counts.items():
        table_count = table_counts.get((metric_id, day), 0)
        if klaviyo_count != table_count:
            one = known.get((metric_id, day))
            state = _state(one, klaviyo_count, table_count)
            reread_at = one.reread_at if one is not None and state is not DifferenceState.MISMATCH else None
            found.append(Difference(day, metric_id, klaviyo_count, table_count, state, reread_at))
    return sorted(found, key=lambda one: (one.day, one.metric_id))


def _state(before: Difference | None, klaviyo_count: int, table_count: int) -> DifferenceState:
    if before is None or before.state is DifferenceState.MISMATCH:
        return DifferenceState.MISMATCH
    if before.reread_at is None:
        # The first version may have called a difference confirmed without reading the whole day or marking rows as deleted.
        return DifferenceState.REREAD_PENDING if before.state is DifferenceState.REREAD_PENDING else DifferenceState.MISMATCH
    if before.klaviyo_count != klaviyo_count:
        return DifferenceState.MISMATCH
    return (
        DifferenceState.UNRESOLVED
        if before.state is DifferenceState.REREAD_PENDING or before.table_count == table_count
        else DifferenceState.MISMATCH
    )

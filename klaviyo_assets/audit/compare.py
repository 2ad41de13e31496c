"""What differs, and what a difference has come to. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from klaviyo_assets.state.rereads import State

Counts = Mapping[tuple[str, date], int]
"""Events by metric and day (UTC)."""


@dataclass(frozen=True)
class Difference:
    """A metric's day of which Klaviyo counts more or fewer events than the table holds.

    Attributes:
        day: The day, UTC.
        metric_id: The metric.
        theirs: Klaviyo's count.
        ours: Rows of the table.
        state: What it has come to.
        read_again_at: When the read began that brought the whole day again after it was struck; None until then.
    """

    day: date
    metric_id: str
    theirs: int
    ours: int
    state: State = State.DIFFERS
    read_again_at: datetime | None = None


def differences(theirs: Counts, ours: Counts, before: Iterable[Difference]) -> list[Difference]:
    """Return the days that differ, with what each has come to.

    Args:
        theirs: Klaviyo's counts, of every metric and day that was compared.
        ours: The table's counts; what is missing counts as none.
        before: Differences that are known. One that was struck stays so until the day has been read again; then it is confirmed, unless Klaviyo's
            count has changed since. One that is confirmed stays so until a count changes. One that was not compared this time stays as it is.
    """
    known = {(one.metric_id, one.day): one for one in before}
    found = [one for key, one in known.items() if key not in theirs]
    for (metric_id, day), count in theirs.items():
        here = ours.get((metric_id, day), 0)
        if count != here:
            one = known.get((metric_id, day))
            state = _state(one, count, here)
            read_again_at = one.read_again_at if one is not None and state is not State.DIFFERS else None
            found.append(Difference(day, metric_id, count, here, state, read_again_at))
    return sorted(found, key=lambda one: (one.day, one.metric_id))


def _state(before: Difference | None, theirs: int, ours: int) -> State:
    if before is None or before.state is State.DIFFERS:
        return State.DIFFERS
    if before.read_again_at is None:
        # What an older version has confirmed was perhaps not read again, and nothing was marked.
        return State.STRUCK if before.state is State.STRUCK else State.DIFFERS
    if before.theirs != theirs:
        return State.DIFFERS
    return State.CONFIRMED if before.state is State.STRUCK or before.ours == ours else State.DIFFERS

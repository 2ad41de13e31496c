"""Which versions of a record a table may hold, told for each record alone from what the docs promise and from nothing that the library has planned.

What they promise stands in "What is seen when" of ``docs/how-syncs-work.md``.

A record is *due* at a sync if the docs say that this sync reads it. Where that hangs on an interrupted sync, of which nobody can tell from outside
how far it came, both possibilities are kept.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from klaviyo_assets.catalog.replication import Incremental, NewestFirst
from klaviyo_assets_tests.scenarios.histories import DAY, HOUR
from klaviyo_assets_tests.scenarios.history import History
from klaviyo_assets_tests.scenarios.rows import micros

SECOND = 1_000_000
LAG = 10 * SECOND
LATE_AGES = tuple(age * SECOND for age in (6 * HOUR, DAY, 3 * DAY, 7 * DAY, 17 * DAY))
FIRST_AGE = HOUR * SECOND

_INCREMENTAL = ("incremental", "repair")
"""Modes that read what is not covered."""

_WINDOW = re.compile(r"(\w+) from (…|\S+ \S+) to (…|\S+ \S+)")


@dataclass(frozen=True)
class Window:
    """A span of a time field that a sync says it reads, in microseconds; None for no bound."""

    field: str
    start: int | None
    end: int | None

    def holds(self, times: Mapping[str, int | None]) -> bool:
        """Return whether a record's time lies in it."""
        time = times.get(self.field)
        return time is not None and (self.start is None or time >= self.start) and (self.end is None or time < self.end)


def window(text: str) -> Window | None:
    """Return the window that a name of ``_syncs.windows`` tells, less the second that it is rounded to; None if it names no span."""
    found = _WINDOW.search(text)
    if found is None:
        return None
    field, start, end = found.groups()
    return Window(field, None if start == "…" else _instant(start) + SECOND, None if end == "…" else _instant(end))


def _instant(text: str) -> int:
    return micros(datetime.fromisoformat(text).replace(tzinfo=UTC))


@dataclass(frozen=True)
class Reading:
    """A sync, as it is seen from outside.

    Attributes:
        began: Moment at which it began.
        ended: Moment at which it ended.
        at: Klaviyo's clock at its start, in microseconds.
        mode: ``incremental``, ``full`` or ``range``.
        done: True if it succeeded; of one that was stopped nobody knows how far it came.
        windows: What it says it reads.
        asked: What a ``range`` was asked for.
    """

    began: int
    ended: int
    at: int
    mode: str
    done: bool
    windows: tuple[Window, ...] = ()
    asked: Window | None = None


@dataclass(frozen=True)
class _Last:
    """The last time that a record was read: when, and its version then."""

    at: int | None = None
    index: int = 0


class Promises:
    """What the syncs so far promise of each record.

    Args:
        history: The records.
    """

    def __init__(self, history: History) -> None:
        self.history = history
        self._reading = history.entry.replication
        self._moving = history.entry.version_column if isinstance(self._reading, Incremental | NewestFirst) else None
        self._lasts: dict[str, frozenset[_Last]] = {}
        self._seen: dict[str, int] = {}
        self._readings: list[Reading] = []

    def take(self, replication: Reading) -> None:
        """Take note of a sync."""
        self._readings.append(replication)
        for id_ in self.history.versions:
            # Of a record that is new the earlier syncs have read the moment, and found nothing.
            unknown = self._readings if id_ not in self._lasts else [replication]
            for one in unknown:
                self._lasts[id_] = frozenset(self._after(one, id_, self._lasts.get(id_, frozenset({_Last()}))))

    def oldest(self, id_: str) -> int:
        """Return the number of the oldest version that the table may hold: an older one than before is never right."""
        return max(min(last.index for last in self._lasts[id_]), self._seen.get(id_, 0))

    def saw(self, id_: str, index: int) -> None:
        """Note that the table holds a version, or a later one."""
        self._seen[id_] = max(index, self._seen.get(id_, 0))

    def _after(self, replication: Reading, id_: str, before: Iterable[_Last]) -> Iterator[_Last]:
        versions = self.history.versions[id_]
        began, ended = (self.history.index(id_, moment) for moment in (replication.began, replication.ended))
        first, last = versions[began], versions[ended]
        now = _Last(replication.at, began)
        if first.row is None or last.row is None:
            # Only some reads notice that something is not there; one that was deleted or came while they read may be found or not.
            sees = began == ended and self._sees_absence(replication, id_)
            if not (sees and replication.done):
                yield from self._after_nothing(replication, id_, before)
            if sees or began != ended:
                yield now
            return
        # What moves along the field that is read may slip through, and turns up again at the next sync.
        sure = replication.done and (began == ended or self._moving is None or replication.mode not in _INCREMENTAL)
        for known in before:
            due = self._is_due(replication, first.times, versions[known.index].times, known)
            if due:
                yield now
            if not due or not sure:
                yield known

    def _after_nothing(self, replication: Reading, id_: str, before: Iterable[_Last]) -> Iterator[_Last]:
        """Its moment was read although it was not there: events that come late are found only when their moment is read again."""
        times = self.history.last_times(id_)
        for known in before:
            read = self._moving is None and times and self._is_due(replication, times, {}, known)
            if read:
                yield replace(known, at=replication.at)
            if not read or not replication.done:
                yield known

    def _is_due(self, replication: Reading, times: Mapping[str, int | None], known: Mapping[str, int | None], last: _Last) -> bool:
        if replication.mode == "full" or (self._moving is None and not isinstance(self._reading, Incremental | NewestFirst)):
            return True
        if replication.mode == "range":
            assert replication.asked is not None
            return replication.asked.holds(times)
        if last.at is None or any(one.holds(times) for one in replication.windows):
            return True
        if self._moving is not None and times[self._moving] != known.get(self._moving):
            return True
        if any(times[one] is not None and times[one] != known.get(one) for one in self.history.secondary_cursors):
            return True
        if isinstance(self._reading, NewestFirst):
            return False
        time = times[self._reading.field] if isinstance(self._reading, Incremental) else None
        return time is not None and _unsettled(time, replication.at, last.at, () if self._moving else LATE_AGES)

    def _sees_absence(self, replication: Reading, id_: str) -> bool:
        """Whether a read marks what it does not find; one that is suddenly empty marks nothing."""
        whole = not isinstance(self._reading, Incremental | NewestFirst)
        if not whole and replication.mode in _INCREMENTAL:
            return False
        span = replication.asked if replication.mode == "range" and not whole else None
        if span is not None and not span.holds(self.history.last_times(id_)):
            return False
        return any(self._is_there(other, replication, span) for other in self.history.versions)

    def _is_there(self, id_: str, replication: Reading, span: Window | None) -> bool:
        versions = self.history.versions[id_]
        both = [versions[self.history.index(id_, moment)] for moment in (replication.began, replication.ended)]
        return all(version.row is not None and (span is None or span.holds(version.times)) for version in both)


def _unsettled(time: int, now: int, last: int, late_ages: tuple[int, ...]) -> bool:
    """Whether a moment is read again: the last hour at every sync, later once it has reached an age that it had not at the last read."""
    if now - time <= FIRST_AGE or time >= now - LAG:
        return True
    looked_at = now - now % (HOUR * SECOND)  # late ages are looked at once an hour
    reached = max([FIRST_AGE, *(age for age in late_ages if time + age < looked_at)])
    return last < time + reached

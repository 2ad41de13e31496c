"""The versions of a record that a table may hold, derived per record from the docs alone and not from anything that the library planned.

The promises are in "Which sync sees what" of ``docs/how-syncs-work.md``.

A record is *due* at a sync if the docs say that this sync reads it. The progress of an interrupted sync is unknown from outside, so both
possibilities are kept.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from klaviyo_assets.catalog.replication import Incremental, NewestFirst, PerParent
from klaviyo_assets.extract.strategies.grouped_parents import RESUMED_WITHIN, live_states
from klaviyo_assets.extract.strategies.verification import MAX_AGE_WHILE_PAUSED
from klaviyo_assets_tests.scenarios.history import History
from klaviyo_assets_tests.scenarios.rows import micros, parent_of
from klaviyo_assets_tests.scenarios.scenario import DAY, HOUR

SECOND = 1_000_000
LAG = 10 * SECOND
LATE_AGES = tuple(age * SECOND for age in (6 * HOUR, DAY, 3 * DAY, 7 * DAY, 17 * DAY))
FIRST_AGE = HOUR * SECOND

_INCREMENTAL = ("incremental", "repair")
"""Modes that read what the coverage lacks."""

_WINDOW = re.compile(r"(\w+) from (…|\S+ \S+) to (…|\S+ \S+)")


@dataclass(frozen=True)
class Window:
    """A window of a timestamp field that a sync reports reading, in microseconds; None for no bound.

    Attributes:
        field: The field.
        start: Its start.
        end: Its end.
        subset: Which metrics' events it has: ``metric`` and an id, or ``all except`` and some ids; otherwise all.
    """

    field: str
    start: int | None
    end: int | None
    subset: str = ""

    def is_of(self, metric: str | None) -> bool:
        """Return whether the window is one of the events of a metric."""
        kind, _, names = self.subset.partition(" ")
        if kind == "metric":
            return metric == names
        return metric not in names.removeprefix("except ").split(", ")

    def contains(self, times: Mapping[str, int | None]) -> bool:
        """Return whether a record's timestamp lies in the window."""
        time = times.get(self.field)
        return time is not None and (self.start is None or time >= self.start) and (self.end is None or time < self.end)


def parse_window(text: str) -> Window | None:
    """Return the window of an entry of ``_syncs.slices``; None if there is none. Its times are rounded down, so the start moves up a second."""
    found = _WINDOW.search(text)
    if found is None:
        return None
    field, start, end = found.groups()
    before = text[: found.start()].strip()
    return Window(field, None if start == "…" else _instant(start) + SECOND, None if end == "…" else _instant(end), before)


def _instant(text: str) -> int:
    return micros(datetime.fromisoformat(text).replace(tzinfo=UTC))


@dataclass(frozen=True)
class ObservedSync:
    """A sync as seen from outside.

    Attributes:
        began: Snapshot at its start.
        ended: Snapshot at its end.
        at: Klaviyo's time at its start, in microseconds.
        mode: ``incremental``, ``full``, ``range`` or ``repair``.
        succeeded: True if it succeeded; the progress of an interrupted sync is unknown.
        windows: The windows that it reports reading.
        requested: The window of a ``range`` sync.
        parents: Parents that the parent's table held at its start, with the times of their last changes if these show which children may have
            changed; empty for a type without parents.
        selects: Returns whether it reads the events of a metric; None if it reads all.
    """

    began: int
    ended: int
    at: int
    mode: str
    succeeded: bool
    windows: tuple[Window, ...] = ()
    requested: Window | None = None
    parents: Mapping[str, int | None] = field(default_factory=dict)
    selects: Callable[[str | None], bool] | None = None

    def reads(self, history: History, id_: str) -> bool:
        """Return whether it reads a record, by its metric."""
        return self.selects is None or self.selects(history.metric(id_))


@dataclass(frozen=True)
class _LastRead:
    """The last read of a record: when, and the record's version then."""

    at: int | None = None
    index: int = 0


class Promises:
    """What the syncs so far promise for each record.

    Args:
        history: The records' versions.
    """

    def __init__(self, history: History) -> None:
        self.history = history
        self._replication = history.entry.replication
        self._moving_field = history.entry.version_column if isinstance(self._replication, Incremental | NewestFirst) else None
        self._last_reads: dict[str, frozenset[_LastRead]] = {}
        self._oldest_held: dict[str, int] = {}
        self._syncs: list[ObservedSync] = []

    def record_sync(self, sync: ObservedSync) -> None:
        """Record a sync."""
        self._syncs.append(sync)
        for id_ in self.history.versions:
            # Earlier syncs already read the window of a new record and found nothing there.
            pending = self._syncs if id_ not in self._last_reads else [sync]
            for one in pending:
                self._last_reads[id_] = frozenset(self._after(one, id_, self._last_reads.get(id_, frozenset({_LastRead()}))))
                self.record_held(id_, self._verified(one, id_))

    def oldest(self, id_: str) -> int:
        """Return the index of the oldest version that the table may hold. The table never goes back to an older version."""
        return max(min(last.index for last in self._last_reads[id_]), self._oldest_held.get(id_, 0))

    def record_held(self, id_: str, index: int) -> None:
        """Record that the table holds this version or a later one."""
        self._oldest_held[id_] = max(index, self._oldest_held.get(id_, 0))

    def _after(self, sync: ObservedSync, id_: str, before: Iterable[_LastRead]) -> Iterator[_LastRead]:
        if not sync.reads(self.history, id_):
            yield from before
            return
        versions = self.history.versions[id_]
        began, ended = (self.history.index(id_, snapshot) for snapshot in (sync.began, sync.ended))
        first, last = versions[began], versions[ended]
        now = _LastRead(sync.at, began)
        if first.row is None or last.row is None:
            # Only some syncs detect an absence. A record that was deleted or created during the sync may be found or not.
            detects = began == ended and self._detects_absence(sync, id_)
            if not (detects and sync.succeeded) or self._may_miss(sync, id_):
                surely = detects and sync.succeeded
                yield from self._after_absence(sync, id_, [known for known in before if not (surely and self._is_read_again(sync, id_, known))])
            if detects or began != ended:
                yield now
            return
        # A record whose version column moves during the sync may slip through; the next sync finds it.
        certain = sync.succeeded and (began == ended or not self._moves(sync))
        for known in before:
            due = self._is_due(sync, id_, first.times, versions[known.index].times, known)
            missed = self._may_miss(sync, id_) and not self._is_overdue(sync, known)
            if due or missed:
                yield now
            if not due or not certain or (missed and self._replication.groups is not None):
                yield known

    @property
    def _max_age(self) -> timedelta | None:
        """Age after which the children of a parent are read again, if not at each sync."""
        return self._replication.max_age if isinstance(self._replication, PerParent) else None

    def _moves(self, sync: ObservedSync) -> bool:
        """Return whether a record that changes during a sync may move to where the sync has already read."""
        return self._replication.count_check is not None or (self._moving_field is not None and sync.mode in _INCREMENTAL)

    def _may_miss(self, sync: ObservedSync, id_: str) -> bool:
        """Return whether a sync may read all children of a record's parent, but need not, because they are only verified from time to time."""
        if self._replication.groups is not None:
            return self._may_be_settled(sync, id_)
        is_partial = self._replication.count_check is not None or self._max_age is not None
        return is_partial and sync.mode != "full" and parent_of(self.history.entry, id_) in sync.parents

    def _is_read_again(self, sync: ObservedSync, id_: str, last: _LastRead) -> bool:
        """Return whether a sync reads all children of a record's parent because it has changed, or its last read is too old."""
        if self._replication.groups is not None:
            return self._is_overdue(sync, last)
        if self._max_age is None or last.at is None:
            return False
        changed_at = sync.parents.get(parent_of(self.history.entry, id_) or "")
        is_changed = self._replication.parent_change_column is not None and changed_at is not None and changed_at >= last.at
        return is_changed or sync.at - last.at >= micros_of(self._max_age)

    def _is_overdue(self, sync: ObservedSync, last: _LastRead) -> bool:
        """Return whether a sync reads all children of a record's parent, also settled ones, because that was too long ago.

        The last complete read was not later than the last read of the record, except that an interrupted sync may have begun it: what that one has
        read is not compared, so a record that it did not find stays until the next complete read.
        """
        groups = self._replication.groups
        if groups is None or last.at is None:
            return False
        interrupted = max((one.at for one in self._syncs if not one.succeeded and one is not sync and one.at <= sync.at), default=last.at)
        return sync.at - max(last.at, interrupted) >= micros_of(groups.complete_after)

    def _may_be_settled(self, sync: ObservedSync, id_: str) -> bool:
        """Return whether a sync need not read a child: it has been in a state that is not read each time, or an interrupted sync has read it."""
        states = live_states(self.history.entry)
        groups = self._replication.groups
        assert groups is not None
        place = next(number for number, column in enumerate(self.history.entry.columns) if column.name == groups.state)
        seen = self.history.versions[id_][: self.history.index(id_, sync.ended) + 1]
        before = [one for one in self._syncs if one is not sync and one.at <= sync.at]
        was_interrupted = any(not one.succeeded and sync.at - one.at <= micros_of(RESUMED_WITHIN) for one in before)
        return sync.mode != "full" and (was_interrupted or any(one.row is not None and one.row[place] not in states for one in seen))

    def _verified(self, sync: ObservedSync, id_: str) -> int:
        """Return the index of the version that a verification of the parent's children must have found: the one of the longest interval ago.

        If no child of any parent stays, the sync marks nothing.
        """
        is_verified = self._replication.count_check is not None and sync.succeeded and parent_of(self.history.entry, id_) in sync.parents
        if not is_verified or not any(self._stays(other, sync) for other in self.history.versions):
            return 0
        versions, at = self.history.versions[id_], sync.at - micros_of(MAX_AGE_WHILE_PAUSED) - SECOND
        return max((index for index, version in enumerate(versions) if micros(version.at) <= at), default=0)

    def _after_absence(self, sync: ObservedSync, id_: str, before: Iterable[_LastRead]) -> Iterator[_LastRead]:
        """Handle a sync that read the record's window before the record existed: late events are found only when their window is reread."""
        times = self.history.last_times(id_)
        is_past = any(version.row is not None for version in self.history.versions[id_][: self.history.index(id_, sync.began) + 1])
        for known in before:
            if is_past and self._replication.groups is not None:
                yield known  # the sync need not have read the parent completely
                continue
            read = self._moving_field is None and times and self._is_due(sync, id_, times, {}, known)
            if read:
                yield replace(known, at=sync.at)
            if not read or not sync.succeeded:
                yield known

    def _is_due(self, sync: ObservedSync, id_: str, times: Mapping[str, int | None], known: Mapping[str, int | None], last: _LastRead) -> bool:
        if isinstance(self._replication, PerParent):
            is_read = parent_of(self.history.entry, id_) in sync.parents
            field = self._replication.field
            if sync.mode == "full" or last.at is None or not is_read:
                return is_read
            if field is None:
                return self._max_age is None or self._is_read_again(sync, id_, last)
            time = times[field]
            return time is not None and time >= last.at - micros_of(self._replication.lookback)
        if sync.mode == "full" or (self._moving_field is None and not isinstance(self._replication, Incremental | NewestFirst)):
            return True
        if sync.mode == "range":
            assert sync.requested is not None
            return sync.requested.contains(times)
        if last.at is None or any(one.contains(times) and one.is_of(self.history.metric(id_)) for one in sync.windows):
            return True
        if self._moving_field is not None and times[self._moving_field] != known.get(self._moving_field):
            return True
        if any(times[one] is not None and times[one] != known.get(one) for one in self.history.secondary_cursors):
            return True
        if isinstance(self._replication, NewestFirst):
            return False
        time = times[self._replication.field] if isinstance(self._replication, Incremental) else None
        return time is not None and _unsettled(time, sync.at, last.at, () if self._moving_field else LATE_AGES)

    def _detects_absence(self, sync: ObservedSync, id_: str) -> bool:
        """Return whether a sync marks missing records as deleted; a suddenly empty one marks nothing, unless the parent is known to be deleted."""
        if isinstance(self._replication, PerParent):
            is_parent_known = parent_of(self.history.entry, id_) in sync.parents
            return any(self._stays(other, sync) for other in self.history.versions) if is_parent_known else bool(sync.parents)
        is_full_table = not isinstance(self._replication, Incremental | NewestFirst)
        if not is_full_table and sync.mode in _INCREMENTAL:
            return False
        window = sync.requested if sync.mode == "range" and not is_full_table else None
        if window is not None and not window.contains(self.history.last_times(id_)):
            return False
        return any(self._is_present(other, sync, window) for other in self.history.versions)

    def _stays(self, id_: str, sync: ObservedSync) -> bool:
        """Return whether a child is there during a whole sync that reads its parent."""
        began, ended = (self.history.index(id_, snapshot) for snapshot in (sync.began, sync.ended))
        is_read = parent_of(self.history.entry, id_) in sync.parents
        return is_read and all(version.row is not None for version in self.history.versions[id_][began : ended + 1])

    def _is_present(self, id_: str, sync: ObservedSync, window: Window | None) -> bool:
        if not sync.reads(self.history, id_):
            return False
        versions = self.history.versions[id_]
        both = [versions[self.history.index(id_, snapshot)] for snapshot in (sync.began, sync.ended)]
        return all(version.row is not None and (window is None or window.contains(version.times)) for version in both)


def micros_of(duration: timedelta) -> int:
    """Return a duration in microseconds."""
    return duration // timedelta(microseconds=1)


def _unsettled(time: int, now: int, last: int, late_ages: tuple[int, ...]) -> bool:
    """Return whether a timestamp is reread: always within the last hour, later once it has reached a lookback age since the last read."""
    if now - time <= FIRST_AGE or time >= now - LAG:
        return True
    checked_at = now - now % (HOUR * SECOND)  # late ages are checked once an hour
    reached = max([FIRST_AGE, *(age for age in late_ages if time + age < checked_at)])
    return last < time + reached

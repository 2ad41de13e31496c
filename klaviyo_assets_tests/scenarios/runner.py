"""A life is lived step by step, and the table is held against it after each sync: row by row, value by value."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from klaviyo_assets.audit.audit import TOO_YOUNG
from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.catalog.replication import FullTable, Incremental, Replication
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.state.coverage_store import WINDOW_START
from klaviyo_assets.state.days import midnight
from klaviyo_assets_tests.scenarios.actions import Doing
from klaviyo_assets_tests.scenarios.auditing import MetricDay
from klaviyo_assets_tests.scenarios.difference import Difference
from klaviyo_assets_tests.scenarios.histories import DAY, HOUR, Happening, Life, Sync, Wait
from klaviyo_assets_tests.scenarios.history import History, Version
from klaviyo_assets_tests.scenarios.promises import LAG, SECOND, Promises, Reading, Window, window
from klaviyo_assets_tests.scenarios.rows import Row, micros, row_sql
from klaviyo_assets_tests.scenarios.stats import Tally
from klaviyo_assets_tests.scenarios.world import World

LONGEST_SETTLING = timedelta(days=17)
"""How late an event may come and still be found by incremental syncs alone."""

_BOUND = re.compile(r"(greater|less)-[a-z-]+\(([\w.]+),([^)]+)\)")


class Living:
    """One life.

    Args:
        life: What happens.
        world: Where.
        tally: Counts.
    """

    def __init__(self, life: Life, world: World, tally: Tally) -> None:
        self.life, self.world, self.tally = life, world, tally
        self.entry = CATALOG[life.name]
        self.history = History(self.entry, world.now())
        self.promises = Promises(self.history)
        self._doing = Doing(world, self.entry)
        self._readings: dict[int, list[Reading]] = {}
        self._records: Mapping[str, bytes] = {}
        self._held: dict[str, Row | None] = {}
        self._syncs: set[str] = set()
        self._metric = next((place for place, column in enumerate(self.entry.columns) if column.name == "metric_id"), -1)

    def live(self) -> None:
        """Live it, let everything settle, and read it in full, or audit and repair it.

        Raises:
            Difference: If a table does not hold what Klaviyo showed.
        """
        self.tally.begin(self.life)
        self._note()
        for step in self.life.steps:
            if isinstance(step, Sync):
                self.sync(step)
            else:
                self.happen(step)
        self.happen(Wait(17 * DAY + 2 * HOUR))
        self.sync(Sync(page_size=40, workers=2))
        self._hold("after the last lookback age", self._settled)
        if self.life.repaired:
            self._repair()
            return
        if not isinstance(self.entry.replication, FullTable):
            self.sync(Sync(mode="full", page_size=40, workers=2))
        self._hold("after a read of everything", lambda id_: len(self.history.versions[id_]) - 1 if self._records else None)

    def _repair(self) -> None:
        """Audit and repair: afterwards no event is missing, and Klaviyo's counts differ from ours nowhere."""
        missing = {id_ for id_ in self.stale() if self._held.get(id_) is None}
        self.world.audit()
        self.sync(Sync(page_size=40, workers=2, mode="repair"))
        self.tally.happenings["audit and repair"] += 1
        self.tally.happenings["event that only the audit has found"] += sum(self._held.get(id_) is not None for id_ in missing)
        deletions = {day for id_, versions in self.history.versions.items() if versions[-1].row is None and (day := self._metric_day(id_))}
        self._hold("after audit and repair", lambda id_: self._audited(id_, deletions, repaired=id_ in missing))
        if different := self.world.audit():
            raise Difference(f"events: days still differ after the repair: {sorted(different)}")

    def _audited(self, id_: str, deletions: set[MetricDay], *, repaired: bool) -> int | None:
        """The version that the table must have after a repair: of what was missing the present one; None where the audit promises nothing.

        It counts by metric and day: where an event was deleted, another one may have taken its place in the count.
        """
        versions, day = self.history.versions[id_], self._metric_day(id_)
        if versions[-1].row is None or day is None or day in deletions or midnight(day[1]) + timedelta(days=1) + TOO_YOUNG > self.world.now():
            return None
        return len(versions) - 1 if repaired else 1

    def _metric_day(self, id_: str) -> MetricDay | None:
        last = next(one for one in reversed(self.history.versions[id_]) if one.row is not None)
        assert last.row is not None
        time, metric = last.times["datetime"], last.row[self._metric]
        return None if time is None or metric is None else (metric, datetime.fromtimestamp(time // SECOND, UTC).date())

    def happen(self, step: Happening) -> None:
        """Let something happen, and note what there is then."""
        label = self._doing.do(step, self._records)
        if label:
            self.tally.happenings[label] += 1
        self._note()

    def sync(self, order: Sync) -> None:
        """Sync and compare."""
        if isinstance(self.entry.replication, FullTable):
            order = replace(order, mode="incremental")
        began, start = self._note(), self.world.now()
        order = self._with_edges(order, start)
        self._shown: dict[str, int] = {}
        done = self.world.sync(self.life.name, order, lambda number: self._meanwhile(order, number), self._see)
        replication = self._seen(order, began, done, micros(start))
        self._readings.setdefault(replication.at, []).append(replication)
        self.promises.take(replication)
        outcome = "succeeded" if done else order.broken.kind if order.broken else "failed"
        self.tally.syncs[self.life.name, order.mode, outcome] += 1
        self._compare()
        if done:
            self._hold("what this sync was shown", self._shown.get)

    def stale(self) -> set[str]:
        """Return the records of which the table did not hold the present version after the last sync."""
        return {id_ for id_, versions in self.history.versions.items() if versions[-1].row != self._held.get(id_)}

    def _with_edges(self, order: Sync, now: datetime) -> Sync:
        """Put the start and the end of a range where records lie."""
        if order.mode != "range" or order.edges == (None, None):
            return order
        field_name = _range_field(self.entry.replication)
        times = sorted({time for id_ in self._records if (time := self.history.versions[id_][-1].times[field_name]) is not None})
        earlier = [time for time in times if time < micros(now)]
        if not earlier:
            return order
        first, last = order.edges
        since = order.since if first is None else (micros(now) - earlier[first % len(earlier)]) / SECOND
        until = order.until if last is None else (micros(now) - earlier[last % len(earlier)]) / SECOND
        return replace(order, since=max(since, until), until=min(since, until)) if since != until else order

    def _note(self) -> int:
        self._records = self.world.records(self.life.name)
        return self.history.note(self._records, self.world.now())

    def _see(self, asked: Mapping[str, str], answer: bytes) -> None:
        """Note the versions that an answer shows, of records that lie well inside of what was asked for: at its edges another slice counts."""
        found = json.loads(answer).get("data")
        if any(name.startswith("fields[") for name in asked):
            return  # a probe: it is read for its time alone
        bounds = [(name, is_after == "greater", micros(datetime.fromisoformat(at))) for is_after, name, at in _BOUND.findall(asked.get("filter", ""))]
        if not isinstance(self.entry.replication, FullTable) and not bounds:
            return  # the question for the oldest record
        for id_ in [record["id"] for record in found] if isinstance(found, list) else []:
            versions = self.history.versions.get(id_)
            if versions and versions[-1].row is not None and all(_lies_inside(versions[-1].times.get(name), *bound) for name, *bound in bounds):
                self._shown[id_] = max(len(versions) - 1, self._shown.get(id_, 0))

    def _meanwhile(self, order: Sync, number: int) -> None:
        for due, step in order.meanwhile:
            if due == number:
                self.happen(step)
        if order.tick:
            self.world.advance(timedelta(seconds=order.tick))

    def _seen(self, order: Sync, began: int, done: bool, asked_at: int) -> Reading:
        """Return the sync as its row of ``_syncs`` tells it."""
        ended, start = self._note(), asked_at
        rows = self.world.ask("_syncs", "id, epoch_us(started_at), slices")
        windows: tuple[Window, ...] = ()
        for id_, started, text in rows:
            if id_ not in self._syncs:
                self._syncs.add(id_)
                start, windows = started, tuple(one for name in json.loads(text) if (one := window(name)) is not None)
        asked = None
        if order.mode == "range":
            until = min(asked_at - round(order.until * SECOND), start - LAG)
            asked = Window(_range_field(self.entry.replication), asked_at - round(order.since * SECOND), until)
        return Reading(began, ended, start, order.mode, done, windows, asked)

    def _compare(self) -> None:
        name = self.life.name
        found = self.world.ask(name, f"{row_sql(self.entry)}, _extra, _deleted_at IS NOT NULL")
        held: dict[str, Row | None] = {}
        for *values, extra, deleted in found:
            id_ = str(values[0])
            if id_ in held:
                raise Difference(f"{name} {id_} is there twice")
            if extra is not None:
                raise Difference(f"{name} {id_} has unknown attributes: {extra}")
            held[id_] = None if deleted else tuple(values)
        if lost := self._held.keys() - held.keys():
            raise Difference(f"{name}: rows that were there are gone: {sorted(lost)}")
        if foreign := held.keys() - self.history.versions.keys():
            raise Difference(f"{name}: rows that Klaviyo never showed: {sorted(foreign)}")
        self._held = held
        self.tally.rows += len(self.history.versions)
        self.tally.values += len(self.history.versions) * len(self.entry.columns)
        for id_ in self.history.versions:
            self.promises.saw(id_, self._match(id_, self.promises.oldest(id_), "what the syncs so far promise"))
        self._compare_coverage()

    def _match(self, id_: str, oldest: int, why: str) -> int:
        """Return the first version, not older than one, that the table holds.

        Raises:
            Difference: If it holds none of them.
        """
        versions, row = self.history.versions[id_], self._held.get(id_)
        for index in range(oldest, len(versions)):
            if versions[index].row == row:
                return index
        raise Difference(_told(self.entry, id_, row, versions, oldest, why))

    def _hold(self, why: str, oldest: Callable[[str], int | None]) -> None:
        """Hold every record against the version that the table must have at least."""
        for id_ in self.history.versions:
            index = oldest(id_)
            if index is not None:
                self._match(id_, index, why)

    def _settled(self, id_: str) -> int | None:
        """The present version, where every change came in time to be found by incremental syncs; None where that is not promised."""
        versions = self.history.versions[id_]
        last = versions[-1]
        if last.row is None:
            return None
        match self.entry.replication:
            case FullTable():
                return len(versions) - 1
            case Incremental(field="datetime"):
                time = last.times["datetime"]
                assert time is not None
                return len(versions) - 1 if micros(last.at - LONGEST_SETTLING) <= time else None
            case _:
                moved = self.entry.version_column is not None and last.times[self.entry.version_column] != versions[-2].times.get(
                    self.entry.version_column
                )
                return len(versions) - 1 if moved else None

    def _compare_coverage(self) -> None:
        """Hold the coverage against its own meaning: the records whose time lay in a span were all read at its time."""
        columns = f"field, epoch_us({WINDOW_START}), epoch_us(window_end), epoch_us(read_at), final"
        for field_name, start, end, read_at, final in self.world.ask("_coverage", columns, f"WHERE resource_type = '{self.life.name}'"):
            if end > (micros(self.world.now()) if final else read_at) - LAG:
                raise Difference(f"{self.life.name}: the coverage of {field_name} passes the start of the sync that read it")
            readings = self._readings.get(read_at)
            if not readings:
                raise Difference(f"{self.life.name}: coverage of {field_name} that no sync has read")
            span = Window(field_name, start, end)
            for id_, index in self._covered(span, readings, final=final):
                self._match(id_, index, f"coverage of {field_name}")

    def _covered(self, span: Window, readings: list[Reading], *, final: bool) -> Iterator[tuple[str, int]]:
        """Yield the records that a row of the coverage speaks of, and their versions at its time.

        One that is final may have been joined of several reads, of which it tells the first: it speaks of what has stayed the same since.
        """
        began, ended = min(one.began for one in readings), self.history.moment if final else max(one.ended for one in readings)
        for id_, versions in self.history.versions.items():
            first, last = self.history.index(id_, began), self.history.index(id_, ended)
            moved = first != last and (versions[last].row is None or span.field in (self.entry.version_column, *self.history.secondary_cursors))
            if versions[first].row is not None and span.holds(versions[first].times) and not moved:
                yield id_, first


def _lies_inside(time: int | None, is_start: bool, bound: int) -> bool:
    return time is not None and (time >= bound + SECOND if is_start else time < bound - SECOND)


def _range_field(replication: Replication) -> str:
    assert replication.range_field is not None
    return replication.range_field


def _told(entry: ResourceType, id_: str, row: Row | None, versions: list[Version], oldest: int, why: str) -> str:
    """Return a difference in words."""
    number = next((index for index, version in enumerate(versions) if version.row == row), None)
    if row is None or number is not None:
        held = "no row" if row is None else f"version {number}"
    else:
        held = f"a row that Klaviyo never showed ({_columns_that_differ(entry, row, versions[-1].row)})"
    story = "; ".join(f"{index}: {'absent' if one.row is None else dict(one.times)} since {one.at:%d %H:%M:%S}" for index, one in enumerate(versions))
    return f"{entry.name} {id_}: the table holds {held}, at least version {oldest} was due by {why}. Versions: {story}"


def _columns_that_differ(entry: ResourceType, held: Row, shown: Row | None) -> str:
    if shown is None:
        return "it was deleted"
    pairs = zip(entry.columns, held, shown, strict=True)
    return "; ".join(f"{column.name}: {ours!r}, Klaviyo {theirs!r}" for column, ours, theirs in pairs if ours != theirs)

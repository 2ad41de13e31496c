"""Runs a scenario step by step and compares every value of the table after each sync."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from klaviyo_assets.audit.audit import TOO_YOUNG
from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.catalog.parent_groups import ParentGroups
from klaviyo_assets.catalog.replication import FullTable, Incremental, PerParent, Replication
from klaviyo_assets.state.coverage_store import WINDOW_START
from klaviyo_assets.state.days import midnight
from klaviyo_assets_tests.scenarios.actions import ActionRunner
from klaviyo_assets_tests.scenarios.auditing import MetricDay
from klaviyo_assets_tests.scenarios.covered import covered_children, covered_records
from klaviyo_assets_tests.scenarios.difference import Difference, describe
from klaviyo_assets_tests.scenarios.history import History, Version
from klaviyo_assets_tests.scenarios.incomplete import completed
from klaviyo_assets_tests.scenarios.promises import LAG, SECOND, ObservedSync, Promises, Window, parse_window
from klaviyo_assets_tests.scenarios.rewrites import Rewrites, Written
from klaviyo_assets_tests.scenarios.rows import Row, micros, row_sql
from klaviyo_assets_tests.scenarios.scenario import DAY, HOUR, Action, OfParent, Scenario, Sync, Wait
from klaviyo_assets_tests.scenarios.stats import Stats
from klaviyo_assets_tests.scenarios.world import World

MAX_LATENESS = timedelta(days=17)
"""How late an event may arrive and still be found by incremental syncs."""

_BOUND = re.compile(r"(greater|less)-[a-z-]+\(([\w.]+),([^)]+)\)")
_CHILDREN_OF = re.compile(r"/api/[a-z-]+/([^/]+)/[a-z-]+")


class Runner:
    """Runs one scenario.

    Args:
        scenario: The scenario.
        world: Where to run it.
        stats: Counts to update.

    Attributes:
        parents: The same for the parent type, whose table decides which parents a sync reads; None for a type without parents.
    """

    def __init__(self, scenario: Scenario, world: World, stats: Stats) -> None:
        self.scenario, self.world, self.stats = scenario, world, stats
        self.entry = entry = CATALOG[scenario.name]
        self.parents = None if entry.parent is None else Runner(replace(scenario, name=entry.parent.type_name), world, stats)
        self.history = History(self.entry, world.now())
        self.promises = Promises(self.history)
        self._action_runner = ActionRunner(world, self.entry)
        self._observed: dict[int, list[ObservedSync]] = {}
        self._records: Mapping[str, bytes] = {}
        self._held: dict[str, Row | None] = {}
        self._rewrites = Rewrites(entry, self.history)
        self._syncs: set[str] = set()
        self._key_positions = [position for position, column in enumerate(entry.columns) if column.name in entry.primary_key]
        self._metric_position = next((position for position, column in enumerate(self.entry.columns) if column.name == "metric_id"), -1)

    def run(self) -> None:
        """Run the steps, wait past the last lookback age, then do a full sync, or an audit and a repair.

        Raises:
            Difference: If the table differs from Klaviyo's records.
        """
        self.stats.count_scenario(self.scenario)
        self._snapshot()
        self._sync_parents()
        for step in self.scenario.steps:
            if isinstance(step, Sync):
                self.sync(step)
            else:
                self.apply(step)
        self.apply(Wait(17 * DAY + 2 * HOUR))
        self._sync_parents()
        few = next((step.few for step in self.scenario.steps if isinstance(step, Sync)), Sync().few)
        self.sync(Sync(page_size=40, workers=2, few=few))
        self._check("after the last lookback age", self._settled)
        if self.scenario.with_repair:
            self._repair()
            return
        if not self.entry.replication.is_complete_read:
            self.sync(Sync(mode="full", page_size=40, workers=2))
        self._check("after a full sync", lambda id_: len(self.history.versions[id_]) - 1 if self._records else None)

    def _repair(self) -> None:
        """Audit and repair; afterwards no event may be missing and no count may differ from Klaviyo's."""
        missing = {id_ for id_ in self.stale() if self._held.get(id_) is None}
        self.world.audit()
        self.sync(Sync(page_size=40, workers=2, mode="repair"))
        self.stats.actions["audit and repair"] += 1
        self.stats.actions["event found only by the audit"] += sum(self._held.get(id_) is not None for id_ in missing)
        deletions = {day for id_, versions in self.history.versions.items() if versions[-1].row is None and (day := self._metric_day(id_))}
        self._check("after audit and repair", lambda id_: self._due_after_repair(id_, deletions, was_missing=id_ in missing))
        if different := self.world.audit():
            raise Difference(f"events: days still differ after the repair: {sorted(different)}")

    def _due_after_repair(self, id_: str, deletions: set[MetricDay], *, was_missing: bool) -> int | None:
        """Return the version that is due after a repair, the current one for a missing event; None where the audit promises nothing.

        The audit counts by metric and day: an added event may hide a deleted one on the same day.
        """
        versions, day = self.history.versions[id_], self._metric_day(id_)
        if versions[-1].row is None or day is None or day in deletions or midnight(day[1]) + timedelta(days=1) + TOO_YOUNG > self.world.now():
            return None
        return len(versions) - 1 if was_missing else 1

    def _metric_day(self, id_: str) -> MetricDay | None:
        last = next(one for one in reversed(self.history.versions[id_]) if one.row is not None)
        assert last.row is not None
        time, metric = last.times["datetime"], last.row[self._metric_position]
        return None if time is None or metric is None else (metric, datetime.fromtimestamp(time // SECOND, UTC).date())

    def apply(self, step: Action) -> None:
        """Apply an action and take a snapshot."""
        label = self._run_action(step)
        if label:
            self.stats.actions[label] += 1
        self._snapshot()

    def _run_action(self, step: Action) -> str | None:
        if not isinstance(step, OfParent):
            return self._action_runner.run(step, self._records)
        assert self.parents is not None
        label = self.parents._run_action(step.action)
        return f"parent: {label}" if label else None

    def _sync_parents(self) -> None:
        if self.parents is not None:
            self.sync(Sync(page_size=40, of_parents=True))

    def sync(self, step: Sync, apply: Callable[[Action], None] | None = None) -> None:
        """Sync and compare the table.

        Args:
            step: The sync.
            apply: Applies the actions during the sync; by default :meth:`apply`.
        """
        if step.of_parents:
            assert self.parents is not None
            self.parents.sync(replace(step, of_parents=False), self.apply)
            return
        if self.entry.replication.is_complete_read:
            step = replace(step, mode="incremental")
        if "truncated_includes" in self.scenario.switches and self.entry.host is not None and self.entry.host.derive is not None:
            # What is computed from a response and from records that were fetched after it may be of no moment if they change in between.
            step = replace(step, meanwhile=())
        began, start = self._snapshot(), self.world.now()
        step = self._with_edges(step, start)
        self._shown: dict[str, int] = {}
        self._began, self._covers_to = began, micros(start) - LAG
        choice, metrics = step.metrics, self.world.records("metrics") if step.metrics is not None else ()
        self._selects = None if choice is None else lambda metric: choice.selects(metrics, metric)
        self._starts: set[tuple[str, int]] = set()
        parents, apply = self._parents_in_table(), apply or self.apply
        succeeded = self.world.sync(self.scenario.name, step, lambda number: self._before_request(step, number, apply), self._observe_response)
        observed = replace(self._observed_sync(step, began, succeeded, micros(start)), parents=parents, selects=self._selects)
        self._observed.setdefault(observed.at, []).append(observed)
        self.promises.record_sync(observed)
        outcome = "succeeded" if succeeded else step.interruption.kind if step.interruption else "failed"
        self.stats.syncs[self.scenario.name, step.mode, outcome] += 1
        self._compare(observed)
        if succeeded:
            self._check("the responses of this sync", self._shown.get)

    def stale(self) -> set[str]:
        """Return the records whose current version the table did not hold after the last sync."""
        return {id_ for id_, versions in self.history.versions.items() if versions[-1].row != self._held.get(id_)}

    def _with_edges(self, step: Sync, now: datetime) -> Sync:
        """Move the start and end of a range to the timestamps of records."""
        if step.mode != "range" or step.edges == (None, None):
            return step
        field_name = _range_field(self.entry.replication)
        times = sorted({time for id_ in self._records if (time := self.history.versions[id_][-1].times[field_name]) is not None})
        earlier = [time for time in times if time < micros(now)]
        if not earlier:
            return step
        first, last = step.edges
        since = step.since if first is None else (micros(now) - earlier[first % len(earlier)]) / SECOND
        until = step.until if last is None else (micros(now) - earlier[last % len(earlier)]) / SECOND
        return replace(step, since=max(since, until), until=min(since, until)) if since != until else step

    def _parents_in_table(self) -> dict[str, int | None]:
        """Return the parents that a sync reads, with the times of their last changes: those in the parent's table that are not marked as deleted."""
        if self.parents is None:
            return {}
        changed_at = self.entry.replication.parent_change_column
        columns = f"id, {f'epoch_us({changed_at})' if changed_at else 'NULL'}"
        return dict(self.world.query(self.parents.entry.name, columns, "WHERE _deleted_at IS NULL"))

    def _snapshot(self) -> int:
        if self.parents is not None:
            self.parents._snapshot()
        self._records = self.world.records(self.scenario.name)
        return self.history.record(self._records, self.world.now())

    def _observe_response(self, url: httpx.URL, body: bytes) -> None:
        """Record the versions in a response of records that lie inside the requested window; at its edges another slice is responsible.

        The next sync is responsible for a record that changed during the sync and is dated after the time that the sync covers, if the slice of the
        request was split meanwhile: its later half may already have been read.
        """
        found, parameters = json.loads(body).get("data"), url.params
        if self.parents is not None:
            # Of a type that is read now and then, a sync with nothing due requests a parent only for the access and the time.
            if getattr(self.entry.replication, "max_age", None) is None:
                self._observe_children(url, found)
            return
        if self.entry.host is not None:
            self._observe_included(url, json.loads(body).get("included"))
            return
        if f"fields[{self.entry.jsonapi_type}]" in parameters and not self.entry.only_fields:
            return  # a probe: the sync uses only its timestamp
        self._rewrites.observe(body)
        filters = _BOUND.findall(parameters.get("filter", ""))
        bounds = [(name, operator == "greater", micros(datetime.fromisoformat(value))) for operator, name, value in filters]
        if not isinstance(self.entry.replication, FullTable) and not bounds:
            return  # the request for the oldest record
        for id_ in [record["id"] for record in found] if isinstance(found, list) else []:
            versions = self.history.versions.get(id_)
            if not versions or not all(_is_inside(versions[-1].times.get(name), *bound) for name, *bound in bounds):
                continue
            if self._selects is not None and not self._selects(self.history.metric(id_)):
                continue
            if self.history.index(id_, self._began) == len(versions) - 1 or not self._is_of_later_slice(versions[-1], bounds):
                self._note_shown(id_)
        self._starts.update((name, bound) for name, is_start, bound in bounds if is_start)

    def _is_of_later_slice(self, version: Version, bounds: list[tuple[str, bool, int]]) -> bool:
        """Return whether a version is dated after the time that the sync covers, in a slice that was split off from the one with these bounds."""
        return any(
            is_start
            and (time := version.times.get(name) or 0) >= self._covers_to
            and any(bound < start <= time for field, start in self._starts if field == name)
            for name, is_start, bound in bounds
        )

    def _observe_children(self, url: httpx.URL, found: Any) -> None:
        """Record the versions in a response with children of one parent."""
        requested = _CHILDREN_OF.fullmatch(url.path)
        if requested is None or url.params.get("page[size]") == "1":
            return  # a probe, or a page that looks like one
        for record in found if isinstance(found, list) else []:
            self._note_shown(f"{requested[1]}/{record['id']}")

    def _observe_included(self, url: httpx.URL, found: Any) -> None:
        """Record the versions in a response that includes the records. What is derived from the included ones is compared after the sync only."""
        if url.params.get("page[size]") == "1":
            return  # a probe, or a page that looks like one
        for record in found if isinstance(found, list) else []:
            if record["type"] == self.entry.jsonapi_type:
                self._note_shown(record["id"])

    def _note_shown(self, id_: str) -> None:
        versions = self.history.versions.get(id_)
        if versions and versions[-1].row is not None:
            self._shown[id_] = max(len(versions) - 1, self._shown.get(id_, 0))

    def _before_request(self, step: Sync, number: int, apply: Callable[[Action], None]) -> None:
        for due, action in step.meanwhile:
            if due == number:
                apply(action)
        if step.tick:
            self.world.advance(timedelta(seconds=step.tick))

    def _observed_sync(self, step: Sync, began: int, succeeded: bool, requested_at: int) -> ObservedSync:
        """Return the sync as its row of ``_syncs`` describes it."""
        ended, start = self._snapshot(), requested_at
        rows = self.world.query("_syncs", "id, epoch_us(started_at), slices", f"WHERE resource_type = '{self.entry.name}'")
        windows: tuple[Window, ...] = ()
        for id_, started, text in rows:
            if id_ not in self._syncs:
                self._syncs.add(id_)
                start, windows = started, tuple(one for name in json.loads(text) if (one := parse_window(name)) is not None)
        requested = None
        if step.mode == "range":
            until = min(requested_at - round(step.until * SECOND), start - LAG)
            requested = Window(_range_field(self.entry.replication), requested_at - round(step.since * SECOND), until)
        return ObservedSync(began, ended, start, step.mode, succeeded, windows, requested)

    def _compare(self, sync: ObservedSync) -> None:
        name = self.scenario.name
        found = self.world.query(name, f"{row_sql(self.entry)}, _extra, _deleted_at IS NOT NULL, {self._rewrites.sql}")
        held: dict[str, Row | None] = {}
        written: dict[str, Written] = {}
        for *values, extra, deleted, at, volatile, removed_at in found:
            id_ = "/".join(str(values[position]) for position in self._key_positions)
            if id_ in held:
                raise Difference(f"{name} {id_} occurs twice")
            if extra is not None:
                raise Difference(f"{name} {id_} has unknown attributes: {extra}")
            held[id_] = None if deleted else tuple(values)
            written[id_] = Written(at, volatile, removed_at)
        if lost := self._held.keys() - held.keys():
            raise Difference(f"{name}: rows disappeared: {sorted(lost)}")
        if foreign := held.keys() - self.history.versions.keys():
            raise Difference(f"{name}: rows that Klaviyo never showed: {sorted(foreign)}")
        if not sync.succeeded and "max_included" in self.scenario.switches:
            held = completed(self.entry, held, self.history)
        self._held = held
        self.stats.rows += len(self.history.versions)
        self.stats.values += len(self.history.versions) * len(self.entry.columns)
        for id_ in self.history.versions:
            self.promises.record_held(id_, self._match(id_, self.promises.oldest(id_), "the syncs so far"))
        if "max_included" not in self.scenario.switches:  # attributions that a page lacks are written by themselves
            self._rewrites.check(held, written, sync, self.parents._records if self.parents is not None else ())
        self._compare_coverage()

    def _match(self, id_: str, oldest: int, why: str) -> int:
        """Return the index of the version that the table holds, at least ``oldest``.

        Raises:
            Difference: If it holds no such version.
        """
        versions, row = self.history.versions[id_], self._held.get(id_)
        for index in range(oldest, len(versions)):
            if versions[index].row == row:
                return index
        raise Difference(describe(self.entry, id_, row, versions, oldest, why))

    def _check(self, why: str, oldest: Callable[[str], int | None]) -> None:
        """Check that the table holds at least the version that is due for each record."""
        for id_ in self.history.versions:
            index = oldest(id_)
            if index is not None:
                self._match(id_, index, why)

    def _settled(self, id_: str) -> int | None:
        """Return the current version if incremental syncs must have found it; None if the docs promise less."""
        versions = self.history.versions[id_]
        last = versions[-1]
        if last.row is None:
            return None
        match self.entry.replication:
            case PerParent(max_age=timedelta()) | PerParent(grouped=ParentGroups()):
                return None
            case FullTable() | PerParent():
                return len(versions) - 1
            case Incremental(field="datetime"):
                time = last.times["datetime"]
                assert time is not None
                return len(versions) - 1 if micros(last.at - MAX_LATENESS) <= time else None
            case _:
                moved = self.entry.version_column is not None and last.times[self.entry.version_column] != versions[-2].times.get(
                    self.entry.version_column
                )
                return len(versions) - 1 if moved else None

    def _compare_coverage(self) -> None:
        """Check the coverage: the table holds every record in a covered window, or of a covered parent, as it was when that was read."""
        columns = f"subset, field, epoch_us({WINDOW_START}), epoch_us(window_end), epoch_us(read_at), final, parent"
        rows = self.world.query("_coverage", columns, f"WHERE resource_type = '{self.scenario.name}'")
        for subset, field_name, start, end, read_at, final, parent in rows:
            if end > (micros(self.world.now()) if final else read_at) - LAG:
                raise Difference(f"{self.scenario.name}: the coverage of {field_name} extends past the start of its sync")
            syncs = self._observed.get(read_at)
            if not syncs:
                raise Difference(f"{self.scenario.name}: coverage of {field_name} without a sync")
            if self.entry.replication.groups is not None and subset != self.entry.subsets[0].name:
                continue  # a part of the children, until the sync that reads the others
            window = Window(field_name, start, end, subset)
            if self.parents is None:
                covered = covered_records(self.entry, self.history, window, syncs, final=final)
            else:
                covered = covered_children(self.entry, self.history, parent, window, syncs)
            for id_, index in covered:
                self._match(id_, index, f"coverage of {field_name}")


def _is_inside(time: int | None, is_start: bool, bound: int) -> bool:
    return time is not None and (time >= bound + SECOND if is_start else time < bound - SECOND)


def _range_field(replication: Replication) -> str:
    assert replication.range_field is not None
    return replication.range_field

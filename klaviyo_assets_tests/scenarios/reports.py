"""Runs a scenario of a report: after each sync, the windows that change hold exactly what Klaviyo reports at a sync of the same day.

The promises are in "Which sync sees what" of ``docs/how-syncs-work.md``: the current and the last year, or the last 60 days, are read once a day;
every other row is one that Klaviyo has reported. Observations of earlier days stay as they are.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.catalog.replication import ReportWindows
from klaviyo_assets.catalog.report_columns import groupings_of, statistics_of
from klaviyo_assets_tests.scenarios.actions import ActionRunner
from klaviyo_assets_tests.scenarios.difference import Difference
from klaviyo_assets_tests.scenarios.report_rows import Key, Rows
from klaviyo_assets_tests.scenarios.scenario import DAY, Scenario, Sync
from klaviyo_assets_tests.scenarios.stats import Stats
from klaviyo_assets_tests.scenarios.world import World

_BERLIN = ZoneInfo("Europe/Berlin")
"""The time zone of the sandbox's account."""


class ReportRunner:
    """Runs one scenario of a report.

    Args:
        scenario: The scenario.
        world: Where to run it; it must be able to report.
        stats: Counts to update.
    """

    def __init__(self, scenario: Scenario, world: World, stats: Stats) -> None:
        self.scenario, self.world, self.stats = scenario, world, stats
        self.entry = CATALOG[scenario.name]
        report, subject = self.entry.replication.report, self.entry.access_shown_by
        assert report is not None
        assert subject is not None
        self._report, self._subject = report, subject
        self._actions = ActionRunner(world, subject)
        self._began = world.now().date() - timedelta(days=scenario.history_days + 1)
        self._today: list[tuple[date, Rows]] = []
        self._seen: dict[Key, set[tuple[float, ...]]] = {}
        self._observed: Rows = {}

    def run(self) -> None:
        """Run the steps, then one more sync on the next day.

        Raises:
            Difference: If the table differs from what Klaviyo has reported.
        """
        self.stats.count_scenario(self.scenario)
        for step in self.scenario.steps:
            if isinstance(step, Sync):
                self._sync(replace(step, tick=0, meanwhile=(), mode="incremental" if step.mode == "range" else step.mode))
            elif label := self._actions.run(step, self.world.records(self._subject.name)):
                self.stats.actions[label] += 1
        self.world.advance(timedelta(seconds=DAY))
        self._sync(Sync())

    def _sync(self, step: Sync) -> None:
        today = self.world.now().astimezone(_BERLIN).date()
        changing: Rows = {}
        for first, last in self._windows(today):
            shown = self.world.reported(self.scenario.name, first, last)
            if self._report.windows is ReportWindows.OBSERVED:
                shown = {(*key[:-1], str(today)): values for key, values in shown.items()}
            for key, values in shown.items():
                self._seen.setdefault(key, set()).add(values)
            if self._changes(first, last, today):
                changing |= shown
        self._today = [(day, rows) for day, rows in self._today if day == today]
        if step.mode == "full" or not self._today or self._today[-1][1] != changing:
            self._today.append((today, changing))
        succeeded = self.world.sync(self.scenario.name, step, lambda number: None, lambda url, body: None)
        outcome = "succeeded" if succeeded else step.interruption.kind if step.interruption else "failed"
        self.stats.syncs[self.scenario.name, step.mode, outcome] += 1
        if succeeded:
            self._compare(today)

    def _windows(self, today: date) -> Iterator[tuple[date, date]]:
        """Yield windows that together have all days since the account's first one; those that change are whole."""
        if self._report.windows is ReportWindows.YEARS:
            yield from ((date(year, 1, 1), date(year, 12, 31)) for year in range(self._began.year, today.year + 1))
            return
        if self._report.windows is ReportWindows.OBSERVED:
            yield today - timedelta(days=29), today
            return
        last = today
        while last >= self._began:
            yield last - timedelta(days=59), last
            last -= timedelta(days=60)

    def _changes(self, first: date, last: date, today: date) -> bool:
        return first.year >= today.year - 1 if self._report.windows is ReportWindows.YEARS else last == today

    def _compare(self, today: date) -> None:
        name, held = self.scenario.name, self._held()
        self.stats.rows += len(held)
        self.stats.values += len(held) * len(statistics_of(self.entry))
        for key, values in held.items():
            # Whether days without a message have rows depends on the requested window.
            if any(values) and values not in self._seen.get(key, set()):
                raise Difference(f"{name} {key} has values that Klaviyo never reported: {values}")
        subjects = self.world.records(self._subject.name)
        if self.entry.named_in_filter is not None and subjects and (gone := sorted({key[0] for key in held} - subjects.keys())):
            raise Difference(f"{name} has rows of deleted {self._subject.name} that are not marked: {gone[:1]}")
        first = str(self._first_that_changes(today))
        due = self._due_from()
        changing = _from({key: values for key, values in held.items() if key[-1] >= first}, due)
        shown = [_from(rows, due) for _, rows in self._today]
        # A segment that is new is read by itself, later on the same day.
        for subject in {key[0] for key in changing.keys() | shown[-1].keys()} if self.entry.named_in_filter is not None else {None}:
            ours, *theirs = (_of(subject, rows) for rows in (changing, *shown))
            if ours not in theirs:
                wrong = sorted(key for key in theirs[-1].keys() | ours.keys() if theirs[-1].get(key) != ours.get(key))
                raise Difference(f"{name}: {len(wrong)} rows of windows that change are not those of today, such as {wrong[:1]}")
        self._compare_observations(held, first)

    def _compare_observations(self, held: Rows, today: str) -> None:
        """Check that what earlier days have observed is still there."""
        if self._report.windows is not ReportWindows.OBSERVED:
            return
        for key, values in self._observed.items():
            if key[-1] < today and held.get(key) != values:
                raise Difference(f"{self.scenario.name} {key}: an observation of an earlier day has changed")
        self._observed = held

    def _first_that_changes(self, today: date) -> date:
        match self._report.windows:
            case ReportWindows.YEARS:
                return date(today.year - 1, 1, 1)
            case ReportWindows.OBSERVED:
                return today
            case ReportWindows.DAYS:
                return today - timedelta(days=59)

    def _due_from(self) -> Callable[[Key], str | None]:
        """Return a function from a row's key to the day from which on it is due: none before the account or the segment began.

        A report names the segments that exist; the rows of those that were deleted are marked.
        """
        if self.entry.named_in_filter is None:
            # Klaviyo counts nothing before there is a metric; in the sandbox, campaigns may be older.
            began = min(_created(raw) for raw in self.world.records("metrics").values())
            first = f"{began[:4]}-01-01" if self._report.windows is ReportWindows.YEARS else began
            return lambda key: first
        created = {id_: _created(raw) for id_, raw in self.world.records(self._subject.name).items()}
        return lambda key: created.get(key[0])

    def _held(self) -> Rows:
        keys = [*(f'"{one}"' for one in groupings_of(self.entry)), f"{self._report.field}::VARCHAR"]
        columns = ", ".join((*keys, *(f'"{one}"' for one in statistics_of(self.entry))))
        found: Rows = {}
        for row in self.world.query(self.scenario.name, columns, "WHERE _deleted_at IS NULL"):
            if row[: len(keys)] in found:
                raise Difference(f"{self.scenario.name} {row[: len(keys)]} occurs twice")
            found[row[: len(keys)]] = row[len(keys) :]
        return found


def _of(subject: str | None, rows: Rows) -> Rows:
    """Return the rows of a subject; all rows if it is None."""
    return rows if subject is None else {key: values for key, values in rows.items() if key[0] == subject}


def _from(rows: Rows, due: Callable[[Key], str | None]) -> Rows:
    return {key: values for key, values in rows.items() if (began := due(key)) is not None and key[-1] >= began}


def _created(raw: bytes) -> str:
    return str(datetime.fromisoformat(json.loads(raw)["attributes"]["created"]).astimezone(_BERLIN).date())

"""Each transaction that changes rows also records that they have changed: what is read here is what a process killed right after it leaves."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from klaviyo_assets.load.deletions.report_ending import ReportEnding
from klaviyo_assets.load.deletions.report_window import ReportWindow
from klaviyo_assets.load.loader import Loader
from klaviyo_assets.load.steps.load_transaction import LoadTransaction
from klaviyo_assets.privacy.apply import rule_sets_for
from klaviyo_assets.state.coverage import TimeWindow
from klaviyo_assets.state.periods import Periods
from klaviyo_assets.state.requested_rereads import Reread
from klaviyo_assets.state.sync_log import SyncLogEntry
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import query
from klaviyo_assets_tests.load.loads import NOON, Loads

pytestmark = pytest.mark.duckdb

DAY = TimeWindow(NOON - timedelta(hours=12), NOON + timedelta(hours=12))
EVENT = {"id": "A", "metric_id": "M", "datetime": NOON, "event_properties": '{"$value": 1, "secret": 2}'}
OTHER = EVENT | {"id": "B", "datetime": NOON - timedelta(days=1)}


class Events:
    """A table with two events of adjacent days, and a second sync that runs."""

    def __init__(self, warehouse: LocalFile, folder: Path, other: dict[str, Any] = OTHER) -> None:
        self.warehouse = warehouse
        self.load = Loads(warehouse, folder, "events")
        self.load([EVENT, other])
        self.row = SyncLogEntry("b-sync", "events", "unknown", "incremental", NOON + timedelta(hours=1), None)
        self.loader = Loader(warehouse, self.load.entry, "klaviyo", periods=Periods())
        self.loader.begin(self.row)

    @property
    def recorded(self) -> tuple[int, int | None, int]:
        """Deleted and rewritten rows that the log of the second sync says, and the days that it has recorded."""
        ((deleted, rewritten),) = query(self.warehouse, "SELECT rows_deleted, rows_rewritten FROM _syncs WHERE id = 'b-sync'")
        ((days,),) = query(self.warehouse, "SELECT count(*) FROM _changed_periods WHERE sync_id = 'b-sync'")
        return deleted, rewritten, days


@pytest.fixture
def events(warehouse: LocalFile, tmp_path: Path) -> Events:
    return Events(warehouse, tmp_path)


def test_rows_that_a_field_rule_rewrites_are_recorded_with_it(events: Events) -> None:
    rules = rule_sets_for({"events": {"event_properties.secret": "drop"}})["events"]
    assert events.loader.apply_rules(rules, str, events.row) == (True, 2)
    assert events.recorded == (0, 2, 2)
    assert events.loader.apply_rules(rules, str, events.row) == (False, 0)
    assert events.recorded == (0, 2, 2)


def test_only_the_days_of_rows_that_a_field_rule_rewrites_are_recorded(warehouse: LocalFile, tmp_path: Path) -> None:
    events = Events(warehouse, tmp_path, OTHER | {"event_properties": "{}"})
    rules = rule_sets_for({"events": {"event_properties.secret": "drop"}})["events"]
    assert events.loader.apply_rules(rules, str, events.row) == (True, 1)
    assert events.recorded == (0, 1, 1)


def test_a_rewrite_that_is_rolled_back_is_not_counted(events: Events, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = rule_sets_for({"events": {"event_properties.secret": "drop"}})["events"]
    with monkeypatch.context() as patch:
        patch.setattr(LoadTransaction, "update_log", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            events.loader.apply_rules(rules, str, events.row)
    assert events.recorded == (0, None, 0)
    assert events.loader.apply_rules(rules, str, events.row) == (True, 2)
    assert events.recorded == (0, 2, 2), "not twice"


def test_columns_that_are_computed_are_recorded_with_them(events: Events) -> None:
    query(events.warehouse, "DROP TABLE _computed_columns")  # as if an earlier version, without these columns, had stored the rows
    loader = Loader(events.warehouse, events.load.entry, "klaviyo", periods=Periods())
    columns, rows = loader.recompute(events.row)
    assert columns
    assert rows == 2
    assert events.recorded == (0, 2, 2)


def test_rows_that_a_range_marks_are_counted_with_the_marks(events: Events) -> None:
    assert events.loader.comparison(events.row).mark_missing("datetime", DAY, events.load.staged([OTHER]))
    assert events.recorded == (1, None, 1)


def test_rows_that_a_repair_marks_are_counted_with_the_marks(events: Events) -> None:
    reread = Reread("datetime", DAY, expects_none=True)
    assert events.loader.comparison(events.row).finish_rereads([reread], events.load.staged([OTHER])) == []
    assert events.recorded == (1, None, 1)


def test_rows_that_a_report_marks_are_counted_with_the_marks(warehouse: LocalFile, tmp_path: Path) -> None:
    load = Loads(warehouse, tmp_path, "segment_report_daily")
    day = NOON.date()
    load([{"segment_id": segment, "day": day} for segment in "AB"])
    loader, row = Loader(warehouse, load.entry, "klaviyo"), replace(load.row, id="b-sync", started_at=NOON + timedelta(hours=1))
    loader.begin(row)
    ending = ReportEnding([ReportWindow("day", day, day)], load.staged([{"segment_id": "A", "day": day}]))
    assert loader.comparison(row).mark_report(ending) == []
    assert query(warehouse, "SELECT rows_deleted FROM _syncs WHERE id = 'b-sync'") == [(1,)]

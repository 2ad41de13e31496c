"""Syncs that are killed or fail: the database holds the last committed state, and the next sync completes it."""

import random
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from polars.testing import assert_frame_equal

from klaviyo_assets.api.clock import ServerClock
from klaviyo_assets.api.klaviyo_errors import RequestFailed
from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.state.coverage_store import WINDOW_START
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import query, sync, table, truth
from klaviyo_assets_tests.killable_sync import LOADING

pytestmark = [pytest.mark.duckdb, pytest.mark.long]

NewAccount = Callable[..., SandboxProcess]

_KILLS = 5
"""Each starts a process. ``make kills`` kills syncs at every stage."""


def kill_during_load(sandbox: SandboxProcess, warehouse: LocalFile, name: str, *, load: int = 1, after: float = 0.0) -> bool:
    """Start a sync and kill it ``after`` seconds into its nth load; return False if it ended earlier."""
    command = [sys.executable, "-m", "klaviyo_assets_tests.killable_sync", sandbox.base_url, str(warehouse.path.parent), name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        begun = 0
        for line in process.stdout:
            begun += line.strip() == LOADING
            if begun == load:
                time.sleep(after)
                process.kill()
                break
    return begun == load


def assert_covered_rows_are_complete(sandbox: SandboxProcess, warehouse: LocalFile, name: str) -> None:
    """Check that the table has all rows of the covered windows, and no row twice."""
    windows = query(warehouse, f"SELECT field, epoch_us({WINDOW_START}), epoch_us(window_end) FROM _coverage WHERE resource_type = '{name}'")
    stored, known = table(warehouse, name), truth(sandbox, name)
    assert stored["id"].is_unique().all()
    for field, start, end in windows:
        if field not in known.columns:
            continue  # a time inside a JSON column
        wanted = known.filter(known[field].dt.epoch("us").is_between(start, end, closed="left"))
        assert set(wanted["id"]) <= set(stored["id"])


@pytest.mark.slow
def test_killed_during_several_loads(new_account: NewAccount, warehouse: LocalFile) -> None:
    sandbox, moments = new_account(events=8_000), random.Random(4)
    sandbox.advance(timedelta(days=30))
    stored = 0
    for _ in range(_KILLS):
        assert kill_during_load(sandbox, warehouse, "events", load=moments.randint(1, 2), after=moments.uniform(0, 0.06))
        assert_covered_rows_are_complete(sandbox, warehouse, "events")
        before, stored = stored, table(warehouse, "events").height
        assert stored >= before

    report = sync("events", sandbox, warehouse)

    assert 0 < stored < report.row_count
    assert_frame_equal(table(warehouse, "events"), truth(sandbox, "events"))
    assert dict(query(warehouse, "SELECT outcome, count(*) FROM _syncs GROUP BY outcome")) == {"killed": _KILLS, "succeeded": 1}


@pytest.mark.slow
def test_a_killed_first_sync_of_profiles_resumed_three_days_later(new_account: NewAccount, warehouse: LocalFile) -> None:
    sandbox = new_account(profiles=2_000)
    assert kill_during_load(sandbox, warehouse, "profiles", load=3, after=0.05)
    ids = truth(sandbox, "profiles").sort("created")["id"].to_list()
    for day in range(3):
        sandbox.advance(timedelta(days=1))
        for id_ in ids[day::40]:  # old and new ones: some had been read before the kill, others not
            sandbox.change("update", type="profiles", id=id_, attributes={"first_name": f"Day {day}"})
        sandbox.change("add", type="profiles")
    assert_covered_rows_are_complete(sandbox, warehouse, "profiles")
    before = table(warehouse, "profiles").height
    assert 0 < before < len(ids)

    report = sync("profiles", sandbox, warehouse)

    assert_frame_equal(table(warehouse, "profiles"), truth(sandbox, "profiles"))
    assert report.row.records_read < len(ids) + 100, "records from before the kill were read again"


@pytest.mark.parametrize("name", ["events", "profiles", "reviews"])
def test_the_next_sync_resumes_a_failed_one(name: str, new_account: NewAccount, warehouse: LocalFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("klaviyo_assets.api.retries.BACKOFF_BASE", 0.01)
    sandbox = new_account()
    sandbox.faults({"path": f"/api/{name}", "kind": "503", "times": None, "after": 6})
    with pytest.raises(RequestFailed):
        sync(name, sandbox, warehouse, concurrency=2)
    sandbox.clear_faults()
    ((outcome, error_class, staged),) = query(warehouse, "SELECT outcome, error_class, records_read FROM _syncs")
    assert (outcome, error_class) == ("failed", "ServerFault")

    report = sync(name, sandbox, warehouse, concurrency=2)

    assert report.resumed
    read_twice = report.row.records_read + staged - report.row_count
    assert staged > 90
    assert read_twice < staged / 2, "only slices that were not covered are read again"
    assert_frame_equal(table(warehouse, name), truth(sandbox, name))


def test_staged_files_without_a_new_column_are_read_again(new_account: NewAccount, warehouse: LocalFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("klaviyo_assets.api.retries.BACKOFF_BASE", 0.01)
    sandbox, entry = new_account(), CATALOG["profiles"]
    older = replace(entry, columns=tuple(column for column in entry.columns if not column.was_in_extra))
    sandbox.change("add", type="profiles", attributes={"anonymous_id": "visitor"})
    sandbox.faults({"path": "/api/profiles", "kind": "503", "times": None, "after": 3})
    with pytest.raises(RequestFailed):
        sync(older, sandbox, warehouse, concurrency=2)
    sandbox.clear_faults()

    assert not sync("profiles", sandbox, warehouse, concurrency=2).resumed

    assert_frame_equal(table(warehouse, "profiles"), truth(sandbox, "profiles"), check_column_order=False)
    assert query(warehouse, "SELECT count(*) FROM profiles WHERE anonymous_id = 'visitor'") == [(1,)]


def test_a_failed_read_of_a_full_table_type_does_not_change_the_table(
    new_account: NewAccount, warehouse: LocalFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("klaviyo_assets.api.retries.BACKOFF_BASE", 0.01)
    sandbox = new_account()
    sync("campaigns", sandbox, warehouse)
    before = table(warehouse, "campaigns")
    sandbox.change("delete", type="campaigns", id=before["id"][0])
    sandbox.faults({"path": "/api/campaigns", "kind": "cut", "times": None, "after": 3})

    with pytest.raises(RequestFailed):
        sync("campaigns", sandbox, warehouse)

    assert_frame_equal(table(warehouse, "campaigns"), before)
    sandbox.clear_faults()
    assert sync("campaigns", sandbox, warehouse).row.rows_deleted == 1


def test_a_suddenly_empty_response_marks_no_rows(new_account: NewAccount, warehouse: LocalFile) -> None:
    sandbox = new_account()
    sync("lists", sandbox, warehouse)
    for id_ in table(warehouse, "lists")["id"]:
        sandbox.change("delete", type="lists", id=id_)

    report = sync("lists", sandbox, warehouse)

    assert report.row.rows_deleted == 0
    assert "Klaviyo returned no lists at all" in report.notes[0]
    assert table(warehouse, "lists", deleted=True).is_empty()


_AHEAD = timedelta(seconds=2)
"""How far the clock of the first of two syncs is ahead of the other's; ``Date`` has whole seconds."""


def _first_sync_of_tags_with_a_clock_ahead(sandbox: SandboxProcess, warehouse: LocalFile, monkeypatch: pytest.MonkeyPatch) -> str:
    """Sync tags, as if the process had been killed after its only commit; return the id of one."""
    now = ServerClock.now
    with monkeypatch.context() as ahead:
        ahead.setattr(ServerClock, "now", lambda self: now(self) + _AHEAD)
        sync("tags", sandbox, warehouse)
    _mark_as_running(warehouse)
    return str(table(warehouse, "tags")["id"][0])


def _mark_as_running(warehouse: LocalFile) -> None:
    with warehouse.transaction() as connection:
        connection.execute("UPDATE klaviyo.klaviyo._syncs SET outcome = 'running', finished_at = NULL")


def test_a_sync_right_after_a_killed_one_stores_the_later_version(
    new_account: NewAccount, warehouse: LocalFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = new_account()
    tag = _first_sync_of_tags_with_a_clock_ahead(sandbox, warehouse, monkeypatch)
    sandbox.change("update", type="tags", id=tag, attributes={"name": "Renamed"})

    sync("tags", sandbox, warehouse)

    assert query(warehouse, f"SELECT name FROM tags WHERE id = '{tag}'") == [("Renamed",)]


def test_records_of_resumed_files_are_older_than_those_read_now(
    new_account: NewAccount, warehouse: LocalFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("klaviyo_assets.api.retries.BACKOFF_BASE", 0.01)
    sandbox, now = new_account(), ServerClock.now
    sandbox.faults({"path": "/api/events", "kind": "503", "times": None, "after": 6})
    with monkeypatch.context() as ahead:
        ahead.setattr(ServerClock, "now", lambda self: now(self) + _AHEAD)
        with pytest.raises(RequestFailed):
            sync("events", sandbox, warehouse, concurrency=2)
    sandbox.clear_faults()
    _mark_as_running(warehouse)
    newest = truth(sandbox, "events").sort("datetime")["id"][-1]
    sandbox.change("attribution", id=newest, attributions=["changed"])

    assert sync("events", sandbox, warehouse, concurrency=2).resumed

    assert_frame_equal(table(warehouse, "events"), truth(sandbox, "events"))

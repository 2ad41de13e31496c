"""Events imported with old dates: the audit finds their days, the repair reads only those, and then all counts match."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from polars.testing import assert_frame_equal

from klaviyo_assets import KlaviyoResource, build_klaviyo_definitions
from klaviyo_assets.errors import SyncAlreadyRunning
from klaviyo_assets.extract.fetcher import Fetcher
from klaviyo_assets.extract.sync_options import SyncMode, SyncOptions
from klaviyo_assets.load.loader import Loader
from klaviyo_assets.sandbox.keys import ALL_SCOPES_KEY
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.state.coverage import TimeWindow
from klaviyo_assets.state.locks import sync_lock
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import query, sync, table, truth
from klaviyo_assets_tests.audit.old_imports import (
    OLD,
    REPAIR,
    Run,
    count_one_more,
    days_shown,
    fail,
    import_old_events,
    requested_windows,
    some_metric_and_day,
    values,
)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("unpaced", "database_file")]


def test_old_imports_are_found_and_repaired(sandbox: SandboxProcess, warehouse: LocalFile, run: Run) -> None:
    for name in ("metrics", "events"):
        sync(name, sandbox, warehouse)
    before = run("klaviyo_audit")
    assert before.passed
    assert list(values(before)["excluded"]) == ["Events without a metric are in none of Klaviyo's counts"]
    first, second = import_old_events(sandbox, 60, 100)
    sandbox.advance(timedelta(hours=1))
    sync("events", sandbox, warehouse)
    assert table(warehouse, "events").height == truth(sandbox, "events").height - 4

    found = run("klaviyo_audit")

    assert not found.passed
    assert found.severity is dg.AssetCheckSeverity.ERROR
    assert "run the repair job" in (found.description or "")
    assert {row["day"] for row in days_shown(found)} == {f"{first:%Y-%m-%d}", f"{second:%Y-%m-%d}"}
    assert values(found)["missing_events"] == 4
    assert not any(row["metric"] == row["metric"].lower() for row in days_shown(found))  # names, not ids

    sandbox.reset_stats()
    repaired = run("klaviyo_repair")

    assert repaired.passed, repaired.description
    old = [window for window in requested_windows(sandbox) if f"{sandbox.now() - timedelta(days=20):%Y-%m-%d}" > window.split("datetime,")[1]]
    expected = [f"{moment:%Y-%m-%d}T00:00:00" for moment in (first, second)]
    assert sorted(window.split("datetime,")[1].rstrip("Z)")[:19] for window in old) == sorted(expected)
    assert_frame_equal(table(warehouse, "events"), truth(sandbox, "events"))
    requests = sandbox.stats()["endpoints"]["/api/metric-aggregates"]["requests"]
    assert requests <= values(found)["requests"]

    assert run("klaviyo_audit").passed
    assert query(warehouse, "SELECT count(*) FROM _audit_days") == [(0,)]


def test_a_difference_that_stays_after_the_reread_is_unresolved(
    sandbox: SandboxProcess, warehouse: LocalFile, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync("events", sandbox, warehouse)
    count_one_more(monkeypatch, *some_metric_and_day(warehouse))
    assert run("klaviyo_audit").severity is dg.AssetCheckSeverity.ERROR

    unresolved = run("klaviyo_repair")

    assert not unresolved.passed
    assert unresolved.severity is dg.AssetCheckSeverity.WARN, "it only warns"
    assert "still differ" in (unresolved.description or "")
    (row,) = days_shown(unresolved)
    assert (row["state"], row["Klaviyo"] - row["here"]) == ("unresolved", 1)
    sandbox.reset_stats()
    assert run("klaviyo_repair").severity is dg.AssetCheckSeverity.WARN
    assert "/api/metric-aggregates" not in sandbox.stats()["endpoints"]
    assert run("klaviyo_audit").severity is dg.AssetCheckSeverity.WARN


def test_a_day_whose_count_has_changed_since_the_reread_is_a_new_mismatch(sandbox: SandboxProcess, warehouse: LocalFile, run: Run) -> None:
    sync("events", sandbox, warehouse)
    old = {"datetime": sandbox.now() - timedelta(days=60), "metric_id": sandbox.truth("metrics")[0]["id"]}
    sandbox.change("event", **old)
    assert not run("klaviyo_audit").passed
    sync("events", sandbox, warehouse, REPAIR)  # without the comparison that the job runs afterwards
    sandbox.change("event", **old)

    for _ in range(2):
        assert run("klaviyo_audit").severity is dg.AssetCheckSeverity.ERROR
    assert run("klaviyo_repair").passed
    assert_frame_equal(table(warehouse, "events"), truth(sandbox, "events"))


def test_a_pending_day_waits_until_it_has_been_read(sandbox: SandboxProcess, warehouse: LocalFile, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    sync("events", sandbox, warehouse)
    import_old_events(sandbox, 60)
    run("klaviyo_audit")
    with monkeypatch.context() as broken:
        broken.setattr(Fetcher, "run", fail)
        with pytest.raises(RuntimeError):
            sync("events", sandbox, warehouse, REPAIR)

    pending = run("klaviyo_audit")

    assert pending.severity is dg.AssetCheckSeverity.ERROR
    assert {row["state"] for row in days_shown(pending)} == {"reread_pending"}
    sync("events", sandbox, warehouse)
    assert run("klaviyo_audit").passed


def test_staged_files_of_an_interrupted_sync_do_not_undo_a_reread_request(
    sandbox: SandboxProcess, warehouse: LocalFile, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync("events", sandbox, warehouse)
    start = sandbox.now() - timedelta(days=90)
    with monkeypatch.context() as broken:
        broken.setattr(Loader, "load", fail)
        with pytest.raises(RuntimeError):
            sync("events", sandbox, warehouse, SyncOptions(mode=SyncMode.range, window=TimeWindow(start, start + timedelta(days=60))))
    import_old_events(sandbox, 60)
    run("klaviyo_audit")

    assert run("klaviyo_repair").passed
    assert_frame_equal(table(warehouse, "events"), truth(sandbox, "events"))


def test_a_repair_during_another_sync_leaves_its_request_to_the_next_one(sandbox: SandboxProcess, warehouse: LocalFile, run: Run) -> None:
    sync("events", sandbox, warehouse)
    import_old_events(sandbox, 60)
    run("klaviyo_audit")
    covered = query(warehouse, "SELECT * FROM _coverage ORDER BY ALL")
    with sync_lock(warehouse.state_dir / "klaviyo", "events", "another"), pytest.raises(SyncAlreadyRunning):
        sync("events", sandbox, warehouse, REPAIR)

    assert query(warehouse, "SELECT * FROM _coverage ORDER BY ALL") == covered
    assert query(warehouse, "SELECT state FROM _audit_days") == [("reread_pending",)]
    sync("events", sandbox, warehouse)
    assert run("klaviyo_audit").passed
    assert_frame_equal(table(warehouse, "events"), truth(sandbox, "events"))


def test_a_request_that_another_program_has_deleted_is_made_again_by_the_next_repair(
    sandbox: SandboxProcess, warehouse: LocalFile, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync("events", sandbox, warehouse)
    import_old_events(sandbox, 60)
    run("klaviyo_audit")
    with monkeypatch.context() as broken:
        broken.setattr(Fetcher, "run", fail)
        with pytest.raises(RuntimeError):
            sync("events", sandbox, warehouse, REPAIR)
    query(warehouse, "DELETE FROM _rereads")

    assert run("klaviyo_repair").passed
    assert_frame_equal(table(warehouse, "events"), truth(sandbox, "events"))
    assert query(warehouse, "SELECT count(*) FROM _rereads") == [(0,)], "requests that were fulfilled and compared are deleted"


def test_each_audit_stays_in_the_log_for_a_year_and_a_repair_adds_none(sandbox: SandboxProcess, warehouse: LocalFile, run: Run) -> None:
    sync("events", sandbox, warehouse)
    import_old_events(sandbox, 60)
    run("klaviyo_audit")
    query(
        warehouse,
        "INSERT INTO _audits BY NAME SELECT _audits.* REPLACE (audited_at - to_days(390 * i::INTEGER) AS audited_at) FROM _audits, range(1, 3) t(i)",
    )
    assert run("klaviyo_repair").passed
    sandbox.advance(timedelta(minutes=1))
    run("klaviyo_audit")

    assert query(warehouse, "SELECT mismatches FROM _audits ORDER BY audited_at") == [(1,), (0,), (0,)]


def test_a_deleted_event_is_marked_by_the_repair(sandbox: SandboxProcess, warehouse: LocalFile, run: Run) -> None:
    sync("events", sandbox, warehouse)
    ((id_, metric, seconds),) = query(warehouse, f"SELECT id, metric_id, epoch(datetime) FROM events WHERE {OLD} ORDER BY id LIMIT 1")
    sandbox.change("delete", type="events", id=id_)
    found = run("klaviyo_audit")
    assert values(found)["surplus_events"] == 1

    assert run("klaviyo_repair").passed

    assert table(warehouse, "events", deleted=True)["id"].to_list() == [id_]
    assert_frame_equal(table(warehouse, "events"), truth(sandbox, "events"))
    sandbox.change("event", datetime=datetime.fromtimestamp(seconds, UTC), metric_id=metric)
    assert values(run("klaviyo_audit"))["missing_events"] == 1, "a new event of the same day does not hide the deleted one"


def test_the_last_event_of_a_day_is_marked_if_klaviyo_counts_none(sandbox: SandboxProcess, warehouse: LocalFile, run: Run) -> None:
    moment = sandbox.now() - timedelta(days=500)
    (id_,) = sandbox.change("event", datetime=moment, metric_id=sandbox.truth("metrics")[0]["id"])
    sync("events", sandbox, warehouse)
    sandbox.change("delete", type="events", id=id_)
    assert not run("klaviyo_audit").passed

    assert run("klaviyo_repair").passed
    assert_frame_equal(table(warehouse, "events"), truth(sandbox, "events"))


def test_days_that_a_later_sync_has_read_again_wait_for_the_next_audit(
    sandbox: SandboxProcess, warehouse: LocalFile, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync("events", sandbox, warehouse)
    import_old_events(sandbox, 60)
    run("klaviyo_audit")
    with monkeypatch.context() as broken:
        broken.setattr(Fetcher, "run", fail)
        with pytest.raises(RuntimeError):
            sync("events", sandbox, warehouse, REPAIR)

    after = run("klaviyo_sync_frequent")

    assert not after.passed
    assert "1 have been read again since. What to do: run the audit or the repair job" in (after.description or "")
    assert run("klaviyo_repair").passed


def test_repair_is_for_events(sandbox: SandboxProcess, tmp_path: Path) -> None:
    klaviyo = KlaviyoResource(api_key=ALL_SCOPES_KEY, base_url=sandbox.base_url, rate_limit_share=1.0)
    defs = build_klaviyo_definitions(klaviyo, duckdb=str(tmp_path / "klaviyo.duckdb"), executor=dg.in_process_executor)
    config = {"ops": {"klaviyo_small_types": {"config": {"mode": "repair"}}}}
    with dg.DagsterInstance.ephemeral() as instance:
        result = defs.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=instance, asset_selection=[dg.AssetKey(["klaviyo", "lists"])], run_config=config, raise_on_error=False
        )

    (failure,) = [event.step_failure_data for event in result.all_node_events if event.is_step_failure]
    assert "lists has no audit" in failure.error_display_string

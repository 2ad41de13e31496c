"""What the check ``complete`` reports: after an audit, a sync and a repair."""

import logging
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from klaviyo_assets import EventPartitions
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import query, sync
from klaviyo_assets_tests.audit.old_imports import (
    Run,
    count_one_more,
    days_shown,
    definitions,
    import_old_events,
    results_of,
    some_metric_and_day,
    values,
)
from klaviyo_assets_tests.dagster_layer.shown_checks import shown_checks

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("unpaced", "database_file")]


def test_before_the_first_audit_the_check_has_no_result(sandbox: SandboxProcess, tmp_path: Path) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        result = definitions(sandbox, tmp_path).resolve_job_def("klaviyo_sync_frequent").execute_in_process(instance=instance)

    assert result.success
    assert results_of(result) == []
    assert "/api/metric-aggregates" not in sandbox.stats()["endpoints"]


@pytest.mark.parametrize("job", ["klaviyo_sync", "klaviyo_sync_frequent"])
def test_a_failed_audit_stays_failed_after_the_next_sync(job: str, sandbox: SandboxProcess, warehouse: LocalFile, run: Run, tmp_path: Path) -> None:
    sync("events", sandbox, warehouse)
    import_old_events(sandbox, 60, 100)
    found = run("klaviyo_audit")
    assert not found.passed
    sandbox.reset_stats()

    after = run(job)

    assert (after.passed, after.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert days_shown(after) == days_shown(found)
    assert "/api/metric-aggregates" not in sandbox.stats()["endpoints"]


def test_dagster_still_shows_the_failed_audit_after_a_sync(sandbox: SandboxProcess, warehouse: LocalFile, tmp_path: Path) -> None:
    """Dagster shows a check as not evaluated if the latest materialization has no result, so each one needs a result."""
    sync("events", sandbox, warehouse)
    import_old_events(sandbox, 60)
    defs, key = definitions(sandbox, tmp_path), dg.AssetCheckKey(dg.AssetKey(["klaviyo", "events"]), "complete")
    with dg.DagsterInstance.ephemeral() as instance:
        for job in ("klaviyo_audit", "klaviyo_sync_frequent"):
            last = defs.resolve_job_def(job).execute_in_process(instance=instance)
        record = instance.event_log_storage.get_latest_asset_check_execution_by_key([key])[key]

    assert record.run_id == last.run_id
    assert record.status.value == "FAILED"


def test_dagster_still_shows_the_failed_audit_and_all_other_checks_after_days_were_read_again(
    sandbox: SandboxProcess, warehouse: LocalFile, tmp_path: Path
) -> None:
    sync("events", sandbox, warehouse)
    import_old_events(sandbox, 60)
    first, events = (sandbox.now() - timedelta(days=70)).date(), dg.AssetKey(["klaviyo", "events"])
    defs = definitions(sandbox, tmp_path, partitions=EventPartitions(start=first))
    other_days = {"dagster/asset_partition_range_start": f"{first}", "dagster/asset_partition_range_end": f"{first + timedelta(days=2)}"}
    with dg.DagsterInstance.ephemeral() as instance:
        assert defs.resolve_job_def("klaviyo_sync_frequent").execute_in_process(instance=instance).success
        assert not defs.resolve_job_def("klaviyo_audit").execute_in_process(instance=instance, raise_on_error=False).success
        before = shown_checks(defs, instance, events)
        job = defs.resolve_implicit_global_asset_job_def()
        again = job.execute_in_process(instance=instance, asset_selection=[dg.AssetKey(["klaviyo", "events_by_day"])], tags=other_days)
        (latest,) = instance.fetch_materializations(events, limit=1).records
        after = shown_checks(defs, instance, events)

    assert latest.run_id == again.run_id
    assert before == after
    assert after.pop("complete") == "FAILED"
    assert after == dict.fromkeys(["scope_coverage", "primary_key", "unknown_attributes", "schema_drift", "included_complete"], "SUCCEEDED")
    (complete,) = results_of(again)
    assert complete.target_materialization_data is not None
    assert complete.target_materialization_data.storage_id == latest.storage_id


def test_a_sync_that_fails_reports_the_last_audit_too(sandbox: SandboxProcess, warehouse: LocalFile, run: Run, tmp_path: Path) -> None:
    sync("events", sandbox, warehouse)
    import_old_events(sandbox, 60)
    run("klaviyo_audit")
    sandbox.faults({"path": "/api/events", "kind": "retired", "times": None})
    with dg.DagsterInstance.ephemeral() as instance:
        result = definitions(sandbox, tmp_path).resolve_job_def("klaviyo_sync_frequent").execute_in_process(instance=instance, raise_on_error=False)

    assert not result.success
    (check,) = results_of(result)
    assert not check.passed


@pytest.mark.parametrize("with_checks", [True, False], ids=["with its checks", "only the asset"])
def test_a_repair_compares_again_wherever_it_is_launched(
    with_checks: bool, sandbox: SandboxProcess, warehouse: LocalFile, run: Run, tmp_path: Path
) -> None:
    sync("events", sandbox, warehouse)
    import_old_events(sandbox, 60)
    run("klaviyo_audit")
    key = dg.AssetKey(["klaviyo", "events"])
    selection = dg.AssetSelection.assets(key) if with_checks else dg.AssetSelection.assets(key).without_checks()
    defs = definitions(sandbox, tmp_path, jobs=[dg.define_asset_job("by_hand", selection=selection)])
    config = {"ops": {"klaviyo_events": {"config": {"mode": "repair"}}}}
    with dg.DagsterInstance.ephemeral() as instance:
        result = defs.resolve_job_def("by_hand").execute_in_process(instance=instance, run_config=config)

    assert [check.passed for check in results_of(result)] == ([True] if with_checks else [])
    assert query(warehouse, "SELECT count(*) FROM _audit_days") == [(0,)]
    assert run("klaviyo_sync_frequent").passed


@pytest.mark.parametrize("with_checks", [True, False], ids=["with its checks", "only the asset"])
def test_a_repair_after_which_a_day_still_differs_says_so_wherever_it_is_launched(
    with_checks: bool, sandbox: SandboxProcess, warehouse: LocalFile, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync("events", sandbox, warehouse)
    count_one_more(monkeypatch, *some_metric_and_day(warehouse))
    run("klaviyo_audit")
    key = dg.AssetKey(["klaviyo", "events"])
    selection = dg.AssetSelection.assets(key) if with_checks else dg.AssetSelection.assets(key).without_checks()
    defs = definitions(sandbox, tmp_path, jobs=[dg.define_asset_job("by_hand", selection=selection)])
    config = {"ops": {"klaviyo_events": {"config": {"mode": "repair"}}}}
    with dg.DagsterInstance.ephemeral() as instance:
        result = defs.resolve_job_def("by_hand").execute_in_process(instance=instance, run_config=config)
        logged = [entry.user_message for entry in instance.all_logs(result.run_id) if entry.level == logging.WARNING]

    assert result.success
    assert query(warehouse, "SELECT state FROM _audit_days") == [("unresolved",)]
    if with_checks:
        (check,) = results_of(result)
        assert not check.passed
        assert "1 still differ" in (check.description or "")
    else:
        assert results_of(result) == []
        assert [one for one in logged if "1 still differ" in one]


def test_a_repair_is_recorded_with_its_mode(sandbox: SandboxProcess, warehouse: LocalFile, run: Run, tmp_path: Path) -> None:
    sync("events", sandbox, warehouse)
    import_old_events(sandbox, 60)
    run("klaviyo_audit")
    with dg.DagsterInstance.ephemeral() as instance:
        result = definitions(sandbox, tmp_path).resolve_job_def("klaviyo_repair").execute_in_process(instance=instance)

    (materialization,) = result.asset_materializations_for_node("klaviyo_events")
    assert materialization.metadata["mode"].value == "repair"
    assert query(warehouse, "SELECT mode FROM _syncs ORDER BY started_at DESC, finished_at DESC LIMIT 1") == [("repair",)]


def test_an_audit_that_could_not_run_fails(sandbox: SandboxProcess, warehouse: LocalFile, run: Run) -> None:
    sync("events", sandbox, warehouse)

    assert "does not accept" in run("klaviyo_audit", "pk_" + "0" * 34, fails=True)
    assert "row of asterisks" in run("klaviyo_audit", "********", fails=True)


@pytest.mark.parametrize("statement", ["DROP TABLE {}", "TRUNCATE {}"])
def test_lost_findings_of_an_audit_fail_the_check(statement: str, sandbox: SandboxProcess, warehouse: LocalFile, run: Run) -> None:
    sync("events", sandbox, warehouse)
    import_old_events(sandbox, 60)
    assert not run("klaviyo_audit").passed
    query(warehouse, statement.format("_audit_days"))

    for job in ("klaviyo_sync_frequent", "klaviyo_repair", "klaviyo_sync_frequent"):
        check = run(job)
        assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.ERROR), job
        assert "1 more differed, but the table _audit_days no longer has them" in (check.description or "")
    assert "run the repair job" in (run("klaviyo_audit").description or "")


@pytest.mark.parametrize("statement", ["DROP TABLE {}", "TRUNCATE {}"])
def test_findings_without_their_audit_are_reported(statement: str, sandbox: SandboxProcess, warehouse: LocalFile, run: Run) -> None:
    sync("events", sandbox, warehouse)
    import_old_events(sandbox, 60)
    found = run("klaviyo_audit")
    query(warehouse, statement.format("_audits"))

    after = run("klaviyo_sync_frequent")

    assert not after.passed
    assert days_shown(after) == days_shown(found)
    assert "The table _audits lacks the last audit" in values(after)["excluded"]
    assert run("klaviyo_repair").passed

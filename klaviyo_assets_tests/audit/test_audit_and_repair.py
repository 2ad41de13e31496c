"""Events imported with old dates: the audit finds their days, the repair reads only those, and then all counts match."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import dagster as dg
import pytest
from polars.testing import assert_frame_equal

from klaviyo_assets import KlaviyoResource, build_klaviyo_definitions
from klaviyo_assets.api.client import KlaviyoClient
from klaviyo_assets.api.errors import BadRequest
from klaviyo_assets.audit import audit
from klaviyo_assets.audit.counts import counts_by_day
from klaviyo_assets.errors import SyncAlreadyRunning
from klaviyo_assets.extract.fetcher import Fetcher
from klaviyo_assets.extract.options import SyncMode, SyncOptions, parse_instant
from klaviyo_assets.load.loader import Loader
from klaviyo_assets.sandbox.keys import ALL_SCOPES_KEY, key_lacking
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.state.coverage import TimeWindow
from klaviyo_assets.state.locks import sync_lock
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import query, sync, table, truth

NewAccount = Callable[..., SandboxProcess]
Run = Callable[..., Any]

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("unpaced")]

REPAIR = SyncOptions(SyncMode.repair)
OLD = "datetime < now() - INTERVAL 20 DAYS AND metric_id IS NOT NULL"


@pytest.fixture
def sandbox(new_account: NewAccount) -> SandboxProcess:
    """A small account without events that are still to arrive."""
    found = new_account(metrics=4, events=400)
    found.advance(timedelta(days=40))
    return found


@pytest.fixture(autouse=True)
def database_file(warehouse: LocalFile) -> None:
    """Create the file: DuckDB rejects a new file with the same name as the schema."""
    with warehouse.connection():
        pass


@pytest.fixture
def run(sandbox: SandboxProcess, tmp_path: Path) -> Iterator[Run]:
    """Runs a job, and returns the result of the check ``complete``, or the message of a failed step."""
    with dg.DagsterInstance.ephemeral() as instance:

        def run(job: str, key: str = ALL_SCOPES_KEY, *, fails: bool = False, **options: Any) -> Any:
            klaviyo = KlaviyoResource(api_key=key, base_url=sandbox.base_url, rate_limit_share=1.0, max_retries=1, **options)
            file, types = str(tmp_path / "klaviyo.duckdb"), ["events", "metrics", "profiles"]
            defs = build_klaviyo_definitions(klaviyo, duckdb=file, resource_types=types, executor=dg.in_process_executor)
            result = defs.resolve_job_def(job).execute_in_process(instance=instance, raise_on_error=False)
            if fails:
                (failed,) = [event.step_failure_data for event in result.all_node_events if event.is_step_failure]
                assert failed.user_failure_data is not None, "a failure with a message, not an exception with a traceback"
                return failed.user_failure_data.description
            assert result.success
            (found,) = [one for one in result.get_asset_check_evaluations() if one.check_name == "complete"]
            return found

        yield run


def values(check: dg.AssetCheckEvaluation) -> dict[str, Any]:
    return {name: value.value for name, value in check.metadata.items()}


def days_shown(check: dg.AssetCheckEvaluation) -> list[dict[str, Any]]:
    shown = check.metadata["days"]
    assert isinstance(shown, dg.TableMetadataValue)
    return [dict(record.data) for record in shown.records]


def import_old_events(sandbox: SandboxProcess, *ages: int) -> list[datetime]:
    """Insert two events of each age, in days."""
    metric = sandbox.truth("metrics")[0]["id"]
    moments = [(sandbox.now() - timedelta(days=age)).replace(hour=12) for age in ages]
    for moment in moments:
        for later in (timedelta(), timedelta(hours=1)):
            sandbox.change("event", datetime=moment + later, metric_id=metric)  # an event without a metric would not be counted
    return moments


def some_metric_and_day(warehouse: LocalFile) -> tuple[str, date]:
    """Return a metric and a day (UTC) with events."""
    ((metric, day),) = query(warehouse, f"SELECT metric_id, (datetime AT TIME ZONE 'UTC')::DATE FROM events WHERE {OLD} ORDER BY id LIMIT 1")
    return metric, day


def count_one_more(monkeypatch: pytest.MonkeyPatch, metric: str, day: date) -> None:
    """Make Klaviyo count an event that it does not list."""

    async def counts(client: KlaviyoClient, metric_id: str, start: datetime, end: datetime) -> dict[date, int]:
        found = await counts_by_day(client, metric_id, start, end)
        return {one: count + (metric_id == metric and one == day) for one, count in found.items()}

    monkeypatch.setattr(audit, "counts_by_day", counts)


def fail(*_: object, **__: object) -> None:
    """Replace a function with one that fails."""
    raise RuntimeError


def requested_windows(sandbox: SandboxProcess) -> list[str]:
    """Return the filters of the requests for pages of events, without probes."""
    queries = [unquote(one["query"]) for one in sandbox.stats()["log"] if one["path"] == "/api/events"]
    return [query.split("filter=", 1)[1].split("&", 1)[0] for query in queries if "filter=" in query and "page[cursor]" not in query]


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


OLD_DATES = [datetime(1, 1, 1, tzinfo=UTC), datetime(1966, 5, 1, 12, tzinfo=UTC)]


@pytest.mark.parametrize("moment", OLD_DATES, ids=lambda moment: f"year {moment.year}")
@pytest.mark.parametrize("is_read", [True, False], ids=["in the table", "only in Klaviyo"])
def test_a_very_old_event_is_found_and_costs_only_its_own_year(
    moment: datetime, is_read: bool, sandbox: SandboxProcess, warehouse: LocalFile, run: Run
) -> None:
    metric = sandbox.truth("metrics")[0]["id"]
    if is_read:
        sandbox.change("event", datetime=moment, metric_id=metric)
    sync("events", sandbox, warehouse)
    if not is_read:
        sandbox.change("event", datetime=moment, metric_id=metric)
    sandbox.reset_stats()

    check = run("klaviyo_audit")

    assert check.passed == is_read
    metrics, requests = len(sandbox.truth("metrics")), sandbox.stats()["endpoints"]
    assert requests["/api/metric-aggregates"]["requests"] <= 3 * metrics  # a history of 200 days spans at most two one-year pieces
    assert requests["/api/events"]["requests"] <= 5
    if not is_read:
        assert [row["day"] for row in days_shown(check)] == [moment.date().isoformat()]
        assert run("klaviyo_repair").passed
        assert_frame_equal(table(warehouse, "events"), truth(sandbox, "events"))


def test_events_in_the_far_future_are_not_compared_and_cost_no_requests(sandbox: SandboxProcess, warehouse: LocalFile, run: Run) -> None:
    metric = sandbox.truth("metrics")[0]["id"]
    for year in (2100, 9999):
        sandbox.change("event", datetime=datetime(year, 12, 31, 23, 59, 59, tzinfo=UTC), metric_id=metric)
    sync("events", sandbox, warehouse)
    sandbox.reset_stats()

    assert run("klaviyo_audit").passed
    assert sandbox.stats()["endpoints"]["/api/metric-aggregates"]["requests"] <= 2 * len(sandbox.truth("metrics"))


def test_other_days_are_compared_if_klaviyo_rejects_early_dates(
    sandbox: SandboxProcess, warehouse: LocalFile, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.change("event", datetime=datetime(1966, 5, 1, tzinfo=UTC), metric_id=sandbox.truth("metrics")[0]["id"])
    sync("events", sandbox, warehouse)
    import_old_events(sandbox, 60)

    async def counts(client: KlaviyoClient, metric_id: str, start: datetime, end: datetime) -> dict[date, int]:
        if start.year < 1970:
            raise BadRequest("Klaviyo refuses the request.", detail="Invalid date.")
        return await counts_by_day(client, metric_id, start, end)

    monkeypatch.setattr(audit, "counts_by_day", counts)

    check = run("klaviyo_audit")

    assert values(check)["missing_events"] == 2
    assert any("so long ago (Invalid date.)" in reason for reason in values(check)["excluded"])


def test_early_dates_that_klaviyo_does_not_list_are_reported_as_excluded(
    sandbox: SandboxProcess, warehouse: LocalFile, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.change("event", datetime=datetime(1966, 5, 1, tzinfo=UTC), metric_id=sandbox.truth("metrics")[0]["id"])
    sync("events", sandbox, warehouse)
    get = KlaviyoClient.get

    async def refusing(self: KlaviyoClient, entry: Any, path: str, parameters: Any, *others: Any) -> Any:
        if "less-than(datetime" in parameters.get("filter", ""):
            raise BadRequest("Klaviyo refuses the request.", detail="Invalid date.")
        return await get(self, entry, path, parameters, *others)

    monkeypatch.setattr(KlaviyoClient, "get", refusing)

    check = run("klaviyo_audit")

    assert check.passed
    assert any("does not list events of these dates (Invalid date.)" in reason for reason in values(check)["excluded"])


def test_a_missing_scope_is_reported(sandbox: SandboxProcess, warehouse: LocalFile, run: Run) -> None:
    sync("events", sandbox, warehouse)

    check = run("klaviyo_audit", key_lacking("metrics:read"))

    assert not check.passed
    assert check.severity is dg.AssetCheckSeverity.WARN
    assert "Nothing could be compared" in (check.description or "")
    assert "metrics:read" in (check.description or "")


def test_a_metric_that_klaviyo_does_not_count_is_listed(sandbox: SandboxProcess, warehouse: LocalFile, run: Run) -> None:
    sync("events", sandbox, warehouse)
    ((metric,),) = query(warehouse, "SELECT min(metric_id) FROM events")
    sandbox.change("delete", type="metrics", id=metric)

    check = run("klaviyo_audit")

    assert check.passed
    assert "Some days could not be compared" in (check.description or "")
    assert [metric] in values(check)["excluded"].values()


@pytest.mark.parametrize("job", ["klaviyo_audit", "klaviyo_repair"])
def test_a_difference_of_a_metric_that_is_no_longer_counted_is_excluded(job: str, sandbox: SandboxProcess, warehouse: LocalFile, run: Run) -> None:
    sync("events", sandbox, warehouse)
    metric = sandbox.truth("metrics")[0]["id"]
    sandbox.change("event", datetime=sandbox.now() - timedelta(days=60), metric_id=metric)
    assert not run("klaviyo_audit").passed
    sandbox.change("delete", type="metrics", id=metric)

    check = run(job)

    assert check.passed, check.description
    assert [metric] in values(check)["excluded"].values()
    assert query(warehouse, "SELECT count(*) FROM _audit_days") == [(0,)]


def test_a_difference_before_a_later_start_date_is_excluded(sandbox: SandboxProcess, warehouse: LocalFile, run: Run) -> None:
    sync("events", sandbox, warehouse)
    import_old_events(sandbox, 300)  # older than all others
    assert not run("klaviyo_audit").passed
    start = f"{sandbox.now() - timedelta(days=50):%Y-%m-%d}"

    check = run("klaviyo_audit", start_date=start)

    assert check.passed, check.description
    assert values(check)["excluded"]["Older than the start date"] == [f"before {start}"]


def test_a_deleted_import_is_no_longer_a_difference(sandbox: SandboxProcess, warehouse: LocalFile, run: Run) -> None:
    sync("events", sandbox, warehouse)
    old = {"datetime": sandbox.now() - timedelta(days=300), "metric_id": sandbox.truth("metrics")[0]["id"]}  # older than all others
    (id_,) = sandbox.change("event", **old)
    assert not run("klaviyo_audit").passed
    sandbox.change("delete", type="events", id=id_)

    assert run("klaviyo_audit").passed


def test_an_audit_fails_if_klaviyo_counts_no_metric(
    sandbox: SandboxProcess, warehouse: LocalFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A single rejected metric may be deleted; if all are rejected, Klaviyo has changed its API."""
    sync("events", sandbox, warehouse)

    async def refused(*_: Any) -> None:
        raise BadRequest("Klaviyo refuses the request.", detail="Invalid measurement.")

    monkeypatch.setattr("klaviyo_assets.audit.audit.counts_by_day", refused)
    klaviyo = KlaviyoResource(api_key=ALL_SCOPES_KEY, base_url=sandbox.base_url, rate_limit_share=1.0)
    defs = build_klaviyo_definitions(klaviyo, duckdb=str(tmp_path / "klaviyo.duckdb"), executor=dg.in_process_executor)
    with dg.DagsterInstance.ephemeral() as instance:
        result = defs.resolve_job_def("klaviyo_audit").execute_in_process(instance=instance, raise_on_error=False)

    assert not result.success
    (failure,) = [event.step_failure_data for event in result.all_node_events if event.is_step_failure]
    assert "Invalid measurement." in failure.error_display_string


def test_days_before_the_start_date_are_not_compared(sandbox: SandboxProcess, warehouse: LocalFile, run: Run) -> None:
    start = f"{sandbox.now() - timedelta(days=50):%Y-%m-%d}"
    sync("events", sandbox, warehouse, SyncOptions(start_date=parse_instant(start, "start")))
    import_old_events(sandbox, 100)

    check = run("klaviyo_audit", start_date=start)

    assert check.passed
    assert values(check)["excluded"]["Older than the start date"] == [f"before {start}"]


def test_a_single_response_with_a_wrong_date_is_ignored(sandbox: SandboxProcess, warehouse: LocalFile, run: Run) -> None:
    sync("events", sandbox, warehouse)
    sandbox.faults({"path": "/api/metrics", "kind": "date_ahead"})

    check = run("klaviyo_audit")

    assert abs(values(check)["audited_at"] - sandbox.now().timestamp()) < 60


def test_a_file_of_a_newer_version_and_a_wrong_start_date_fail_with_advice(
    sandbox: SandboxProcess, warehouse: LocalFile, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync("events", sandbox, warehouse)

    monkeypatch.setenv("START", "yesterday")
    assert "Write it as 2026-01-31" in run("klaviyo_audit", start_date=dg.EnvVar("START"), fails=True)
    query(warehouse, "UPDATE _layout SET version = 99")
    assert "Upgrade klaviyo_assets" in run("klaviyo_audit", fails=True)


def test_an_audit_before_any_sync_compares_nothing(run: Run) -> None:
    check = run("klaviyo_audit")

    assert check.passed
    assert "no days to compare" in (check.description or "")


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


def test_a_repair_is_recorded_with_its_mode(sandbox: SandboxProcess, warehouse: LocalFile, run: Run, tmp_path: Path) -> None:
    sync("events", sandbox, warehouse)
    import_old_events(sandbox, 60)
    run("klaviyo_audit")
    with dg.DagsterInstance.ephemeral() as instance:
        result = definitions(sandbox, tmp_path).resolve_job_def("klaviyo_repair").execute_in_process(instance=instance)

    (materialization,) = result.asset_materializations_for_node("klaviyo_events")
    assert materialization.metadata["mode"].value == "repair"
    assert query(warehouse, "SELECT mode FROM _syncs ORDER BY started_at DESC, finished_at DESC LIMIT 1") == [("repair",)]


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


def definitions(sandbox: SandboxProcess, folder: Path, jobs: Sequence[Any] = ()) -> dg.Definitions:
    klaviyo = KlaviyoResource(api_key=ALL_SCOPES_KEY, base_url=sandbox.base_url, rate_limit_share=1.0, max_retries=1)
    ours = build_klaviyo_definitions(
        klaviyo, duckdb=str(folder / "klaviyo.duckdb"), resource_types=["events", "profiles"], executor=dg.in_process_executor
    )
    return dg.Definitions.merge(ours, dg.Definitions(jobs=jobs))


def results_of(result: dg.ExecuteInProcessResult) -> list[dg.AssetCheckEvaluation]:
    return [one for one in result.get_asset_check_evaluations() if one.check_name == "complete"]


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

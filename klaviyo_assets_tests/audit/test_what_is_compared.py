"""What an audit compares, and what it excludes with a reason."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from polars.testing import assert_frame_equal

from klaviyo_assets import KlaviyoResource, build_klaviyo_definitions
from klaviyo_assets.api.client import KlaviyoClient
from klaviyo_assets.api.klaviyo_errors import BadRequest
from klaviyo_assets.audit import audit
from klaviyo_assets.audit.event_counts import counts_by_day
from klaviyo_assets.catalog import Query
from klaviyo_assets.extract.sync_options import SyncOptions, parse_user_time
from klaviyo_assets.sandbox.keys import ALL_SCOPES_KEY, key_lacking
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import query, sync, table, truth
from klaviyo_assets_tests.audit.old_imports import Run, days_shown, import_old_events, values

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("unpaced", "database_file")]


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

    async def counts(client: KlaviyoClient, metric_id: str, start: datetime, end: datetime, query: Query) -> dict[date, int]:
        if start.year < 1970:
            raise BadRequest("Klaviyo refuses the request.", detail="Invalid date.")
        return await counts_by_day(client, metric_id, start, end, query)

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
    sync("events", sandbox, warehouse, SyncOptions(start_date=parse_user_time(start, "start")))
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

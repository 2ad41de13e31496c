"""Events that were imported with old dates: the audit finds their days, the repair reads just those, and then nothing differs."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import dagster as dg
import pytest
from polars.testing import assert_frame_equal

from klaviyo_assets import KlaviyoResource, build_klaviyo_definitions
from klaviyo_assets.sandbox.keys import ALL_SCOPES_KEY, key_lacking
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.sync.request import SyncRequest, parse_instant
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import query, sync, table, truth

NewAccount = Callable[..., SandboxProcess]
Run = Callable[..., dg.AssetCheckEvaluation]

pytestmark = pytest.mark.slow


@pytest.fixture
def sandbox(new_account: NewAccount) -> SandboxProcess:
    """A small account in which nothing is under way any more."""
    found = new_account(metrics=6, events=1_200)
    found.advance(timedelta(days=40))
    return found


@pytest.fixture
def run(sandbox: SandboxProcess, tmp_path: Path) -> Iterator[Run]:
    """Runs a job, and returns what the check ``complete`` says."""
    with dg.DagsterInstance.ephemeral() as instance:

        def run(job: str, key: str = ALL_SCOPES_KEY, **options: Any) -> dg.AssetCheckEvaluation:
            klaviyo = KlaviyoResource(api_key=key, base_url=sandbox.base_url, rate_limit_share=1.0, max_retries=1, **options)
            defs = build_klaviyo_definitions(klaviyo, duckdb=str(tmp_path / "klaviyo.duckdb"), executor=dg.in_process_executor)
            result = defs.resolve_job_def(job).execute_in_process(instance=instance, raise_on_error=False)
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
    moments = [(sandbox.now() - timedelta(days=age)).replace(hour=12) for age in ages]
    for moment in moments:
        sandbox.change("event", datetime=moment)
        sandbox.change("event", datetime=moment + timedelta(hours=1))
    return moments


def windows_asked(sandbox: SandboxProcess) -> list[str]:
    """Return the bounds of the requests for events' pages, without the probes."""
    queries = [unquote(one["query"]) for one in sandbox.stats()["log"] if one["path"] == "/api/events"]
    return [query.split("filter=", 1)[1].split("&", 1)[0] for query in queries if "filter=" in query and "page[cursor]" not in query]


def test_old_imports_are_found_repaired_and_gone(sandbox: SandboxProcess, warehouse: LocalFile, run: Run) -> None:
    for name in ("metrics", "events"):
        sync(name, sandbox, warehouse)
    before = run("klaviyo_audit")
    assert before.passed
    assert list(values(before)["excluded"]) == ["Events without a metric belong to no count"]
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
    old = [window for window in windows_asked(sandbox) if f"{sandbox.now() - timedelta(days=20):%Y-%m-%d}" > window.split("datetime,")[1]]
    expected = [f"{moment:%Y-%m-%d}T00:00:00" for moment in (first, second)]
    assert sorted(window.split("datetime,")[1].rstrip("Z)")[:19] for window in old) == sorted(expected)
    assert_frame_equal(table(warehouse, "events"), truth(sandbox, "events"))
    asked = sandbox.stats()["endpoints"]["/api/metric-aggregates"]["requests"]
    assert asked <= values(found)["requests"]

    assert run("klaviyo_audit").passed
    assert query(warehouse, "SELECT count(*) FROM _audit_days") == [(0,)]


def test_what_still_differs_after_it_was_read_again_is_confirmed(sandbox: SandboxProcess, warehouse: LocalFile, run: Run) -> None:
    sync("events", sandbox, warehouse)
    with warehouse.connection() as connection:  # a row that Klaviyo neither counts nor lists
        connection.execute(
            "INSERT INTO klaviyo.klaviyo.events BY NAME SELECT 'strange' AS id, * EXCLUDE (id) FROM klaviyo.klaviyo.events "
            "WHERE datetime < now() - INTERVAL 20 DAYS AND metric_id IS NOT NULL LIMIT 1"
        )
    assert run("klaviyo_audit").severity is dg.AssetCheckSeverity.ERROR

    confirmed = run("klaviyo_repair")

    assert not confirmed.passed
    assert confirmed.severity is dg.AssetCheckSeverity.WARN, "it only warns"
    assert "still differ" in (confirmed.description or "")
    (row,) = days_shown(confirmed)
    assert (row["state"], row["here"] - row["Klaviyo"]) == ("confirmed", 1)
    sandbox.reset_stats()
    assert run("klaviyo_repair").severity is dg.AssetCheckSeverity.WARN
    assert "/api/metric-aggregates" not in sandbox.stats()["endpoints"]
    assert run("klaviyo_audit").severity is dg.AssetCheckSeverity.WARN


def test_a_key_without_the_scope_is_told(sandbox: SandboxProcess, warehouse: LocalFile, run: Run) -> None:
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
    assert "Not all could be compared" in (check.description or "")
    assert [metric] in values(check)["excluded"].values()


def test_what_lies_before_the_start_date_is_not_compared(sandbox: SandboxProcess, warehouse: LocalFile, run: Run) -> None:
    start = f"{sandbox.now() - timedelta(days=50):%Y-%m-%d}"
    sync("events", sandbox, warehouse, SyncRequest(start_date=parse_instant(start, "start")))
    import_old_events(sandbox, 100)

    check = run("klaviyo_audit", start_date=start)

    assert check.passed
    assert values(check)["excluded"]["Older than the start date"] == [f"before {start}"]


def test_without_any_sync_there_is_nothing_to_compare(run: Run) -> None:
    check = run("klaviyo_audit")

    assert check.passed
    assert "nothing to compare" in (check.description or "")


def test_beside_a_sync_the_last_audit_is_told_and_nothing_asked(sandbox: SandboxProcess, warehouse: LocalFile, tmp_path: Path) -> None:
    klaviyo = KlaviyoResource(api_key=ALL_SCOPES_KEY, base_url=sandbox.base_url, rate_limit_share=1.0)
    defs = build_klaviyo_definitions(klaviyo, duckdb=str(tmp_path / "klaviyo.duckdb"), resource_types=["events"], executor=dg.in_process_executor)
    with dg.DagsterInstance.ephemeral() as instance:
        result = defs.resolve_implicit_global_asset_job_def().execute_in_process(instance=instance)
    found = {one.check_name: one for one in result.get_asset_check_evaluations()}

    assert found["complete"].passed
    assert "Not audited yet" in (found["complete"].description or "")
    assert "/api/metric-aggregates" not in sandbox.stats()["endpoints"]


def test_repair_is_for_events(sandbox: SandboxProcess, tmp_path: Path) -> None:
    klaviyo = KlaviyoResource(api_key=ALL_SCOPES_KEY, base_url=sandbox.base_url, rate_limit_share=1.0)
    defs = build_klaviyo_definitions(klaviyo, duckdb=str(tmp_path / "klaviyo.duckdb"), executor=dg.in_process_executor)
    config = {"ops": {"klaviyo_lists": {"config": {"mode": "repair"}}}}
    with dg.DagsterInstance.ephemeral() as instance:
        result = defs.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=instance, asset_selection=[dg.AssetKey(["klaviyo", "lists"])], run_config=config, raise_on_error=False
        )

    (failure,) = [event.step_failure_data for event in result.all_node_events if event.is_step_failure]
    assert "lists has no audit" in failure.error_display_string

"""The assets, materialized by Dagster in this process from a small account."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import polars as pl
import pytest

from klaviyo_assets import CATALOG, KlaviyoResource, build_klaviyo_definitions
from klaviyo_assets.checks.asset_checks import COMPLETE, check_specs
from klaviyo_assets.sandbox.keys import ALL_SCOPES_KEY
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets_tests.dagster_layer.account_runs import check_results, definitions, execute, materialized

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("unpaced")]

NewAccount = Callable[..., SandboxProcess]


@pytest.mark.oldest
def test_everything_materializes_with_its_checks(account: SandboxProcess, tmp_path: Path, instance: dg.DagsterInstance) -> None:
    result = execute(definitions(account, tmp_path), instance)

    assert result.success
    assert materialized(result) == set(CATALOG.default_names)
    found = check_results(result)
    expected = {(name, spec.name) for name in CATALOG.default_names for spec in check_specs(CATALOG[name], dg.AssetKey(name))}
    assert set(found) == expected - {("events", COMPLETE)}, "no audit has run"
    assert all(one.passed for one in found.values()), [one.description for one in found.values() if not one.passed]
    assert "belongs to the account" in found["accounts", "api_key_valid"].description


def test_a_materialization_has_the_counts_of_its_sync(account: SandboxProcess, tmp_path: Path, instance: dg.DagsterInstance) -> None:
    result = execute(definitions(account, tmp_path), instance, asset_selection=[dg.AssetKey(["klaviyo", "profiles"])])

    (materialization,) = result.asset_materializations_for_node("klaviyo_profiles")
    metadata = {name: value.value for name, value in materialization.metadata.items()}
    count = account.counts()["profiles"]
    assert metadata["dagster/row_count"] == metadata["rows_inserted"] == count
    assert metadata["records_read"] >= count
    assert metadata["mode"] == "incremental"
    assert metadata["throttled_429"] == 0
    assert metadata["requests"] > count / 100
    assert "@" not in metadata["preview"]
    assert "•••" in metadata["preview"]


@pytest.mark.oldest
def test_the_range_of_the_run_config_is_read_again(new_account: NewAccount, tmp_path: Path, instance: dg.DagsterInstance) -> None:
    sandbox = new_account()
    defs = definitions(sandbox, tmp_path)
    key = dg.AssetKey(["klaviyo", "events"])
    execute(defs, instance, asset_selection=[key])
    import duckdb

    now = sandbox.now()
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        connection.execute("DELETE FROM klaviyo.events")
        connection.execute(
            "INSERT INTO klaviyo.events BY NAME SELECT 'gone' AS id, ?::TIMESTAMPTZ - INTERVAL 40 DAY AS datetime, now() AS _synced_at",
            [now],
        )
    start, end = (now - _days(60)).date().isoformat(), (now - _days(30)).date().isoformat()
    config = {"ops": {"klaviyo_events": {"config": {"mode": "range", "start": start, "end": end}}}}
    result = execute(defs, instance, asset_selection=[key], run_config=config)

    assert result.success
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        bounds = connection.execute(
            "SELECT min(datetime) >= ?::DATE, max(datetime) < ?::DATE, count(*) > 10 FROM klaviyo.events WHERE id <> 'gone'", [start, end]
        ).fetchall()
        deleted = connection.execute("SELECT id FROM klaviyo.events WHERE _deleted_at IS NOT NULL").fetchall()
    assert bounds == [(True, True, True)]
    assert deleted == [("gone",)]


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"mode": "range"}, "needs a start and an end"),
        ({"mode": "range", "start": "2026-02-01", "end": "2026-01-01"}, "is not before"),
        ({"mode": "range", "start": "yesterday", "end": "2026-01-01"}, "start is not a date: 'yesterday'"),
        ({"start": "2026-01-01", "end": "2026-02-01"}, "Add mode: range"),
        ({"mode": "range", "field": "updated", "start": "2026-01-01", "end": "2026-02-01"}, "Use field: datetime"),
    ],
    ids=["no dates", "reversed", "invalid date", "no mode", "wrong field"],
)
def test_wrong_range_is_refused_with_a_reason(
    config: dict[str, str], words: str, account: SandboxProcess, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    result = execute(
        definitions(account, tmp_path),
        instance,
        asset_selection=[dg.AssetKey(["klaviyo", "events"])],
        run_config={"ops": {"klaviyo_events": {"config": config}}},
    )

    assert not result.success
    failure = next(event for event in result.all_node_events if event.is_step_failure)
    assert words in failure.step_failure_data.error_display_string  # type: ignore[union-attr]


def _days(number: int) -> Any:
    from datetime import timedelta

    return timedelta(days=number)


@pytest.mark.oldest
def test_downstream_asset_loads_the_table_as_a_frame(account: SandboxProcess, tmp_path: Path, instance: dg.DagsterInstance) -> None:
    seen: dict[str, Any] = {}

    @dg.asset(ins={"profiles": dg.AssetIn(["klaviyo", "profiles"])})
    def eager(profiles: pl.DataFrame) -> None:
        seen["eager"] = profiles

    @dg.asset(ins={"profiles": dg.AssetIn(["klaviyo", "profiles"], metadata={"columns": ["id", "email", "properties"]})})
    def lazy(profiles: pl.LazyFrame) -> None:
        seen["lazy"] = profiles.collect()

    defs = dg.Definitions.merge(definitions(account, tmp_path), dg.Definitions(assets=[eager, lazy]))
    keys = [dg.AssetKey(["klaviyo", "profiles"]), eager.key, lazy.key]
    assert defs.resolve_implicit_global_asset_job_def().execute_in_process(instance=instance, asset_selection=keys).success

    assert seen["eager"].height == seen["lazy"].height == account.counts()["profiles"]
    assert seen["lazy"].schema == {"id": pl.String, "email": pl.String, "properties": pl.String}
    assert seen["eager"]["properties"].dtype == pl.String
    assert seen["eager"]["updated"].dtype == pl.Datetime("us", "UTC")


def test_one_column_may_be_a_string_and_no_names_are_refused(account: SandboxProcess, tmp_path: Path, instance: dg.DagsterInstance) -> None:
    def frame_of(columns: Any) -> dg.ExecuteInProcessResult:
        @dg.asset(ins={"lists": dg.AssetIn(["klaviyo", "lists"], metadata={"columns": columns})})
        def names(lists: pl.DataFrame) -> list[str]:
            return lists.columns

        defs = dg.Definitions.merge(definitions(account, tmp_path), dg.Definitions(assets=[names]))
        job = defs.resolve_implicit_global_asset_job_def()
        return job.execute_in_process(instance=instance, asset_selection=[names.key], raise_on_error=False)

    assert execute(definitions(account, tmp_path), instance, asset_selection=[dg.AssetKey(["klaviyo", "lists"])]).success

    assert frame_of("id").output_for_node("names") == ["id"]
    assert frame_of(["name", "id"]).output_for_node("names") == ["name", "id"]
    failed = next(event for event in frame_of({"id": 1}).all_node_events if event.is_step_failure)
    words = failed.step_failure_data.error_display_string
    assert "The metadata columns of the input lists is {'id': 1}. What to do: give names of columns" in words


# Dagster starts its own event loop inside another one.
@pytest.mark.oldest
@pytest.mark.filterwarnings("ignore:coroutine 'BaseEventLoop.shutdown_asyncgens':RuntimeWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_works_inside_a_running_event_loop(account: SandboxProcess, tmp_path: Path, instance: dg.DagsterInstance) -> None:
    async def notebook() -> dg.ExecuteInProcessResult:
        return execute(definitions(account, tmp_path), instance, asset_selection=[dg.AssetKey(["klaviyo", "lists"])])

    assert asyncio.run(notebook()).success


def test_error_names_a_missing_table(account: SandboxProcess, tmp_path: Path, instance: dg.DagsterInstance) -> None:
    @dg.asset(ins={"profiles": dg.AssetIn(["klaviyo", "profiles"])})
    def downstream(profiles: pl.DataFrame) -> None:
        raise AssertionError

    defs = dg.Definitions.merge(definitions(account, tmp_path), dg.Definitions(assets=[downstream]))
    result = defs.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=instance, asset_selection=[downstream.key], raise_on_error=False
    )

    failure = next(event for event in result.all_node_events if event.is_step_failure)
    assert "materialize klaviyo/profiles first" in failure.step_failure_data.error_display_string  # type: ignore[union-attr]


@pytest.mark.oldest
def test_an_unattended_run_is_skipped_if_the_type_is_being_synced(account: SandboxProcess, tmp_path: Path, instance: dg.DagsterInstance) -> None:
    from filelock import FileLock

    folder = tmp_path / "warehouse.duckdb.sync" / "klaviyo"
    folder.mkdir(parents=True)
    (folder / "lists.holder").write_text("run-1234")
    defs, key = definitions(account, tmp_path), dg.AssetKey(["klaviyo", "lists"])
    with FileLock(str(folder / "lists.lock")):
        tags = ({"dagster/schedule_name": "daily"}, {"dagster/from_automation_condition": "true"}, {"dagster/sensor_name": "mine"})
        unattended = [execute(defs, instance, asset_selection=[key], tags=one) for one in tags]
        by_hand = execute(defs, instance, asset_selection=[key])

    assert [run.success for run in unattended] == [True] * len(tags)
    assert [materialized(run) for run in unattended] == [set()] * len(tags)
    assert not by_hand.success
    failure = next(event for event in by_hand.all_node_events if event.is_step_failure)
    assert "being synced already by run run-1234" in failure.step_failure_data.error_display_string  # type: ignore[union-attr]


def test_field_rules_of_the_resource_are_applied(
    account: SandboxProcess, tmp_path: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KLAVIYO_FIELD_SALT", "a secret of the tests")
    rules = {"profiles": {"email": "hash", "properties.Birthday": "drop"}}
    select = [dg.AssetKey(["klaviyo", "profiles"])]

    assert execute(definitions(account, tmp_path, field_rules=rules), instance, asset_selection=select).success

    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        emails = [email for (email,) in connection.execute("SELECT email FROM klaviyo.profiles WHERE email IS NOT NULL").fetchall()]
    assert emails
    assert all(email.startswith("sha256:") for email in emails)


def test_missing_salt_for_any_type_fails_every_sync_with_a_reason(account: SandboxProcess, tmp_path: Path, instance: dg.DagsterInstance) -> None:
    defs = definitions(account, tmp_path, field_rules={"lists": {"name": "hash"}})

    result = execute(defs, instance, asset_selection=[dg.AssetKey(["klaviyo", "metrics"])])

    failure = result.failure_data_for_node("klaviyo_small_types")
    assert failure is not None
    assert failure.user_failure_data is not None
    assert "KLAVIYO_FIELD_SALT is not set" in (failure.user_failure_data.description or "")
    assert not (tmp_path / "warehouse.duckdb").exists()


def test_weekly_full_read_of_profiles_finds_deleted_and_merged_profiles(
    new_account: NewAccount, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    sandbox = new_account(profiles=120)
    defs = definitions(sandbox, tmp_path)
    assert execute(defs, instance, "klaviyo_sync_frequent").success
    deleted, merged, destination = sorted(one["id"] for one in sandbox.truth("profiles"))[:3]
    sandbox.change("delete", type="profiles", id=deleted)
    sandbox.change("merge", source=merged, destination=destination)
    assert execute(defs, instance, "klaviyo_sync_frequent").success
    assert marked_deleted(tmp_path, "profiles") == [], "an incremental sync cannot detect it"

    result = execute(defs, instance, "klaviyo_full_profiles")

    assert result.success
    assert materialized(result) == {"profiles"}
    assert marked_deleted(tmp_path, "profiles") == [deleted, merged]
    (materialization,) = result.asset_materializations_for_node("klaviyo_profiles")
    metadata = {name: value.value for name, value in materialization.metadata.items()}
    assert (metadata["mode"], metadata["rows_deleted"], metadata["dagster/row_count"]) == ("full", 2, 118)


def marked_deleted(folder: Path, table: str) -> list[str]:
    """Return the ids of rows that are marked as deleted."""
    with duckdb.connect(str(folder / "warehouse.duckdb"), read_only=True) as connection:
        rows = connection.execute(f"SELECT id FROM klaviyo.{table} WHERE _deleted_at IS NOT NULL ORDER BY id").fetchall()
    return [id_ for (id_,) in rows]


@pytest.mark.parametrize(
    ("options", "variables", "words"),
    [
        ({"base_url": dg.EnvVar("API")}, {"API": "https://[::1"}, "The field base_url of resource 'klaviyo' (environment variable API) is not a URL"),
        ({"base_url": dg.EnvVar("API")}, {"API": "http://klaviyo.example"}, "set the field allow_http=True of resource 'klaviyo'"),
        ({"base_url": "https://klaviyo.example"}, {"HTTPS_PROXY": "socks4://proxy"}, "HTTPS_PROXY names a proxy with the scheme socks4"),
        ({"base_url": "https://klaviyo.example"}, {"SSL_CERT_FILE": "/nowhere"}, "SSL_CERT_FILE (/nowhere) cannot be used"),
        (
            {"start_date": dg.EnvVar("START")},
            {"START": "2999-01-01"},
            "The field start_date of resource 'klaviyo' (environment variable START) is in the",
        ),
    ],
)
def test_setting_that_prevents_requests_fails_the_run_with_one_message(
    options: dict[str, str],
    variables: dict[str, str],
    words: str,
    account: SandboxProcess,
    tmp_path: Path,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("https_proxy", "all_proxy", "no_proxy", "HTTPS_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    klaviyo = KlaviyoResource(**{"api_key": ALL_SCOPES_KEY, "base_url": account.base_url, "max_retries": 0} | options)
    defs = build_klaviyo_definitions(klaviyo, duckdb=str(tmp_path / "warehouse.duckdb"), executor=dg.in_process_executor)

    result = execute(defs, instance, asset_selection=[dg.AssetKey(["klaviyo", "events"])])

    (failed,) = [event for event in result.all_events if event.is_step_failure]
    assert words in (failed.step_failure_data.user_failure_data.description or "")
    assert failed.step_failure_data.user_failure_data.metadata["what_to_do"].value

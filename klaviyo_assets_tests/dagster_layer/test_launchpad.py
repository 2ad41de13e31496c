"""The launchpad submits the run config that it shows: each job runs with the default run config."""

import json
import runpy
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from textwrap import dedent
from typing import Any

import dagster as dg
import pytest
from dagster._core.snap.snap_to_yaml import default_values_yaml_from_type_snap
from dagster_duckdb import DuckDBResource
from dagster_shared.yaml_utils import load_run_config_yaml

from klaviyo_assets import KlaviyoFrameIOManager, KlaviyoResource, build_klaviyo_assets, build_klaviyo_definitions
from klaviyo_assets.sandbox.keys import ALL_SCOPES_KEY
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets_tests.accounts import local_file, query
from klaviyo_assets_tests.dagster_layer.launchpad import launchpad_of_file
from klaviyo_assets_tests.dagster_layer.projects import document, project

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("unpaced")]

NewAccount = Callable[..., SandboxProcess]
VARIABLE = "KEY_OF_THE_TESTS"
MATERIALIZE = "__ASSET_JOB"
"""The hidden job of the button *Materialize*."""

JOBS = (
    *("klaviyo_sync", "klaviyo_checks", "klaviyo_sync_frequent"),
    *("klaviyo_full_profiles", "klaviyo_full_predictive_analytics", "klaviyo_full_templates"),
    *("klaviyo_audit", "klaviyo_repair", "klaviyo_build_marts", "klaviyo_publish"),
)
"""Every job of an account that has everything; a job comes after those that it needs."""


@pytest.fixture(autouse=True)
def key_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, ALL_SCOPES_KEY)


def resource(sandbox: SandboxProcess, key: str = "") -> KlaviyoResource:
    return KlaviyoResource(api_key=key or dg.EnvVar(VARIABLE), base_url=sandbox.base_url, rate_limit_share=1.0, max_retries=1)


def from_the_factory(sandbox: SandboxProcess, folder: Path, key: str = "", resource_types: Sequence[str] | None = None) -> dg.Definitions:
    file = str(folder / "shop.duckdb")
    return build_klaviyo_definitions(resource(sandbox, key), duckdb=file, resource_types=resource_types, executor=dg.in_process_executor)


def from_the_parts(sandbox: SandboxProcess, folder: Path) -> dg.Definitions:
    """Definitions of a user's own code location, with the resource shown in the launchpad."""
    database = DuckDBResource(database=str(folder / "shop.duckdb"))
    return dg.Definitions(
        assets=build_klaviyo_assets(resource_types=["lists"]),
        resources={"klaviyo": resource(sandbox), "duckdb": database, "klaviyo_frames": KlaviyoFrameIOManager(duckdb=database)},
        executor=dg.in_process_executor,
    )


def launchpad_of(job: dg.JobDefinition) -> str:
    """Return the launchpad's initial run config: GraphQL's rootDefaultYaml, or the job's own config."""
    if job.run_config:
        return json.dumps(job.run_config)
    snapshot = job.get_job_snapshot()
    root = snapshot.config_schema_snapshot.get_config_snap(snapshot.mode_def_snaps[0].root_config_key)  # type: ignore[arg-type]
    return default_values_yaml_from_type_snap(snapshot.config_schema_snapshot, root)


def launch(defs: dg.Definitions, job: dg.JobDefinition, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    return job.execute_in_process(instance=instance, run_config=dg_yaml(launchpad_of(job)), raise_on_error=False)


def dg_yaml(text: str) -> dict[str, Any]:
    """Parse run config as the UI does: dates remain texts."""
    return {name: value for name, value in (load_run_config_yaml(text) or {}).items() if value}  # type: ignore[attr-defined]


ONE_TYPE_OF_EACH_OP = ["events", "lists", "metrics", "predictive_analytics", "profiles", "reviews", "templates"]

FACTORY = """
    import dagster as dg
    from klaviyo_assets import KlaviyoResource, build_klaviyo_definitions

    klaviyo = KlaviyoResource(api_key=dg.EnvVar("KEY_OF_THE_TESTS"), base_url={url!r}, rate_limit_share=1.0, max_retries=1)
    options = dict(resource_types={types!r}, marts=True, publish={published!r}, executor=dg.in_process_executor)
    defs = dg.Definitions.merge(
        build_klaviyo_definitions(klaviyo, duckdb={database!r}, **options), dg.Definitions(executor=dg.in_process_executor)
    )
"""


@pytest.mark.oldest
@pytest.mark.filterwarnings("ignore:.*environment_vars.* is deprecated:DeprecationWarning")  # Dagster uses it itself
@pytest.mark.parametrize("kind", ["factory", "component"])
def test_every_job_runs_with_the_config_that_its_launchpad_shows(
    kind: str, new_account: NewAccount, tmp_path: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = new_account(metrics=3, events=300)
    monkeypatch.syspath_prepend(tmp_path)
    file = write(sandbox, tmp_path) if kind == "factory" else component(sandbox, tmp_path)
    with launchpad_of_file(file, tmp_path / "home") as launchpad:
        assert set(launchpad.jobs) == {*JOBS, MATERIALIZE}
        shown = {job: dg_yaml(launchpad.shown(job)) for job in JOBS}
    # In memory, since Dagster's SQLite would take a minute for the hundreds of events of these runs.
    found = runpy.run_path(str(file))["defs"]
    defs: dg.Definitions = found if isinstance(found, dg.Definitions) else found()
    runs = {job: defs.resolve_job_def(job).execute_in_process(shown[job], instance, raise_on_error=False) for job in JOBS}

    assert not {job: failures(run) for job, run in runs.items() if not run.success}
    assert not {job: names for job, run in runs.items() if (names := red_checks(run))}
    assert {mode_of(runs[job]) for job in runs if job.startswith("klaviyo_full_")} == {"full"}
    assert mode_of(runs["klaviyo_repair"]) == "repair"
    (audit,) = runs["klaviyo_audit"].get_asset_check_evaluations()
    assert audit.check_name == "complete"
    assert audit.metadata["days_compared"].value > 0, "the audit compared something"  # type: ignore[operator]


@pytest.mark.filterwarnings("ignore:.*environment_vars.* is deprecated:DeprecationWarning")  # Dagster uses it itself
def test_an_asset_is_materialized_with_the_config_that_its_launchpad_shows(account: SandboxProcess, tmp_path: Path) -> None:
    """As the UI does it: the run is launched by the mutation of GraphQL."""
    lists = [dg.AssetKey(["klaviyo", "lists"])]
    with launchpad_of_file(write(account, tmp_path), tmp_path / "home") as launchpad:
        run = launchpad.launch(MATERIALIZE, launchpad.shown(MATERIALIZE, lists), lists)

    assert run.is_success
    assert run.asset_selection == {*lists}
    assert query(local_file(tmp_path, "shop.duckdb"), "SELECT count(*) FROM lists") == [(account.counts()["lists"],)]


def test_every_job_of_the_complete_location_is_one_of_these(account: SandboxProcess, tmp_path: Path) -> None:
    """Only one type of each op is used above, since the run config does not depend on how many an op has; but a type may add a job."""
    options: dict[str, Any] = {"marts": True, "publish": tmp_path / "published.duckdb"}
    defs = build_klaviyo_definitions(resource(account), duckdb=str(tmp_path / "shop.duckdb"), resource_types=["all"], **options)

    assert {job.name for job in defs.get_repository_def().get_all_jobs()} == {*JOBS, MATERIALIZE}


def write(sandbox: SandboxProcess, folder: Path) -> Path:
    """Write the Python file of a code location."""
    file = folder / "location.py"
    paths = {"database": str(folder / "shop.duckdb"), "published": str(folder / "published.duckdb")}
    file.write_text(dedent(FACTORY).format(url=sandbox.base_url, types=ONE_TYPE_OF_EACH_OP, **paths))
    return file


def component(sandbox: SandboxProcess, folder: Path) -> Path:
    """Write a ``dg`` project with the same as a component."""
    paths = {"database": str(folder / "shop.duckdb"), "publish": str(folder / "published.duckdb")}
    options = {"base_url": sandbox.base_url, "rate_limit_share": 1.0, "max_retries": 1, "marts": True, "resource_types": ONE_TYPE_OF_EACH_OP}
    return project(folder, document(**options, **paths))


def failures(run: dg.ExecuteInProcessResult) -> list[str]:
    return [event.step_failure_data.error_display_string for event in run.all_node_events if event.is_step_failure]


def mode_of(run: dg.ExecuteInProcessResult) -> object:
    (event,) = run.get_asset_materialization_events()
    return event.materialization.metadata["mode"].value


def red_checks(run: dg.ExecuteInProcessResult) -> list[str]:
    """Return the names of failed checks. Some checks of the marts warn, since orders of the sandbox lack a value now and then."""
    return [one.check_name for one in run.get_asset_check_evaluations() if not one.passed and one.severity is dg.AssetCheckSeverity.ERROR]


@pytest.mark.oldest
def test_launchpad_shows_only_ops(account: SandboxProcess, tmp_path: Path) -> None:
    defs = from_the_factory(account, tmp_path)

    for job in defs.get_repository_def().get_all_jobs():
        shown = launchpad_of(job)
        assert set(dg_yaml(shown)) <= {"ops"}, shown


def test_custom_resource_is_shown_with_its_variable_and_runs(account: SandboxProcess, tmp_path: Path, instance: dg.DagsterInstance) -> None:
    defs = from_the_parts(account, tmp_path)
    job = defs.resolve_implicit_global_asset_job_def()

    assert dg_yaml(launchpad_of(job))["resources"]["klaviyo"]["config"]["api_key"] == {"env": VARIABLE}
    assert launch(defs, job, instance).success


@pytest.mark.oldest
def test_key_is_not_in_snapshots_or_storage(account: SandboxProcess, tmp_path: Path) -> None:
    """The key is a literal, which Dagster would store as the default of a resource's field."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    defs = from_the_factory(account, tmp_path, ALL_SCOPES_KEY)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        job = defs.resolve_job_def("klaviyo_checks")
        assert launch(defs, job, instance).success

    assert ALL_SCOPES_KEY not in json.dumps(dg.serialize_value(job.get_job_snapshot()))
    assert stored_text(home)
    assert not any(ALL_SCOPES_KEY in text for text in stored_text(home))


def stored_text(home: Path) -> list[str]:
    """Return every text in Dagster's databases; snapshots are compressed there."""
    import sqlite3

    found = []
    for path in home.rglob("*.db"):
        with sqlite3.connect(path) as connection:
            names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            for name in names:
                for row in connection.execute(f'SELECT * FROM "{name}"'):
                    found += [zlib.decompress(value).decode() if isinstance(value, bytes) else str(value) for value in row]
    return found


@pytest.mark.oldest
def test_resources_of_the_factory_work_outside_its_jobs(account: SandboxProcess, tmp_path: Path, instance: dg.DagsterInstance) -> None:
    """In a user's own asset, and where Dagster loads values."""
    import polars as pl

    seen = []

    @dg.asset
    def mine(klaviyo: KlaviyoResource, klaviyo_duckdb: DuckDBResource) -> None:
        seen.append((klaviyo.api_key, klaviyo.base_url, klaviyo_duckdb.database))

    defs = from_the_factory(account, tmp_path)
    assert dg.materialize([mine], resources=defs.resources, instance=instance).success
    assert seen == [(ALL_SCOPES_KEY, account.base_url, str(tmp_path / "shop.duckdb"))]

    key = dg.AssetKey(["klaviyo", "lists"])
    (small,) = [asset for asset in defs.assets or [] if isinstance(asset, dg.AssetsDefinition) and key in asset.keys]
    assert dg.materialize([small], resources=defs.resources, instance=instance, selection=[key]).success
    (bound,) = dg.with_resources([small], dict(defs.resources or {}))
    assert isinstance(bound, dg.AssetsDefinition)
    assert dg.materialize([bound], instance=instance, selection=[key]).success
    assert defs.load_asset_value(["klaviyo", "lists"], python_type=pl.DataFrame, instance=instance).height == account.counts()["lists"]


@pytest.mark.parametrize("key", ["********", "pk_*****", "••••••••", "pk_***", "****ef01"])
def test_audit_with_a_masked_key_fails_with_the_reason(key: str, account: SandboxProcess, tmp_path: Path, instance: dg.DagsterInstance) -> None:
    """An old launchpad would submit such a key."""
    defs = from_the_factory(account, tmp_path, key)

    result = launch(defs, defs.resolve_job_def("klaviyo_audit"), instance)

    assert not result.success
    (check,) = result.get_asset_check_evaluations()
    assert not check.passed
    assert "delete the resources: block" in (check.description or "")
    (failed,) = [event.step_failure_data for event in result.all_node_events if event.is_step_failure]
    assert "row of asterisks" in failed.error_display_string

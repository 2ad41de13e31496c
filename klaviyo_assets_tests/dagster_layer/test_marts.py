"""The marts as Dagster assets: one op, lineage, metadata, checks, failures."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from klaviyo_assets import (
    InvalidDefinition,
    KlaviyoResource,
    KlaviyoTranslator,
    build_klaviyo_assets,
    build_klaviyo_definitions,
    build_klaviyo_marts,
)
from klaviyo_assets.marts.library import read_models
from klaviyo_assets.marts.mart_runner import MartRunner
from klaviyo_assets_tests.accounts import local_file
from klaviyo_assets_tests.marts.folders import write_model
from klaviyo_assets_tests.marts.stored import KeptOpen, StoredAccount


def definitions(path: Path, marts: object, **options: object) -> dg.Definitions:
    return build_klaviyo_definitions(KlaviyoResource(api_key=dg.EnvVar("A_KEY")), duckdb=path, marts=marts, **options)  # type: ignore[arg-type]


def specs(defs: dg.Definitions) -> dict[str, dg.AssetSpec]:
    return {spec.key.to_user_string(): spec for spec in defs.resolve_all_asset_specs()}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("prepared") / "shop.duckdb"
    warehouse = KeptOpen(path)
    StoredAccount(warehouse, "metrics").sync({"metrics": [{"id": "m1", "name": "Placed Order"}, {"id": "m2", "name": "Received Email"}]})
    warehouse.close()
    return path


@pytest.fixture
def path(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("A_KEY", "pk_0123456789abcdef0123456789abcdef01")
    shutil.copy(prepared, tmp_path / "shop.duckdb")
    return tmp_path / "shop.duckdb"


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as found:
        yield found


def run(defs: dg.Definitions, instance: dg.DagsterInstance, *names: str, **options: object) -> dg.ExecuteInProcessResult:
    job = defs.resolve_job_def("klaviyo_build_marts")
    keys = [dg.AssetKey(["klaviyo", name]) for name in names] or None
    return job.execute_in_process(instance=instance, asset_selection=keys, raise_on_error=False, **options)  # type: ignore[arg-type]


def materialized(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetMaterialization]:
    return {one.asset_key.path[-1]: one for one in (event.materialization for event in result.get_asset_materialization_events())}


def failures(result: dg.ExecuteInProcessResult) -> list[str]:
    events = [event for event in result.all_events if event.is_step_failure]
    return [(event.step_failure_data.user_failure_data or event.step_failure_data.error).description or "" for event in events]  # type: ignore[union-attr]


def test_marts_are_opt_in() -> None:
    without, with_marts = specs(definitions(Path("a.duckdb"), False)), specs(definitions(Path("a.duckdb"), True))

    assert {*with_marts} - {*without} == {f"klaviyo/{name}" for name in read_models()}


@pytest.mark.long
@pytest.mark.oldest
@pytest.mark.parametrize("marts", ["fivetran", ["fivetran"]])
def test_the_views_for_dbt_are_opt_in(marts: object) -> None:
    found = specs(definitions(Path("a.duckdb"), marts))
    views = {*found} - {*specs(definitions(Path("a.duckdb"), True))}

    # The keys that dagster-dbt gives the source tables of dbt_klaviyo.
    assert views == {f"klaviyo/{name}" for name in ("campaign", "event", "flow", "metric", "person")}
    assert found["klaviyo/event"].metadata["dagster/table_name"] == "a.klaviyo_fivetran.event"
    assert "A view." in (found["klaviyo/event"].description or "")


def test_a_mart_says_what_it_is_and_what_it_reads() -> None:
    spec = specs(definitions(Path("a.duckdb"), True, owners=["team:data"]))["klaviyo/dim_metric"]

    assert spec.group_name == "klaviyo_marts"
    assert spec.kinds == {"sql", "duckdb"}
    assert list(spec.owners) == ["team:data"]
    assert {dep.asset_key.path[-1] for dep in spec.deps} == {"metrics", "metric_roles"}
    assert spec.metadata["dagster/table_name"] == "a.klaviyo_marts.dim_metric"
    assert [column.name for column in spec.metadata["dagster/column_schema"].columns] == [*read_models()["dim_metric"].header.columns]
    assert "FROM metrics" in spec.metadata["klaviyo/sql"].value
    assert "One row per metric_id." in (spec.description or "")


def test_names_follow_the_account_and_the_translator(tmp_path: Path) -> None:
    write_model(tmp_path / "m", "mine", "FROM live_events, mart_run")
    translator = KlaviyoTranslator(key_prefix=["crm", "raw"], schema="raw")
    defs = definitions(Path("a.duckdb"), tmp_path / "m", name="shop", translator=translator)
    spec = specs(defs)["crm/raw/mine"]

    assert spec.group_name == "shop_marts"
    assert {dep.asset_key.to_user_string() for dep in spec.deps} == {"crm/raw/events", "crm/raw/accounts"}
    assert spec.metadata["dagster/table_name"] == "a.raw_marts.mine"
    assert "shop_build_marts_schedule" in {schedule.name for schedule in defs.schedules or []}


def test_a_folder_must_exist(tmp_path: Path) -> None:
    with pytest.raises(InvalidDefinition, match=r"is not a folder"):
        definitions(Path("a.duckdb"), tmp_path / "missing")
    with pytest.raises(InvalidDefinition, match=r"marts=3 names no folders"):
        definitions(Path("a.duckdb"), 3)


def test_the_assets_must_say_which_resource_types_they_are() -> None:
    other = dg.AssetsDefinition(specs=[dg.AssetSpec(["shop", "orders"])])

    with pytest.raises(
        InvalidDefinition, match=r"^The asset shop/orders does not say which resource type it is\. Pass the assets that build_klaviyo_assets"
    ):
        build_klaviyo_marts([*build_klaviyo_assets(resource_types=["lists"]), other], True)


def test_a_model_whose_header_cannot_be_read_says_so_in_its_description(tmp_path: Path) -> None:
    write_model(tmp_path / "m", "mine", "FROM live_events").write_text("SELECT 1 AS id")

    found = specs(definitions(Path("a.duckdb"), tmp_path / "m"))

    description = found["klaviyo/mine"].description or ""
    assert description.startswith("This model cannot be built. ")
    assert "mine.sql, line 1: The header has no field description. What to do: Begin the file with a line: -- description: …" in description
    assert "cannot be built" not in (found["klaviyo/dim_metric"].description or "")


@pytest.mark.long
def test_a_run_reports_rows_columns_numbers_and_checks(path: Path, instance: dg.DagsterInstance) -> None:
    result = run(definitions(path, True), instance, "metric_roles", "dim_metric")
    found = materialized(result)["dim_metric"]

    assert result.success
    assert found.metadata["dagster/row_count"].value == 2
    assert found.metadata["metrics_with_a_role"].value == 2
    types = {column.name: column.type for column in found.metadata["dagster/column_schema"].value.columns}  # type: ignore[union-attr]
    assert types["created_at"] == "TIMESTAMP WITH TIME ZONE"
    checks = {check.check_name: check.passed for check in result.get_asset_check_evaluations()}
    assert checks == {"unique_key": True, "no_revenue_metric": True}


@pytest.mark.long
@pytest.mark.oldest
def test_checks_run_alone(path: Path, tmp_path: Path, instance: dg.DagsterInstance) -> None:
    write_model(tmp_path / "m", "a", "SELECT unnest([1, 1]) AS id", header="-- warn never: SELECT * FROM a\n")
    defs = definitions(path, tmp_path / "m")
    run(defs, instance, "a")
    keys = [dg.AssetCheckKey(dg.AssetKey(["klaviyo", "a"]), name) for name in ("unique_key", "never")]
    job = dg.define_asset_job("checks", dg.AssetSelection.checks(*keys))
    result = dg.Definitions.merge(defs, dg.Definitions(jobs=[job])).resolve_job_def("checks").execute_in_process(instance=instance)

    found = {check.check_name: check for check in result.get_asset_check_evaluations()}
    assert {name: (check.passed, check.severity) for name, check in found.items()} == {
        "unique_key": (False, dg.AssetCheckSeverity.ERROR),
        "never": (False, dg.AssetCheckSeverity.WARN),
    }
    assert found["unique_key"].metadata["keys"].records[0].data == {"id": "1"}  # type: ignore[union-attr]
    assert not materialized(result)


@pytest.mark.long
@pytest.mark.parametrize("with_checks", [True, False], ids=["with its checks", "only the asset"])
def test_a_check_that_cannot_run_says_why_and_its_model_is_built(with_checks: bool, path: Path, tmp_path: Path, instance: dg.DagsterInstance) -> None:
    write_model(tmp_path / "m", "a", "SELECT 1 AS id", header="-- check broken: SELECT nothing FROM a\n")
    selection = dg.AssetSelection.assets(dg.AssetKey(["klaviyo", "a"]))
    job = dg.define_asset_job("by_hand", selection if with_checks else selection.without_checks())
    defs = dg.Definitions.merge(definitions(path, tmp_path / "m"), dg.Definitions(jobs=[job]))

    result = defs.resolve_job_def("by_hand").execute_in_process(instance=instance, raise_on_error=False)

    assert {*materialized(result)} == {"a"}
    logged = [entry.user_message for entry in instance.all_logs(result.run_id) if not entry.is_dagster_event]
    found = {check.check_name: check for check in result.get_asset_check_evaluations()}
    if with_checks:
        assert {name: check.passed for name, check in found.items()} == {"unique_key": True, "broken": False}
        (words,) = (found["broken"].description or "",)
        assert words.startswith("The check could not run: line 3: ")
    else:
        assert found == {}
        (words,) = [one for one in logged if "broken" in one]
        assert words.startswith("a: broken could not run: line 3: ")
    assert 'Referenced column "nothing" not found' in words


@pytest.mark.long
def test_a_failing_model_fails_alone_and_is_named(path: Path, tmp_path: Path, instance: dg.DagsterInstance) -> None:
    bad = write_model(tmp_path / "m", "bad", "SELECT 1 AS id,\n  nothing")
    write_model(tmp_path / "m", "after_bad", "FROM bad")
    write_model(tmp_path / "m", "unreadable", "SELECT FROM FROM")
    result = run(definitions(path, tmp_path / "m"), instance)

    assert {"dim_metric", "metric_roles"} <= {*materialized(result)}
    assert not {"bad", "after_bad", "unreadable"} & {*materialized(result)}
    (text,) = failures(result)
    assert f"bad: {bad}, line 5: Binder Error" in text
    assert "unreadable.sql, line 4: DuckDB cannot parse it: syntax error" in text
    assert "Not built, because they need these: after_bad" in text
    assert "Traceback" not in text


@pytest.mark.long
@pytest.mark.oldest
def test_a_model_alone_needs_the_others_to_be_there(path: Path, instance: dg.DagsterInstance) -> None:
    result = run(definitions(path, True), instance, "dim_metric")

    (text,) = failures(result)
    assert "dim_metric was not built: it needs metric_roles. What to do: Materialize metric_roles first." in text


def test_the_code_location_has_marts_if_the_environment_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from klaviyo_assets.definitions import _definitions

    write_model(tmp_path / "m", "mine", "FROM profiles")
    monkeypatch.setenv("KLAVIYO_MARTS", "true")
    assert "klaviyo/dim_metric" in specs(_definitions())
    monkeypatch.setenv("KLAVIYO_MARTS", str(tmp_path / "m"))
    assert {"klaviyo/dim_metric", "klaviyo/mine"} <= {*specs(_definitions())}
    monkeypatch.setenv("KLAVIYO_MARTS", "false")
    assert "klaviyo/dim_metric" not in specs(_definitions())


@pytest.mark.long
@pytest.mark.oldest
@pytest.mark.parametrize("scheduled", [True, False])
def test_marts_are_built_by_one_run_at_a_time(path: Path, instance: dg.DagsterInstance, *, scheduled: bool) -> None:
    """A scheduled run that comes too early skips them, any other one fails."""
    runner = MartRunner(local_file(path.parent, path.name), "klaviyo", read_models(), run_id="the-other-run")
    others = runner.run(["dim_metric"])
    next(others)
    tags = {"dagster/schedule_name": "hourly"} if scheduled else {}
    result = run(definitions(path, True), instance, "metric_roles", tags=tags)

    assert result.success is scheduled
    assert not materialized(result)
    if not scheduled:
        (text,) = failures(result)
        assert "The marts are being built already by run the-other-run; nothing was done." in text
    others.close()
    assert run(definitions(path, True), instance, "metric_roles").success


def test_an_asset_of_the_user_takes_a_mart_as_a_frame(path: Path, instance: dg.DagsterInstance) -> None:
    defs = definitions(path, True)
    run(defs, instance, "metric_roles", "dim_metric")

    @dg.asset(ins={"metrics": dg.AssetIn(["klaviyo", "dim_metric"])})
    def names(metrics: pl.DataFrame) -> int:
        return metrics.height

    both = dg.Definitions.merge(defs, dg.Definitions(assets=[names], jobs=[dg.define_asset_job("mine", dg.AssetSelection.assets(names))]))
    assert both.resolve_job_def("mine").execute_in_process(instance=instance).output_for_node("names") == 2

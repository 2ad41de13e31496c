"""Small resource types share an op: each keeps its own asset, checks, selection and failure."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
from dagster_duckdb import DuckDBResource

from klaviyo_assets import (
    CATALOG,
    KlaviyoFrameIOManager,
    KlaviyoResource,
    KlaviyoTranslator,
    build_klaviyo_assets,
    build_klaviyo_automation,
    build_klaviyo_definitions,
)
from klaviyo_assets.api.klaviyo_errors import ServerFault
from klaviyo_assets.catalog import ResourceType
from klaviyo_assets.errors import InvalidRange
from klaviyo_assets.reporting.failures import failure_of_types
from klaviyo_assets.sandbox.keys import key_lacking
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.validation import InvalidDefinition
from klaviyo_assets_tests.dagster_layer.account_runs import materialized
from klaviyo_assets_tests.dagster_layer.small_types import OP, SMALL, Renamed, checks, definitions, failure, sync
from klaviyo_assets_tests.outside_types import VOUCHERS

NewAccount = Callable[..., SandboxProcess]


def test_small_types_share_an_op_and_every_other_type_has_its_own() -> None:
    assets = {asset.op.name: {key.path[-1] for key in asset.keys} for asset in build_klaviyo_assets()}

    assert assets == {OP: SMALL} | {f"klaviyo_{name}": {name} for name in CATALOG.default_names if name not in SMALL}
    assert {"accounts", "lists", "metrics"} <= SMALL
    assert not SMALL & {"events", "profiles"}


def test_the_name_of_the_op_does_not_depend_on_the_selection() -> None:
    (asset,) = build_klaviyo_assets(resource_types=["lists"], name="eu")

    assert asset.op.name == "eu_small_types"


def test_custom_type_has_its_own_step() -> None:
    catalog = CATALOG.with_(VOUCHERS)
    defs = build_klaviyo_definitions(KlaviyoResource(api_key="x"), duckdb="a.duckdb", catalog=catalog, resource_types=["vouchers", "lists"])

    ops = {asset.op.name for asset in defs.assets or () if isinstance(asset, dg.AssetsDefinition)}
    assert ops == {OP, "klaviyo_vouchers"}
    assert "klaviyo_sync" in {job.name for job in defs.jobs or ()}


@pytest.mark.long
def test_a_failed_type_affects_no_other_of_its_op(account: SandboxProcess, tmp_path: Path, instance: dg.DagsterInstance) -> None:
    result = sync(definitions(account, tmp_path, key_lacking("lists:read")), instance)

    assert not result.success
    assert materialized(result) == SMALL - {"lists"}
    found = checks(result)
    assert {name for name, check in found if check == "primary_key"} == SMALL, "checks of the failed type are reported too"
    assert [key for key, passed in found.items() if not passed] == [("lists", "scope_coverage")]
    description, metadata = failure(result)
    assert description.startswith(f"1 of {len(SMALL)} resource types failed.\nlists: ")
    assert "lacks the scope lists:read" in description
    assert (metadata["failed"], metadata["scope"]) == ("lists", "lists:read")
    assert "lists:read" in metadata["what_to_do"]


@pytest.mark.oldest
@pytest.mark.long
@pytest.mark.parametrize("separate", [False, True], ids=["one op", "an op of its own"])
def test_dependents_of_a_type_run_if_another_one_fails_in_another_op(
    separate: bool, account: SandboxProcess, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    """Dagster starts no step whose upstream step failed, whichever of its outputs it needs; the docs name the remedy."""

    @dg.asset(deps=[["klaviyo", "flows"]])
    def report() -> None: ...

    database = DuckDBResource(database=str(tmp_path / "shop.duckdb"))
    groups = {"klaviyo": ["lists"], "reported": ["flows"]} if separate else {"klaviyo": ["flows", "lists"]}
    assets = [asset for name, types in groups.items() for asset in build_klaviyo_assets(resource_types=types, name=name)]
    defs = dg.Definitions(
        assets=[*assets, report],
        resources={
            "klaviyo": KlaviyoResource(api_key=key_lacking("lists:read"), base_url=account.base_url, rate_limit_share=1.0, max_retries=1),
            "duckdb": database,
            "klaviyo_frames": KlaviyoFrameIOManager(duckdb=database),
        },
        jobs=build_klaviyo_automation(assets).jobs,
    )

    result = defs.resolve_implicit_global_asset_job_def().execute_in_process(instance=instance, raise_on_error=False)

    assert materialized(result) == ({"flows", "report"} if separate else {"flows"})


@pytest.mark.long
def test_a_failure_names_the_type_and_the_key_that_a_translator_gave_it(
    account: SandboxProcess, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    defs = definitions(account, tmp_path, key_lacking("lists:read"), resource_types=["flows", "lists"], translator=Renamed())

    result = defs.resolve_job_def("klaviyo_sync").execute_in_process(instance=instance, raise_on_error=False)

    description, metadata = failure(result)
    assert description.startswith("1 of 2 resource types failed.\nlists (shop/my_lists): ")
    assert metadata["failed"] == "lists (shop/my_lists)"


@pytest.mark.oldest
@pytest.mark.long
def test_a_subset_of_the_assets_and_a_single_check_run_alone(account: SandboxProcess, tmp_path: Path, instance: dg.DagsterInstance) -> None:
    defs = definitions(account, tmp_path)
    assert materialized(sync(defs, instance, "lists", "metrics")) == {"lists", "metrics"}

    only = dg.AssetCheckKey(dg.AssetKey(["klaviyo", "lists"]), "primary_key")
    result = defs.resolve_implicit_global_asset_job_def().get_subset(asset_selection=set(), asset_check_selection={only})
    alone = result.execute_in_process(instance=instance)

    assert materialized(alone) == set()
    assert checks(alone) == {("lists", "primary_key"): True}


@pytest.mark.long
def test_full_reads_every_type_and_range_names_those_that_have_none(account: SandboxProcess, tmp_path: Path, instance: dg.DagsterInstance) -> None:
    defs = definitions(account, tmp_path)
    full = sync(defs, instance, "lists", "metrics", mode="full")
    assert full.success
    modes = {event.asset_key.path[-1]: event.materialization.metadata["mode"].value for event in full.get_asset_materialization_events()}  # type: ignore[union-attr]
    assert modes == {"lists": "full", "metrics": "full"}

    ranged = sync(defs, instance, "lists", "metrics", mode="range", start="2026-01-01", end="2026-02-01")

    assert not ranged.success
    assert materialized(ranged) == set()
    description, metadata = failure(ranged)
    assert "2 of 2 resource types failed." in description
    assert "lists has no mode range" in description
    assert "metrics has no mode range" in description
    assert [record.data["resource type"] for record in metadata["errors"].records] == ["lists", "metrics"]


@pytest.mark.oldest
@pytest.mark.long
def test_retry_of_the_op_syncs_the_failed_type_and_does_not_harm_others(
    new_account: NewAccount, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    sandbox = new_account()
    sandbox.faults({"path": "/api/lists", "kind": "503", "times": 1})
    defs = definitions(sandbox, tmp_path, max_retries=0, retry_policy=dg.RetryPolicy(max_retries=1))

    result = sync(defs, instance, "lists", "metrics")

    assert result.success
    assert [event.step_key for event in result.all_events if event.is_step_up_for_retry] == [OP]
    materializations = result.asset_materializations_for_node(OP)
    first_is_new = [int(one.metadata["rows_inserted"].value) > 0 for one in materializations if one.asset_key.path[-1] == "metrics"]  # type: ignore[arg-type]
    assert first_is_new == [True, False], "the second try found nothing new"
    with duckdb.connect(str(tmp_path / "warehouse.duckdb"), read_only=True) as connection:
        for name in ("lists", "metrics"):
            assert connection.execute(f"SELECT count(*), count(DISTINCT id) FROM klaviyo.{name}").fetchall() == [(sandbox.counts()[name],) * 2]


def test_shared_errors_are_shown_once_and_a_transient_one_allows_a_retry() -> None:
    wrong = InvalidRange("start is not a date: 'x'.", "Write it as 2026-01-31.")

    shared = failure_of_types({"lists": wrong, "flows": wrong, "metrics": KeyError("a")}, 5, str)

    assert shared.description == (
        "3 of 5 resource types failed.\nlists, flows: start is not a date: 'x'. What to do: Write it as 2026-01-31.\nmetrics: KeyError: 'a'"
    )
    assert shared.allow_retries, "nothing is known about the KeyError"
    assert not failure_of_types({"lists": wrong, "flows": wrong}, 5, str).allow_retries
    assert failure_of_types({"lists": wrong, "flows": ServerFault("Klaviyo failed.", status=503)}, 2, str).allow_retries


class OtherKeys(KlaviyoTranslator):
    def get_asset_spec(self, entry: ResourceType) -> dg.AssetSpec:
        return super().get_asset_spec(entry).replace_attributes(key=["crm", f"raw_{entry.name.upper()}"])


def test_jobs_find_their_assets_whatever_keys_a_translator_gives_them() -> None:
    defs = build_klaviyo_definitions(KlaviyoResource(api_key="x"), duckdb="a.duckdb", translator=OtherKeys())

    def selected(job: str) -> set[str]:
        layer = defs.resolve_job_def(job).asset_layer
        return {key.to_user_string() for key in layer.executable_asset_keys} | {key.name for key in layer.asset_graph.asset_check_keys}

    assert "crm/raw_EVENTS" in selected("klaviyo_sync_frequent")
    assert "crm/raw_PROFILES" in selected("klaviyo_full_profiles")
    assert "crm/raw_EVENTS" in selected("klaviyo_repair")
    assert selected("klaviyo_audit") == {"complete"}
    schedules = {schedule.name for schedule in defs.schedules or ()}
    full = {f"full_{name}" for name in CATALOG.default_names if CATALOG[name].full_refresh}
    assert schedules == {f"klaviyo_{name}_schedule" for name in {"sync", "checks", "sync_frequent", "audit"} | full}


def test_an_asset_of_another_kind_is_refused_by_the_jobs() -> None:
    @dg.asset
    def mine() -> None: ...

    with pytest.raises(InvalidDefinition, match="The asset mine does not say which resource type it is"):
        build_klaviyo_automation([*build_klaviyo_assets(resource_types=["events"]), mine])


def test_jobs_without_syncs_run_in_one_process_and_the_executor_can_be_chosen() -> None:
    def executors(**options: Any) -> dict[str, str]:
        defs = build_klaviyo_definitions(KlaviyoResource(api_key="x"), duckdb="a.duckdb", **options)
        return {job.name: defs.resolve_job_def(job.name).executor_def.name for job in defs.jobs or ()}

    found = executors()
    assert {name for name, executor in found.items() if executor == "in_process"} == {"klaviyo_checks", "klaviyo_audit"}
    assert {executor for name, executor in found.items() if "sync" in name} == {"multiprocess"}
    assert set(executors(executor=dg.in_process_executor).values()) == {"in_process"}


@pytest.mark.parametrize("own", [None, dg.multiprocess_executor.configured({"max_concurrent": 3})], ids=["default", "own"])
def test_the_executor_applies_to_no_other_job(own: dg.ExecutorDefinition | None) -> None:
    @dg.asset
    def mine() -> None: ...

    def location(*more: dg.Definitions) -> dg.Definitions:
        others = dg.Definitions(assets=[mine], jobs=[dg.define_asset_job("my_job", selection=["mine"])], executor=own)
        return dg.Definitions.merge(others, *more)

    account = build_klaviyo_definitions(KlaviyoResource(api_key="x"), duckdb="a.duckdb", executor=dg.in_process_executor)
    alone, merged = location(), location(account)

    assert merged.resolve_job_def("my_job").executor_def == alone.resolve_job_def("my_job").executor_def
    whole = merged.resolve_implicit_global_asset_job_def()
    assert whole.executor_def == alone.resolve_implicit_global_asset_job_def().executor_def
    assert merged.resolve_job_def("klaviyo_sync").executor_def is dg.in_process_executor

"""Asset keys that code changes after the assets were built: the same syncs, checks and jobs, under the new keys."""

from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import dagster as dg
import pytest
from dagster_duckdb import DuckDBResource

from klaviyo_assets import (
    CATALOG,
    KlaviyoFrameIOManager,
    KlaviyoResource,
    build_klaviyo_assets,
    build_klaviyo_automation,
)
from klaviyo_assets.errors import AssetUnknown
from klaviyo_assets.ops.sync_op import SyncStep
from klaviyo_assets.run_config import KlaviyoSyncConfig
from klaviyo_assets.sandbox.keys import ALL_SCOPES_KEY
from klaviyo_assets.sandbox.process import SandboxProcess

Assets = Sequence[dg.AssetsDefinition]
TYPES = ["flows", "list_members", "lists"]


def by_the_key_prefix_of_a_module(assets: Assets) -> Assets:
    module = ModuleType("mine")
    vars(module)["assets"] = assets
    return cast(Assets, dg.load_assets_from_modules([module], key_prefix=["raw"]))


def by_replacements(assets: Assets) -> Assets:
    new = {spec.key: spec.key.with_prefix("raw") for asset in assets for spec in asset.specs}
    return [asset.with_attributes(asset_key_replacements=new) for asset in assets]


def by_replacements_without_metadata(assets: Assets) -> Assets:
    bare = dg.map_asset_specs(lambda spec: spec.replace_attributes(metadata={"dagster/table_name": spec.metadata["dagster/table_name"]}), assets)
    return by_replacements(bare)


CHANGES = [by_the_key_prefix_of_a_module, by_replacements]


def raw(name: str) -> dg.AssetKey:
    return dg.AssetKey(["raw", "klaviyo", name])


def definitions(sandbox: SandboxProcess, folder: Path, assets: Assets, **options: Any) -> dg.Definitions:
    database = DuckDBResource(database=str(folder / "shop.duckdb"))
    return dg.Definitions(
        assets=[*assets, *options.pop("others", [])],
        resources={
            "klaviyo": KlaviyoResource(api_key=ALL_SCOPES_KEY, base_url=sandbox.base_url, rate_limit_share=1.0, max_retries=1),
            "duckdb": database,
            "klaviyo_frames": KlaviyoFrameIOManager(duckdb=database),
        },
        executor=dg.in_process_executor,
        **options,
    )


def materialized(result: dg.ExecuteInProcessResult) -> set[dg.AssetKey]:
    return {event.asset_key for event in result.get_asset_materialization_events() if event.asset_key is not None}


@pytest.mark.long
@pytest.mark.parametrize("change", CHANGES)
def test_jobs_sync_and_check_the_assets(
    change: Callable[[Assets], Assets], account: SandboxProcess, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    assets = change(build_klaviyo_assets(resource_types=TYPES))
    defs = definitions(account, tmp_path, assets, jobs=build_klaviyo_automation(assets, executor=dg.in_process_executor).jobs)

    checked = defs.resolve_job_def("klaviyo_checks").execute_in_process(instance=instance)
    synced = defs.resolve_job_def("klaviyo_sync").execute_in_process(instance=instance)

    assert {one.asset_key for one in checked.get_asset_check_evaluations()} == {raw(name) for name in TYPES}
    assert materialized(synced) == {raw(name) for name in TYPES}
    assert {(one.asset_key, one.check_name) for one in synced.get_asset_check_evaluations()} == {
        (key.asset_key, key.name) for asset in assets for key in asset.check_keys
    }
    assert all(one.passed for one in synced.get_asset_check_evaluations())


@pytest.mark.long
def test_a_part_of_the_assets_and_their_dependents_run(account: SandboxProcess, tmp_path: Path, instance: dg.DagsterInstance) -> None:
    @dg.asset(ins={"lists": dg.AssetIn(raw("lists"))})
    def number_of_lists(lists: Any) -> int:
        return len(lists)

    assets = by_the_key_prefix_of_a_module(build_klaviyo_assets(resource_types=TYPES))
    defs = definitions(account, tmp_path, assets, others=[number_of_lists])
    job = defs.resolve_implicit_global_asset_job_def()
    chosen = [raw("lists"), dg.AssetKey("number_of_lists")]

    result = job.execute_in_process(instance=instance, asset_selection=chosen)
    only = dg.AssetCheckKey(raw("lists"), "primary_key")
    alone = job.get_subset(asset_selection=set(), asset_check_selection={only}).execute_in_process(instance=instance)

    assert materialized(result) == set(chosen)
    assert result.output_for_node("number_of_lists") == account.counts()["lists"]
    assert [(one.asset_key, one.check_name, one.passed) for one in alone.get_asset_check_evaluations()] == [(raw("lists"), "primary_key", True)]
    assert defs.resolve_asset_graph().get(raw("list_members")).parent_keys == {raw("lists")}


@pytest.mark.long
def test_an_asset_whose_metadata_was_replaced_is_synced(account: SandboxProcess, tmp_path: Path, instance: dg.DagsterInstance) -> None:
    assets = by_replacements_without_metadata(build_klaviyo_assets(resource_types=["lists"]))

    result = definitions(account, tmp_path, assets).resolve_implicit_global_asset_job_def().execute_in_process(instance=instance)

    assert materialized(result) == {raw("lists")}


@pytest.mark.oldest
@pytest.mark.long
def test_audit_and_repair_find_their_asset(account: SandboxProcess, tmp_path: Path, instance: dg.DagsterInstance) -> None:
    assets = by_the_key_prefix_of_a_module(build_klaviyo_assets(resource_types=["events", "metrics"]))
    defs = definitions(account, tmp_path, assets, jobs=build_klaviyo_automation(assets, executor=dg.in_process_executor).jobs)
    assert defs.resolve_job_def("klaviyo_sync").execute_in_process(instance=instance).success

    audited = defs.resolve_job_def("klaviyo_audit").execute_in_process(instance=instance)
    repaired = defs.resolve_job_def("klaviyo_repair").execute_in_process(instance=instance)

    assert [(one.asset_key, one.check_name) for one in audited.get_asset_check_evaluations()] == [(raw("events"), "complete")]
    (event,) = repaired.get_asset_materialization_events()
    assert (event.asset_key, event.materialization.metadata["mode"].value) == (raw("events"), "repair")


def test_a_step_whose_assets_are_unknown_fails() -> None:
    unknown = SimpleNamespace(selected_asset_keys={raw("lists")}, selected_asset_check_keys=set(), op_def=SimpleNamespace(name="klaviyo_small_types"))
    step = SyncStep(
        context=cast(dg.AssetExecutionContext, unknown),
        config=KlaviyoSyncConfig(),
        assets={dg.AssetKey(["klaviyo", "lists"]): CATALOG["lists"]},
        schema="klaviyo",
        klaviyo=KlaviyoResource(api_key="x"),
        duckdb=None,
    )

    with pytest.raises(AssetUnknown, match="klaviyo_small_types must sync raw/klaviyo/lists, but none of its resource types has that asset key"):
        step.require_a_type_for_each_key()

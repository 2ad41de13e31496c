"""A child type in the op of its parent."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from klaviyo_assets import (
    CATALOG,
    KlaviyoResource,
    KlaviyoTranslator,
    build_klaviyo_assets,
    build_klaviyo_definitions,
)
from klaviyo_assets.catalog.replication import PerParent
from klaviyo_assets.sandbox.keys import ALL_SCOPES_KEY, key_lacking
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets_tests.dagster_layer.account_runs import materialized
from klaviyo_assets_tests.dagster_layer.small_types import OP, Renamed, checks, definitions, failure, sync
from klaviyo_assets_tests.outside_types import CATALOG as WIDER
from klaviyo_assets_tests.outside_types import NAME, SEGMENT_PEOPLE

NewAccount = Callable[..., SandboxProcess]


def test_a_child_is_in_the_op_of_its_parent() -> None:
    assets = build_klaviyo_assets(catalog=WIDER, resource_types=["voucher_codes", "vouchers", "segment_people", "segments"])

    assert {asset.op.name: {key.path[-1] for key in asset.keys} for asset in assets} == {
        OP: {"segments", "segment_people"},
        "klaviyo_vouchers": {"vouchers", "voucher_codes"},
    }


@pytest.mark.oldest
@pytest.mark.long
def test_a_child_is_synced_after_its_parent_at_the_first_sync_too(new_account: NewAccount, tmp_path: Path, instance: dg.DagsterInstance) -> None:
    sandbox = new_account(catalog=NAME)
    catalog = CATALOG.with_(replace(SEGMENT_PEOPLE, replication=PerParent()))
    defs = definitions(sandbox, tmp_path, catalog=catalog, resource_types=["segments", "segment_people"])

    result = defs.resolve_job_def("klaviyo_sync").execute_in_process(instance=instance, raise_on_error=False)

    assert result.success
    assert materialized(result) == {"segments", "segment_people"}
    with duckdb.connect(str(tmp_path / "warehouse.duckdb"), read_only=True) as connection:
        ((members,),) = connection.execute("SELECT count(*) FROM klaviyo.segment_people").fetchall()
    assert members == sandbox.counts()["segment_people"] > 0


@pytest.mark.parametrize(("translator", "parent"), [(None, ["klaviyo", "lists"]), (Renamed(), ["shop", "my_lists"])], ids=["default", "renamed"])
def test_a_child_depends_on_its_parent_in_the_asset_graph(translator: KlaviyoTranslator | None, parent: list[str]) -> None:
    klaviyo = KlaviyoResource(api_key="x")
    defs = build_klaviyo_definitions(
        klaviyo, duckdb="a.duckdb", resource_types=["accounts", "list_members", "lists"], translator=translator, owners=["team:data"]
    )

    graph = defs.resolve_asset_graph()
    child = next(key for key in graph.get_all_asset_keys() if key.path[-1].endswith("list_members"))
    assert graph.get(child).parent_keys == {dg.AssetKey(parent)}
    assert all(not graph.get(key).parent_keys for key in graph.get_all_asset_keys() - {child})


def members_and_lists(sandbox: SandboxProcess, folder: Path, key: str = ALL_SCOPES_KEY) -> dg.Definitions:
    return definitions(sandbox, folder, key, resource_types=["accounts", "list_members", "lists", "metrics"])


@pytest.mark.long
def test_a_child_is_synced_alone_once_its_parent_has_a_table(account: SandboxProcess, tmp_path: Path, instance: dg.DagsterInstance) -> None:
    defs = members_and_lists(account, tmp_path)
    assert materialized(sync(defs, instance, "lists")) == {"lists"}

    result = sync(defs, instance, "list_members")

    assert result.success
    assert materialized(result) == {"list_members"}
    assert all(checks(result).values())
    again = sync(defs, instance, "list_members", "lists")
    assert again.success
    assert [event.asset_key.path[-1] for event in again.get_asset_materialization_events() if event.asset_key] == ["lists", "list_members"]


@pytest.mark.long
@pytest.mark.parametrize("scope", ["metrics:read", "lists:read"])
def test_a_child_is_not_skipped_because_another_type_of_its_op_fails(
    scope: str, account: SandboxProcess, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    failed = {"metrics"} if scope == "metrics:read" else {"lists", "list_members"}

    result = sync(members_and_lists(account, tmp_path, key_lacking(scope)), instance, "accounts", "list_members", "lists", "metrics")

    assert not result.success
    assert materialized(result) == {"accounts", "list_members", "lists", "metrics"} - failed
    assert failure(result)[0].startswith(f"{len(failed)} of 4 resource types failed.")


def notes_of(result: dg.ExecuteInProcessResult, name: str) -> str:
    (found,) = [one for one in result.asset_materializations_for_node(OP) if one.asset_key.path[-1] == name]
    return str(found.metadata["notes"].value) if "notes" in found.metadata else ""


@pytest.mark.long
def test_a_child_fails_if_its_parent_was_never_read_completely(new_account: NewAccount, tmp_path: Path, instance: dg.DagsterInstance) -> None:
    sandbox = new_account()
    # Lets the probe of lists pass; its sync fails.
    sandbox.faults({"path": "/api/lists", "kind": "503", "times": 1, "after": 1})
    defs = definitions(sandbox, tmp_path, max_retries=0, resource_types=["list_members", "lists"])

    result = sync(defs, instance, "list_members", "lists")

    assert materialized(result) == set()
    description, _ = failure(result)
    assert description.startswith("2 of 2 resource types failed.")
    assert (
        "\nlist_members: list_members needs the complete table lists, and no sync that has read lists completely is recorded for this account. "
        "What to do: Sync lists first."
    ) in description

    again = sync(defs, instance, "list_members", "lists")

    assert again.success
    assert notes_of(again, "list_members") == ""
    with duckdb.connect(str(tmp_path / "warehouse.duckdb"), read_only=True) as connection:
        ((members,),) = connection.execute("SELECT count(*) FROM klaviyo.list_members").fetchall()
    assert members == sandbox.counts()["list_members"] > 0


@pytest.mark.long
def test_a_child_is_synced_with_the_parents_of_the_last_sync_if_that_of_its_parent_fails(
    new_account: NewAccount, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    sandbox = new_account()
    defs = members_and_lists(sandbox, tmp_path)
    assert sync(defs, instance, "lists").success
    # Lets the probe of lists pass; its sync gets the error twice and fails.
    sandbox.faults({"path": "/api/lists", "kind": "500", "times": 2, "after": 1})

    result = sync(defs, instance, "list_members", "lists")

    assert not result.success
    assert materialized(result) == {"list_members"}
    assert notes_of(result, "list_members").startswith("- The latest sync of lists has not succeeded: list\\_members of lists that are newer than")
    with duckdb.connect(str(tmp_path / "warehouse.duckdb"), read_only=True) as connection:
        ((members,),) = connection.execute("SELECT count(*) FROM klaviyo.list_members").fetchall()
    assert members == sandbox.counts()["list_members"] > 0


@pytest.mark.long
def test_a_child_is_skipped_with_its_parent_if_the_key_lacks_an_optional_scope(
    new_account: NewAccount, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    sandbox = new_account(catalog=NAME)
    defs = definitions(sandbox, tmp_path, sandbox.keys.lacking("vouchers:read"), catalog=WIDER, resource_types=["accounts", "voucher_codes"])

    result = defs.resolve_job_def("klaviyo_sync").execute_in_process(instance=instance, raise_on_error=False)

    assert result.success
    assert materialized(result) == {"accounts"}
    assert [key for key, passed in checks(result).items() if not passed] == [("vouchers", "scope_coverage"), ("voucher_codes", "scope_coverage")]

"""The asset ``published``: lineage, its job, and its errors."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from klaviyo_assets import KlaviyoResource, PublishTarget, build_klaviyo_definitions
from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.erasure.erase import Erasure
from klaviyo_assets.erasure.subject import DataSubject
from klaviyo_assets.sandbox.keys import ALL_SCOPES_KEY
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.state.locks import sync_lock
from klaviyo_assets.validation import InvalidDefinition
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets.warehouse.default_name import AmbiguousName
from klaviyo_assets_tests.accounts import query, sync

KEY = dg.AssetKey(["klaviyo", "published"])


def definitions(folder: Path, **options: Any) -> dg.Definitions:
    options = {"publish": folder / "published.duckdb"} | options
    return build_klaviyo_definitions(KlaviyoResource(api_key=ALL_SCOPES_KEY), duckdb=str(folder / "klaviyo_data.duckdb"), **options)


def publish(defs: dg.Definitions, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    return defs.resolve_job_def("klaviyo_publish").execute_in_process(instance=instance, raise_on_error=False)


def test_it_is_downstream_of_every_asset_and_in_no_sync_job(tmp_path: Path) -> None:
    defs = definitions(tmp_path, tags={"team": "crm"}, owners=["team:data"])
    spec = next(spec for asset in defs.resolve_asset_graph().assets_defs for spec in asset.specs if spec.key == KEY)
    assert {dep.asset_key for dep in spec.deps} == {dg.AssetKey(["klaviyo", name]) for name in CATALOG.default_names}
    assert (spec.group_name, spec.owners, spec.tags["team"]) == ("klaviyo_published", ["team:data"], "crm")
    jobs = {job.name: job.asset_layer.executable_asset_keys for job in defs.resolve_all_job_defs() if job.name != "__ASSET_JOB"}
    assert {name for name, keys in jobs.items() if KEY in keys} == {"klaviyo_publish"}
    assert defs.resolve_schedule_def("klaviyo_publish_schedule").cron_schedule == "55 * * * *"


def test_without_the_argument_there_is_none(tmp_path: Path) -> None:
    defs = definitions(tmp_path, publish=None)
    assert KEY not in defs.resolve_asset_graph().get_all_asset_keys()


def test_its_job_writes_the_copy_and_says_what_it_holds(account: SandboxProcess, tmp_path: Path, instance: dg.DagsterInstance) -> None:
    defs = definitions(tmp_path, publish=PublishTarget(tmp_path / "published.duckdb", tmp_path / "parquet"))
    sync("lists", account, _warehouse(tmp_path))

    result = publish(defs, instance)

    (event,) = result.get_asset_materialization_events()
    assert event.asset_key == KEY
    metadata = event.materialization.metadata
    assert metadata["file"].value == str(tmp_path / "published.duckdb")
    (record,) = metadata["types"].records  # type: ignore[union-attr]
    assert record.data["resource type"] == "lists"
    assert record.data["latest sync"] == "succeeded"
    assert metadata["parquet files written"].value == 3
    with duckdb.connect(str(tmp_path / "published.duckdb"), read_only=True) as connection:
        assert connection.execute("SELECT count(*) > 0 FROM klaviyo.lists").fetchall() == [(True,)]


@pytest.mark.long
def test_a_type_whose_latest_sync_failed_is_published_with_a_warning(account: SandboxProcess, tmp_path: Path, instance: dg.DagsterInstance) -> None:
    sync("lists", account, _warehouse(tmp_path))
    query(_warehouse(tmp_path), "UPDATE _syncs SET outcome = 'failed'")

    result = publish(definitions(tmp_path), instance)

    assert result.success
    assert len(result.get_asset_materialization_events()) == 1
    assert "lists: its latest sync did not succeed; the table _published of the copy says up to when it is complete." in _logged(result, instance)


@pytest.mark.long
def test_during_a_sync_that_has_committed_a_part_the_last_copy_stays(account: SandboxProcess, tmp_path: Path, instance: dg.DagsterInstance) -> None:
    warehouse = _warehouse(tmp_path)
    sync("lists", account, warehouse)
    publish(definitions(tmp_path), instance)
    earlier = (tmp_path / "published.duckdb").read_bytes()
    query(warehouse, "UPDATE _syncs SET outcome = 'running', finished_at = NULL")

    with sync_lock(warehouse.state_dir / "klaviyo", "lists", "another-run"):
        result = publish(definitions(tmp_path), instance)

    assert result.success
    assert result.get_asset_materialization_events() == []
    (words,) = [one for one in _logged(result, instance) if "running sync" in one]
    assert words.startswith("lists: a running sync has committed a part of its rows, so the copy was not written; the earlier one stays.")
    assert (tmp_path / "published.duckdb").read_bytes() == earlier
    assert len(publish(definitions(tmp_path), instance).get_asset_materialization_events()) == 1


def _logged(result: dg.ExecuteInProcessResult, instance: dg.DagsterInstance) -> list[str]:
    return [entry.user_message for entry in instance.all_logs(result.run_id) if not entry.is_dagster_event]


@pytest.mark.long
def test_tables_of_own_types_are_divided_by_month_also_after_an_erasure(
    new_account: Callable[..., SandboxProcess], tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    profiles = CATALOG["profiles"]
    own = replace(profiles, replication=replace(profiles.replication, honors_start_date=True))  # type: ignore[type-var]
    target = PublishTarget(tmp_path / "published.duckdb", tmp_path / "parquet")
    defs = definitions(tmp_path, publish=target, catalog=CATALOG.updated({"profiles": own}))
    sync(own, new_account(profiles=5, events=0), _warehouse(tmp_path))

    assert publish(defs, instance).success
    assert _months(tmp_path, "profiles")

    erased = Erasure(_warehouse(tmp_path), "klaviyo").run(DataSubject.named(_first_id(tmp_path)))
    assert any("published.duckdb was written again" in note for note in erased.notes)
    assert _months(tmp_path, "profiles")


def _months(folder: Path, table: str) -> list[str]:
    return sorted(path.name for path in (folder / "parquet" / "current" / "klaviyo" / table).glob("month=*"))


def _first_id(folder: Path) -> str:
    ((id_,),) = query(_warehouse(folder), "SELECT min(id) FROM profiles")
    return str(id_)


def test_a_failure_is_a_sentence(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    result = publish(definitions(tmp_path), instance)
    data = result.failure_data_for_node("klaviyo_published")
    assert data is not None
    assert data.user_failure_data is not None
    assert "There is no database" in str(data.user_failure_data.description)


def test_names_that_the_copy_cannot_have(tmp_path: Path) -> None:
    with pytest.raises(AmbiguousName, match="klaviyo"):
        definitions(tmp_path, publish=tmp_path / "klaviyo.duckdb")
    with pytest.raises(InvalidDefinition, match="the database itself"):
        definitions(tmp_path, publish=tmp_path / "klaviyo_data.duckdb")
    with pytest.raises(InvalidDefinition, match="the database itself"):
        definitions(tmp_path, publish=PublishTarget(str(tmp_path / "klaviyo_data.duckdb")))  # type: ignore[arg-type]
    with pytest.raises(InvalidDefinition, match="publish= takes"):
        definitions(tmp_path, publish=7)


def _warehouse(folder: Path) -> LocalFile:
    from dagster_duckdb import DuckDBResource

    return LocalFile(DuckDBResource(database=str(folder / "klaviyo_data.duckdb")))

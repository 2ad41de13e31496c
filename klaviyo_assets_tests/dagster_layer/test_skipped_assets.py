"""An asset whose optional scope is missing is skipped for that reason only: any other error fails it."""

from pathlib import Path

import dagster as dg
import pytest

from klaviyo_assets import KlaviyoResource, build_klaviyo_definitions
from klaviyo_assets_tests.accounts import small


@pytest.mark.long
@pytest.mark.usefixtures("unpaced")
@pytest.mark.parametrize("is_a_database", [True, False])
def test_an_asset_without_an_optional_scope_fails_if_the_database_cannot_be_used(is_a_database: bool, tmp_path: Path) -> None:
    file = tmp_path / "shop.duckdb"
    if not is_a_database:
        file.write_text("These are notes, not a database.\n" * 500)
    with small(events=0) as shop, dg.DagsterInstance.ephemeral() as instance:
        klaviyo = KlaviyoResource(api_key=shop.keys.lacking("webhooks:read"), base_url=shop.base_url)
        definitions = build_klaviyo_definitions(klaviyo, duckdb=str(file), resource_types=["webhooks"], executor=dg.in_process_executor)
        result = definitions.resolve_job_def("klaviyo_sync").execute_in_process(instance=instance, raise_on_error=False)

    assert result.success is is_a_database
    if not is_a_database:
        (failure,) = [event.step_failure_data.error for event in result.all_node_events if event.is_step_failure]
        assert failure is not None
        assert str(file) in failure.message


@pytest.mark.long
@pytest.mark.usefixtures("unpaced")
@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({"mode": "repair"}, "webhooks has no audit"),
        ({"start": "2026-01-01"}, "field, start and end are for mode range"),
    ],
)
def test_an_asset_without_an_optional_scope_fails_if_its_config_is_wrong(config: dict[str, str], problem: str, tmp_path: Path) -> None:
    with small(events=0) as shop, dg.DagsterInstance.ephemeral() as instance:
        klaviyo = KlaviyoResource(api_key=shop.keys.lacking("webhooks:read"), base_url=shop.base_url)
        definitions = build_klaviyo_definitions(
            klaviyo, duckdb=str(tmp_path / "shop.duckdb"), resource_types=["webhooks"], executor=dg.in_process_executor
        )
        job = definitions.resolve_job_def("klaviyo_sync")
        result = job.execute_in_process({"ops": {"klaviyo_small_types": {"config": config}}}, instance=instance, raise_on_error=False)

    (failure,) = [event.step_failure_data.error for event in result.all_node_events if event.is_step_failure]
    assert failure is not None
    assert problem in failure.message


@pytest.mark.long
@pytest.mark.usefixtures("unpaced")
def test_an_asset_without_an_optional_scope_fails_if_its_folder_cannot_be_made(tmp_path: Path) -> None:
    folder = tmp_path / "shop.duckdb.sync" / "klaviyo"
    folder.parent.mkdir()
    folder.write_text("a file in the place of the folder")
    with small(events=0) as shop, dg.DagsterInstance.ephemeral() as instance:
        klaviyo = KlaviyoResource(api_key=shop.keys.lacking("webhooks:read"), base_url=shop.base_url)
        definitions = build_klaviyo_definitions(
            klaviyo, duckdb=str(tmp_path / "shop.duckdb"), resource_types=["webhooks"], executor=dg.in_process_executor
        )
        result = definitions.resolve_job_def("klaviyo_sync").execute_in_process(instance=instance, raise_on_error=False)

    (failure,) = [event.step_failure_data.error for event in result.all_node_events if event.is_step_failure]
    assert failure is not None
    assert str(folder) in failure.message

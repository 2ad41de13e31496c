"""Types with a host share its op: the host's own requests fill their tables, and each keeps its own result."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from klaviyo_assets import KlaviyoResource, build_klaviyo_definitions
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets_tests.accounts import local_file, query, small, table, truth

NAMES = ("campaigns", "campaign_messages", "flows", "flow_actions", "flow_messages")


@pytest.fixture
def shop() -> Iterator[SandboxProcess]:
    with small(events=0, profiles=10, metrics=3, reviews=0, campaigns=18, flows=8, others=2, limits=True) as sandbox:
        yield sandbox


def materialize(shop: SandboxProcess, folder: Path, *names: str, **options: int) -> dg.ExecuteInProcessResult:
    klaviyo = KlaviyoResource(api_key=shop.keys.all_scopes, base_url=shop.base_url, rate_limit_share=1.0, **options)
    defs = build_klaviyo_definitions(klaviyo, duckdb=str(folder / "warehouse.duckdb"), resource_types=NAMES, executor=dg.in_process_executor)
    return defs.resolve_job_def("klaviyo_sync").execute_in_process(
        asset_selection=[dg.AssetKey(["klaviyo", name]) for name in names or NAMES], raise_on_error=False
    )


def failures(result: dg.ExecuteInProcessResult) -> list[str]:
    """Return what Dagster recorded of each failure."""
    return [str(event.event_specific_data) for event in result.all_events if event.is_failure]


@pytest.mark.long
def test_one_read_of_the_host_fills_all_tables(shop: SandboxProcess, tmp_path: Path) -> None:
    result = materialize(shop, tmp_path)

    assert result.success, failures(result)
    warehouse = local_file(tmp_path, "warehouse.duckdb")
    for name in NAMES:
        assert table(warehouse, name).equals(truth(shop, name)), name
    assert {one.check_name: one.passed for one in result.get_asset_check_evaluations()}["included_complete"]
    requests = dict(query(warehouse, "SELECT resource_type, requests FROM _syncs"))
    # A probe each, and the first one asks for the account; the hosts' subsets are read once for all.
    assert max(requests[name] for name in ("campaign_messages", "flow_actions", "flow_messages")) <= 2
    assert requests["campaigns"] <= 6 + 2
    assert requests["flows"] <= 2 + 2
    assert query(warehouse, "SELECT sum(throttled) FROM _syncs") == [(0,)]


@pytest.mark.long
def test_a_read_of_the_host_that_fails_is_the_failure_of_both(shop: SandboxProcess, tmp_path: Path) -> None:
    materialize(shop, tmp_path)
    shop.change("delete", type="flow_actions", id=shop.truth("flow_actions")[0]["id"])
    shop.faults({"path": "/api/flows", "kind": "503", "times": 1, "after": 3})

    result = materialize(shop, tmp_path, "flows", "flow_actions", "campaigns", max_retries=0)

    failed = query(local_file(tmp_path, "warehouse.duckdb"), "SELECT resource_type, error_class FROM _syncs WHERE outcome = 'failed' ORDER BY ALL")
    assert not result.success
    assert failed == [("flow_actions", "ServerFault"), ("flows", "ServerFault")]
    assert query(local_file(tmp_path, "warehouse.duckdb"), "SELECT count(_deleted_at) FROM flow_actions") == [(0,)]


@pytest.mark.long
def test_a_type_alone_reads_its_host_itself(shop: SandboxProcess, tmp_path: Path) -> None:
    result = materialize(shop, tmp_path, "flow_messages")

    assert result.success, failures(result)
    assert table(local_file(tmp_path, "warehouse.duckdb"), "flow_messages").equals(truth(shop, "flow_messages"))

"""Reports request more than their own endpoint: without the scope of the account's time zone they are skipped, and every check says so before."""

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from klaviyo_assets import KlaviyoResource, build_klaviyo_definitions
from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets_tests.accounts import local_file, query, small
from klaviyo_assets_tests.dagster_layer.test_run_log import home, words_of

pytestmark = pytest.mark.long

_REPORT = "campaign_report"


def _definitions(shop: SandboxProcess, folder: Path, key: str) -> dg.Definitions:
    klaviyo = KlaviyoResource(api_key=key, base_url=shop.base_url)
    return build_klaviyo_definitions(
        klaviyo, duckdb=str(folder / "shop.duckdb"), resource_types=["lists", "segments", _REPORT], executor=dg.in_process_executor
    )


@pytest.mark.usefixtures("unpaced")
@pytest.mark.parametrize("scope", ["accounts:read", "metrics:read"])
def test_a_report_without_the_scope_of_what_it_also_reads_is_skipped(scope: str, tmp_path: Path) -> None:
    with small(events=0) as shop, home(tmp_path / "home") as instance:
        job = _definitions(shop, tmp_path, shop.keys.lacking(scope)).resolve_job_def("klaviyo_sync")
        result = job.execute_in_process(instance=instance)
        found = {name: _check(result, name) for name in ("lists", _REPORT)}

        assert result.success
        assert result.asset_materializations_for_node(f"klaviyo_{_REPORT}") == []
        assert (found["lists"].passed, found[_REPORT].passed) == (True, False)
        assert found[_REPORT].severity is dg.AssetCheckSeverity.WARN
        skipped = [words for words in words_of(instance, result.run_id) if f"{_REPORT} is skipped" in words and "Skipped." in words]
        assert len(skipped) == 1
        assert f"create a new key that also has {scope}." in skipped[0]
        assert query(local_file(tmp_path, "shop.duckdb"), "SELECT DISTINCT resource_type FROM _syncs WHERE outcome = 'succeeded' ORDER BY 1") == [
            ("lists",),
            ("segments",),
        ]


@pytest.mark.usefixtures("unpaced")
def test_the_checks_alone_say_the_same(tmp_path: Path) -> None:
    with small(events=0) as shop, home(tmp_path / "home") as instance:
        job = _definitions(shop, tmp_path, shop.keys.required_scopes).resolve_job_def("klaviyo_checks")
        result = job.execute_in_process(instance=instance)

        assert result.success
        assert not _check(result, _REPORT).passed
        assert "accounts:read" in str(_check(result, _REPORT).description)
        assert _check(result, "lists").passed


def _check(result: Any, name: str) -> dg.AssetCheckEvaluation:
    return next(one for one in result.get_asset_check_evaluations() if one.asset_key.path[-1] == name and one.check_name == "scope_coverage")


def test_every_report_names_what_it_also_reads() -> None:
    for entry in CATALOG.values():
        report = entry.replication.report
        also = {other.name for other in entry.also_reads}
        assert also == (set() if report is None else {"accounts", "mapped_metrics"} if report.by_conversion_metric else {"accounts"})

"""A report whose daily limit is used up: a green step, the asset skipped, a warning that says when it continues."""

from pathlib import Path

import dagster as dg
import pytest

from klaviyo_assets import KlaviyoResource, build_klaviyo_definitions
from klaviyo_assets_tests.accounts import local_file, query, small
from klaviyo_assets_tests.dagster_layer.test_run_log import home, words_of

pytestmark = pytest.mark.long


@pytest.mark.usefixtures("unpaced")
def test_a_used_up_day_skips_the_asset_and_says_when_it_continues(tmp_path: Path) -> None:
    with small(events=0, history_days=300) as shop, home(tmp_path / "home") as instance:
        shop.faults({"path": "/api/form-series-reports", "kind": "429", "seconds": 7200, "times": None})
        klaviyo = KlaviyoResource(api_key=shop.keys.all_scopes, base_url=shop.base_url, concurrency=1)
        defs = build_klaviyo_definitions(
            klaviyo, duckdb=str(tmp_path / "shop.duckdb"), resource_types=["form_report_daily"], executor=dg.in_process_executor
        )
        result = defs.resolve_job_def("klaviyo_sync").execute_in_process(instance=instance, raise_on_error=False)

        assert result.success
        assert result.asset_materializations_for_node("klaviyo_form_report_daily") == []
        skipped = [words for words in words_of(instance, result.run_id) if "Skipped until the daily limit is renewed" in words]
        assert len(skipped) == 1
        assert "The server asks to wait 2 hours, until 20" in skipped[0]
        outcomes = query(local_file(tmp_path, "shop.duckdb"), "SELECT outcome, error_class FROM _syncs")
        assert outcomes == [("failed", "RateLimited")]

        shop.clear_faults()
        again = defs.resolve_job_def("klaviyo_sync").execute_in_process(instance=instance, raise_on_error=False)
        assert again.success
        assert len(again.asset_materializations_for_node("klaviyo_form_report_daily")) == 1

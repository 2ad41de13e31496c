"""Predictions have a table of their own: typed, read with a lower rate limit, without the other attributes of profiles."""

from collections.abc import Callable

import pytest

from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import query, sync

pytestmark = pytest.mark.duckdb


@pytest.mark.long
def test_only_predictions_and_cursor_fields_are_requested(new_account: Callable[..., SandboxProcess], warehouse: LocalFile) -> None:
    sandbox = new_account(profiles=120, events=0, limits=True)

    report = sync("predictive_analytics", sandbox, warehouse)

    pages = [one["query"] for one in sandbox.stats()["log"] if one["endpoint"] == "/api/profiles" and "additional-fields" in one["query"]]
    assert report.row_count == 120
    assert pages
    assert all("fields%5Bprofile%5D=created%2Cupdated" in one and "profile%5D=predictive_analytics" in one for one in pages)
    assert sandbox.stats()["endpoints"]["/api/profiles"]["throttled"] == 0
    assert query(warehouse, "SELECT DISTINCT _extra FROM predictive_analytics") == [(None,)]


@pytest.mark.long
def test_a_new_prediction_is_found_if_the_profile_counts_as_changed(new_account: Callable[..., SandboxProcess], warehouse: LocalFile) -> None:
    sandbox = new_account(profiles=20, events=0)
    sync("predictive_analytics", sandbox, warehouse)
    id_ = sandbox.truth("profiles")[0]["id"]
    sandbox.change("update", type="predictive_analytics", id=id_, attributes={"predictive_analytics": {"historic_clv": 12.5}})

    report = sync("predictive_analytics", sandbox, warehouse)

    assert (report.row.rows_inserted, report.row.rows_updated) == (0, 1)
    found = query(warehouse, f"SELECT historic_clv, churn_probability FROM predictive_analytics WHERE profile_id = '{id_}'")
    assert found == [(12.5, None)]

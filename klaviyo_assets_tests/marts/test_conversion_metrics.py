"""Conversions in ``klaviyo_comparison`` if reports count them by a custom metric, or by metrics that are not the account's revenue."""

import json
from pathlib import Path
from typing import Any

import pytest

from klaviyo_assets.marts.library import read_models
from klaviyo_assets.marts.mart_runner import MartRunner
from klaviyo_assets.marts.results import CheckResult
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.marts.conftest import build_shop, select
from klaviyo_assets_tests.marts.small_shop import NOW, SCHEMA, Row

pytestmark = [pytest.mark.duckdb, pytest.mark.long]

CONDITION = {"property": "sku", "filter": {"type": "string", "operator": "starts-with", "value": "A"}}
REPORTS = ("campaign_report", "flow_report", "flow_report_daily")
CHECKED = ("campaign_performance", "flow_message_performance")
CONVERSIONS = {"conversions", "conversion_uniques", "conversion_value"}


def custom_metric(*conditions: object, value_property: str | None = "$value") -> Row:
    """Return a custom metric that counts the shop's orders, with conditions."""
    groups = [{"metric_id": "order", "metric_filters": [*conditions], "value_property": value_property}]
    return {"id": "custom", "name": "Revenue", "definition_metric_groups": json.dumps(groups)}


def compared(folder: Path, reported_by: str, *custom: Row, mapped: bool = True, more: str = "") -> tuple[LocalFile, list[CheckResult]]:
    """Build the shop's performance marts with reports that count conversions by another metric.

    Args:
        folder: Where the file is created.
        reported_by: The metric by which all reports count conversions.
        custom: The account's custom metrics.
        mapped: Whether the account has mapped the custom metric as its revenue.
        more: SQL that changes the raw tables.
    """
    warehouse, _ = build_shop(folder, more={"custom_metrics": custom}, names=["metric_roles"])
    with warehouse.transaction() as connection:
        for table in REPORTS:
            connection.execute(f"UPDATE {SCHEMA}.{table} SET conversion_metric_id = ?", [reported_by])
        if mapped:
            connection.execute(f"UPDATE {SCHEMA}.mapped_metrics SET metric_id = NULL, custom_metric_id = 'custom' WHERE id = 'revenue'")
        if more:
            connection.execute(more)
    results = [result for result in MartRunner(warehouse, SCHEMA, read_models()).run(CHECKED, now=NOW) if result.model in CHECKED]
    for result in results:
        result.raise_if_failed()
    return warehouse, [check for result in results for check in result.checks if check.name == "equals_klaviyo"]


def statistics(warehouse: LocalFile, where: str = "true") -> list[tuple[Any, ...]]:
    return select(warehouse, f"SELECT DISTINCT statistic FROM klaviyo_comparison WHERE {where} ORDER BY ALL")


@pytest.mark.parametrize("custom", [(custom_metric(),), ()], ids=["synced", "not_synced"])
def test_conversions_of_a_custom_revenue_metric_are_compared(tmp_path: Path, custom: tuple[Row, ...]) -> None:
    warehouse, checks = compared(tmp_path, "custom", *custom)

    assert [check.passed for check in checks] == [True, True]
    assert {(one,) for one in CONVERSIONS} <= {*statistics(warehouse, "klaviyo > 0 AND counted = klaviyo")}


@pytest.mark.parametrize(
    ("custom", "statistic", "reason"),
    [
        ((custom_metric(CONDITION),), "conversions", "the revenue metric is a custom metric, and the marts do not apply its conditions"),
        ((custom_metric(),), "conversions", "late attribution"),
        ((custom_metric(value_property=None),), "conversion_value", "late attribution"),
        ((custom_metric(value_property="Subtotal"),), "conversion_value", "the revenue metric is a custom metric that adds up another property"),
        ((custom_metric(value_property="Subtotal"),), "conversions", "late attribution"),
        ((), "conversions", "the revenue metric is a custom metric, and the marts do not know which events it counts: sync the type custom_metrics"),
    ],
    ids=["conditions", "no-conditions", "no-property", "other-property", "number", "not-synced"],
)
def test_the_definition_of_a_custom_metric_explains_a_difference(tmp_path: Path, custom: tuple[Row, ...], statistic: str, reason: str) -> None:
    less = f"UPDATE {SCHEMA}.campaign_report SET {statistic} = {statistic} - 1 WHERE campaign_message_id = 'M1'"
    warehouse, checks = compared(tmp_path, "custom", *custom, more=less)

    assert [check.passed for check in checks] == [False, True]
    ((differs, found),) = select(warehouse, "SELECT statistic, reason FROM klaviyo_comparison WHERE NOT is_equal")
    assert differs == statistic
    assert found.startswith(reason)


@pytest.mark.parametrize("mapped", [False, True], ids=["metric", "custom_metric"])
def test_conversions_by_other_metrics_are_not_compared(tmp_path: Path, mapped: bool) -> None:
    """They are not orders: everything else is compared."""
    warehouse, checks = compared(tmp_path, "view", custom_metric(), mapped=mapped)

    assert [check.passed for check in checks] == [True, True]
    found = {one for (one,) in statistics(warehouse)}
    assert "delivered" in found
    assert not found & CONVERSIONS

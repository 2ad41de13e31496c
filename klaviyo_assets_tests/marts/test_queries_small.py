"""Every query of docs/queries.md runs, on every major version of DuckDB."""

import json
from datetime import date
from pathlib import Path

import duckdb
import pytest

from klaviyo_assets_tests.marts.conftest import Rows, build_shop, select
from klaviyo_assets_tests.marts.questions import QUESTIONS
from klaviyo_assets_tests.marts.small_shop import EVENTS, event

pytestmark = pytest.mark.duckdb


def test_there_are_27_questions() -> None:
    assert {int(number.rstrip("b")) for number in QUESTIONS} == {*range(1, 28)}


@pytest.mark.long
def test_every_query_runs(rows: Rows) -> None:
    failed = {}
    for number, sql in QUESTIONS.items():
        try:
            rows(sql)
        except duckdb.Error as error:
            failed[number] = str(error)

    assert failed == {}


@pytest.mark.long
def test_the_variations_of_a_message_have_their_own_orders(rows: Rows) -> None:
    """The order does not name the variation: its click and the send before it do."""
    found = rows(f"SELECT month, variation_id, delivered, conversions, conversion_value FROM ({QUESTIONS['2'].rstrip().rstrip(';')}) ORDER BY ALL")

    assert found == [
        (date(2026, 1, 1), "V1", 1, 0, 0.0),
        (date(2026, 2, 1), "V1", 1, 1, 30.0),
        (date(2026, 2, 1), "V2", 1, 0, 0.0),
    ]


def test_months_that_are_not_over_have_no_retention(rows: Rows) -> None:
    assert [row[2] for row in rows(QUESTIONS["12"])] == [None, None]


def test_subjects_of_few_messages_are_not_ranked(rows: Rows) -> None:
    assert rows(QUESTIONS["8"]) == []


def test_a_code_that_was_created_again_counts_its_orders_once(tmp_path: Path) -> None:
    order = event("X", "order", "P2", "2026-03-12 12:00:00", value=8.0, currency="USD")
    more = {
        "coupons": [{"id": id_, "external_id": "TEN"} for id_ in ("c1", "c2")],
        "coupon_codes": [
            {"id": "1", "unique_code": "TEN", "coupon_id": "old", "_deleted_at": "2026-03-01 00:00:00+00"},
            *({"id": id_, "unique_code": "TEN", "coupon_id": "new"} for id_ in ("2", "3")),
        ],
    }
    events = [*EVENTS, {**order, "event_properties": json.dumps({"Discount Codes": ["TEN"]})}]
    warehouse, _ = build_shop(tmp_path, events, more, ["metric_roles", "fct_orders"])

    assert select(warehouse, QUESTIONS["19"]) == [("new", "USD", 1, 8.0, 0)]

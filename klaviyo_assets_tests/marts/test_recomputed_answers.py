"""Answers of docs/queries.md that take more than a sum: every row equals what Python computes from the records of the API."""

import shutil
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from klaviyo_assets_tests.accounts import local_file
from klaviyo_assets_tests.marts.answers import Answers
from klaviyo_assets_tests.marts.recomputed import (
    Figures,
    best_customers,
    by_attribution_model,
    engagement,
    rated_products,
    sources_of_subscribers,
    worth_of_customers,
)
from klaviyo_assets_tests.marts.small_shop import SCHEMA

pytestmark = pytest.mark.long

CASES: dict[str, tuple[Callable[[Answers], Figures], tuple[str, ...], dict[str, int]]] = {
    "5": (by_attribution_model, ("model", "channel", "kind", "currency"), {"orders": 1, "revenue": 2}),
    "14": (best_customers, ("tier", "currency"), {"customers": 0, "orders": 2, "days_since_last_order": 0, "value": 2}),
    "15": (
        worth_of_customers,
        ("tier", "currency"),
        {"customers": 0, "value_so_far": 2, "predicted_in_a_year": 2, "churn_probability": 3},
    ),
    "18": (rated_products, ("product_id",), {"quantity": 0, "reviews": 0, "average_rating": 2, "refund_rate": 3}),
    "23": (sources_of_subscribers, ("channel", "method", "form"), {"people": 0}),
    "26": (engagement, ("engagement",), {"profiles": 0, "messages_received": 1, "customers": 0}),
}
"""By question: what computes the answer, the columns that tell rows apart, and the numbers with the decimals that the query rounds to."""


MODELS = ("last_touch", "last_click", "first_touch", "linear")


@pytest.mark.parametrize("number", CASES)
def test_every_row_equals_what_the_records_say(answers: Answers, number: str) -> None:
    compute, keys, decimals = CASES[number]
    rows = answers.rows(number)
    expected = compute(answers)

    found = {tuple(row[name] for name in keys): {name: row[name] for name in decimals} for row in rows}
    assert len(found) == len(rows)
    assert found == {key: _rounded(numbers, decimals) for key, numbers in expected.items()}


def _rounded(numbers: tuple[Any, ...], decimals: dict[str, int]) -> dict[str, Any]:
    """Return numbers that equal those of a query if it has rounded them to so many decimals."""
    return {
        name: None if number is None else pytest.approx(number, rel=0, abs=0.5 * 10**-places + 1e-9)
        for (name, places), number in zip(decimals.items(), numbers, strict=True)
    }


def test_the_account_has_what_the_questions_tell_apart(answers: Answers) -> None:
    """Otherwise a wrong answer could equal the right one."""
    computed = {number: compute(answers) for number, (compute, *_) in CASES.items()}
    models = [sorted((key[1:], numbers) for key, numbers in computed["5"].items() if key[0] == model) for model in MODELS]
    shares = {numbers[-1] for numbers in computed["18"].values()}

    # The sandbox attributes as last_touch does: they are one.
    assert len({str(rows) for rows in models}) == len(MODELS)
    assert {key[1:3] for key in computed["5"]} == {("none", "none"), *product(("email", "sms"), ("campaign",)), ("email", "flow")}
    assert {currency for *_, currency in computed["5"]} == {currency for _, currency in computed["14"]} == {"EUR", "USD"}
    assert {tier for tier, _ in computed["14"]} == {"champion", "loyal", "new", "promising", "at_risk", "lapsed"}
    assert len({numbers[2:] for numbers in computed["15"].values()}) == len(computed["15"])
    assert {0.0} < shares
    assert {channel for channel, *_ in computed["23"]} == {"email", "sms"}
    assert any(method != form and form for _, method, form in computed["23"])
    assert {one for (one,) in computed["26"]} == {"active_30", "active_90", "active_180", "never", "no_messages"}


@pytest.mark.parametrize(
    "change",
    [
        "id || '-again' AS id, datetime + INTERVAL 1 MINUTE AS datetime",
        "id || '-gone' AS id, 'somebody else' AS profile_id, datetime AS _deleted_at",
        "id || '-future' AS id, 'somebody else' AS profile_id, now() + INTERVAL 1 YEAR AS datetime",
    ],
    ids=["second", "deleted", "future"],
)
def test_second_deleted_and_future_subscriptions_add_no_people(answers: Answers, tmp_path: Path, change: str) -> None:
    """The account's own events have none of them."""
    shutil.copy(answers.warehouse.path, tmp_path / "shop.duckdb")
    changed = answers.in_file(local_file(tmp_path, "shop.duckdb"))
    with changed.warehouse.transaction() as connection:
        events = changed.warehouse.qualified(SCHEMA, "events")
        metric = answers.shop["metrics"]["subscribed_email"][0]
        added = connection.execute(f"INSERT INTO {events} SELECT * REPLACE ({change}) FROM {events} WHERE metric_id = ?", [metric]).fetchall()

    assert added > [(0,)]
    assert sorted(changed.rows("23"), key=str) == sorted(answers.rows("23"), key=str)

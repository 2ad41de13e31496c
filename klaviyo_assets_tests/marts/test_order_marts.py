"""Marts of orders, customers and products, against numbers that were computed by hand from the small shop."""

from datetime import date
from pathlib import Path

import pytest

from klaviyo_assets_tests.marts.conftest import Rows, Shop, build_shop, select
from klaviyo_assets_tests.marts.small_shop import EVENTS, FM1, Row, event

pytestmark = pytest.mark.duckdb


def test_revenue_by_day_and_currency(rows: Rows) -> None:
    """O7 is an order of another integration with the same metric name; O3 was placed on the 5th in New York."""
    assert rows(
        "SELECT day, currency, orders, revenue, attributed_revenue, campaign_revenue, flow_revenue, refunds, new_customers "
        "FROM account_daily WHERE orders > 0 OR refunds > 0 ORDER BY ALL"
    ) == [
        (date(2026, 2, 22), "USD", 1, 30.0, 30.0, 0.0, 30.0, 0.0, 1),
        (date(2026, 3, 2), "USD", 1, 100.0, 100.0, 100.0, 0.0, 0.0, 1),
        (date(2026, 3, 4), "EUR", 1, 50.0, 50.0, 50.0, 0.0, 0.0, 0),
        (date(2026, 3, 5), "USD", 1, 40.0, 0.0, 0.0, 0.0, 0.0, 0),
        (date(2026, 3, 10), "USD", 0, 0.0, 0.0, 0.0, 0.0, 10.0, 0),
        (date(2026, 3, 19), "USD", 2, 30.0, 0.0, 0.0, 0.0, 0.0, 0),
    ]


def test_channels_add_up_to_the_attributed_revenue(tmp_path: Path) -> None:
    orders = [
        event(
            f"X{number}",
            "order",
            "P2",
            "2026-03-12 12:00:00",
            value=2.0**number,
            currency="USD",
            attributed_message_id="X",
            attributed_channel=channel,
        )
        for number, channel in enumerate(("email", "sms", "push", "whatsapp", None))
    ]
    warehouse, _ = build_shop(tmp_path, [*EVENTS, *orders])

    columns = "email_revenue, sms_revenue, push_revenue, whatsapp_revenue, other_revenue"
    assert select(warehouse, f"SELECT {columns}, attributed_revenue FROM account_daily WHERE day = '2026-03-12'") == [
        (1.0, 2.0, 4.0, 8.0, 16.0, 31.0)
    ]
    apart = f"abs({columns.replace(', ', ' + ')} - attributed_revenue) > 0.001"
    assert select(warehouse, f"SELECT day FROM account_daily WHERE {apart}") == []


def test_what_has_no_currency_is_counted_once(rows: Rows) -> None:
    assert rows(
        "SELECT sum(emails_delivered), sum(sms_delivered), sum(email_opens), sum(clicks), sum(email_subscribers_gained), "
        "sum(email_subscribers_lost) FROM account_daily"
    ) == [(6, 1, 4, 4, 3, 1)]
    assert rows("SELECT emails_delivered, email_opens FROM account_daily WHERE currency = 'EUR'") == [(None, None)]


def test_numbers_for_dagster(shop: Shop) -> None:
    assert shop[1]["account_daily"].metadata == pytest.approx(
        {"revenue_yesterday": 30, "orders_yesterday": 2, "attributed_share_of_the_last_30_days": 130 / 200, "email_subscribers_net_yesterday": 1}
    )
    assert shop[1]["attribution_comparison"].metadata == pytest.approx({"attributed_share_native": 3 / 6, "attributed_share_last_touch": 4 / 6})


@pytest.mark.parametrize(
    ("model", "credits"),
    [
        ("native", [("O1", "M1", 100.0), ("O2", "M1", 50.0), ("O3", "", 40.0), ("O4", "FM1", 30.0)]),
        ("last_touch", [("O1", "M1", 100.0), ("O2", "M1", 50.0), ("O3", "T1", 40.0), ("O4", "FM1", 30.0)]),
        ("last_click", [("O1", "M1", 100.0), ("O2", "M1", 50.0), ("O3", "T1", 40.0), ("O4", "FM1", 30.0)]),
        ("first_touch", [("O1", "M1", 100.0), ("O2", "M1", 50.0), ("O3", "M1", 40.0), ("O4", "FM1", 30.0)]),
        ("linear", [("O1", "M1", 100.0), ("O2", "M1", 50.0), ("O3", "M1", 20.0), ("O3", "T1", 20.0), ("O4", "FM1", 30.0)]),
    ],
)
def test_attribution_models(rows: Rows, model: str, credits: list[tuple[str, str, float]]) -> None:
    found = rows(
        f"SELECT order_event_id, message_id, value FROM attribution_comparison WHERE model = '{model}' AND order_event_id < 'O5' ORDER BY ALL"
    )
    assert found == credits
    assert rows(
        f"SELECT order_event_id, message_id, kind FROM attribution_comparison WHERE model = '{model}' AND order_event_id >= 'O5' ORDER BY ALL"
    ) == [
        ("O5", "", None),
        ("O6", "", None),
    ]


def test_which_touch_gets_the_credit(rows: Rows) -> None:
    """O2 was placed a day after the second open, two days after the clicks."""
    assert rows("SELECT model, touch_event_id FROM attribution_comparison WHERE order_event_id = 'O2' ORDER BY ALL") == [
        ("first_touch", "o1"),
        ("last_click", "k2"),
        ("last_touch", "o2"),
        ("linear", "o1"),
        ("native", "o2"),
    ]


def test_customers(rows: Rows) -> None:
    assert rows("SELECT profile_id, orders, currency, value, days_since_last_order, rfm, tier, engagement FROM profile_lifetime ORDER BY ALL") == [
        ("P1", 3, "USD", 140.0, 14, "155", "at_risk", "active_30"),
        ("P2", 0, None, 0.0, None, None, "prospect", "never"),
        ("P3", 0, None, 0.0, None, None, "prospect", "active_30"),
        ("P4", 0, None, 0.0, None, None, "prospect", "no_messages"),
        ("P5", 2, "USD", 50.0, 0, "511", "promising", "active_30"),
        ("P6", 0, None, 0.0, None, None, "prospect", "no_messages"),
    ]


def test_cohorts(rows: Rows) -> None:
    assert rows(
        "SELECT cohort_month, months_later, cohort_size, customers, retention, orders_so_far, value, is_complete FROM cohort_retention ORDER BY ALL"
    ) == [
        (date(2026, 2, 1), 0, 1, 1, 1.0, 1, 30.0, True),
        (date(2026, 2, 1), 1, 1, 1, 1.0, 2, 20.0, False),
        (date(2026, 3, 1), 0, 1, 1, 1.0, 3, 140.0, False),
    ]


def test_checkouts(rows: Rows) -> None:
    assert rows("SELECT event_id, outcome, order_event_id, flow_id, message_id FROM checkout_recovery ORDER BY ALL") == [
        ("c1", "replaced", None, None, None),
        ("c1b", "direct", "O3", None, None),
        ("c2", "abandoned", None, None, None),
        ("c3", "open", None, None, None),
        ("c5", "recovered", "O4", "F1", "FM1"),
    ]


def checkout(id: str, at: str) -> Row:
    return event(id, "checkout", "P1", f"2026-{at}", value=40, currency="USD")


def clicked(at: str, flow: bool = True) -> Row:
    return event("click", "clicked", "P1", f"2026-{at}", **(FM1 if flow else {"message_id": "M1"}))


def ordered(id: str, at: str, flow: bool | None = None) -> Row:
    """Return an order that Klaviyo attributes to the click of the flow or the campaign, or to nothing."""
    credit = {None: {}, True: {"attributed_message_id": "FM1", "attributed_flow_id": "F1"}, False: {"attributed_message_id": "M1"}}[flow]
    touch = {"attributed_event_id": "click"} if credit else {}
    return event(id, "order", "P1", f"2026-{at}", value=40, currency="USD", event_key=id, **credit, **touch)


@pytest.mark.parametrize(
    ("events", "outcomes"),
    [
        pytest.param(
            (checkout("a", "03-01 10:00:00"), clicked("03-01 11:00:00"), checkout("b", "03-01 11:05:00"), ordered("O", "03-01 11:06:00", flow=True)),
            [("a", "replaced", None, None), ("b", "recovered", "O", "F1")],
            id="comes back by a click and starts another checkout",
        ),
        pytest.param(
            (checkout("a", "03-01 10:00:00"), clicked("03-01 11:00:00"), checkout("b", "03-01 11:05:00"), ordered("O", "03-01 11:05:00", flow=True)),
            [("a", "replaced", None, None), ("b", "recovered", "O", "F1")],
            id="the checkout and the order at one instant",
        ),
        pytest.param(
            (clicked("03-01 09:00:00"), checkout("a", "03-01 10:00:00"), checkout("b", "03-01 11:05:00"), ordered("O", "03-01 11:06:00", flow=True)),
            [("a", "replaced", None, None), ("b", "direct", "O", None)],
            id="clicked before the first checkout",
        ),
        pytest.param(
            (
                *(checkout("a", "03-01 10:00:00"), ordered("O", "03-01 10:01:00")),
                *(clicked("03-02 11:00:00"), checkout("b", "03-02 11:05:00"), ordered("P", "03-02 11:06:00", flow=True)),
            ),
            [("a", "direct", "O", None), ("b", "direct", "P", None)],
            id="the checkout before the click belongs to an earlier order",
        ),
        pytest.param(
            (
                *(checkout("a", "03-01 10:00:00"), checkout("b", "03-05 10:00:00"), clicked("03-05 09:00:00")),
                ordered("O", "03-09 10:00:00", flow=True),
            ),
            [("a", "replaced", None, None), ("b", "direct", "O", None)],
            id="the checkout before the click is more than 7 days older than the order",
        ),
        pytest.param(
            (
                checkout("a", "03-01 10:00:00"),
                clicked("03-01 11:00:00", flow=False),
                checkout("b", "03-01 11:05:00"),
                ordered("O", "03-01 11:06:00", False),
            ),
            [("a", "replaced", None, None), ("b", "direct", "O", None)],
            id="a campaign has the credit",
        ),
    ],
)
def test_checkouts_before_an_order_are_one_attempt(tmp_path: Path, events: tuple[Row, ...], outcomes: list[tuple[str | None, ...]]) -> None:
    warehouse, _ = build_shop(tmp_path, events, names=["checkout_recovery"])

    assert select(warehouse, "SELECT event_id, outcome, order_event_id, flow_id FROM checkout_recovery ORDER BY ALL") == outcomes


def test_products(rows: Rows) -> None:
    assert rows(
        "SELECT product_id, orders, buyers, quantity, value, refunded_quantity, views, viewers, carts, purchase_rate, reviews, average_rating, "
        "catalog_item_id IS NOT NULL FROM product_performance ORDER BY ALL"
    ) == [
        ("glove", 2, 1, 2, 20.0, 0, 0, 0, 0, None, 0, None, False),
        ("hat", 4, 2, 5, 40.0, 1, 3, 2, 1, 1.0, 2, 3.5, True),
        ("scarf", 2, 1, 2, 20.0, 0, 0, 0, 0, None, 0, None, False),
    ]
    assert rows("SELECT value_by_currency FROM product_performance WHERE product_id = 'hat'") == [({"EUR": 10.0, "USD": 40.0},)]


def test_products_ordered_together(rows: Rows) -> None:
    """Hat and scarf are together in 2 of 6 orders; 4 orders have a hat, 2 a scarf."""
    assert rows("SELECT product_a, product_b, orders_together, support, confidence_b_given_a, confidence_a_given_b, lift FROM product_pairs") == [
        ("hat", "scarf", 2, pytest.approx(1 / 3), 0.5, 1.0, pytest.approx(1.5))
    ]

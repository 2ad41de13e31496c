"""Messages by day: their orders are those of the performance marts, however Klaviyo names the message."""

from pathlib import Path
from typing import Any

import pytest

from klaviyo_assets.marts.library import read_models
from klaviyo_assets_tests.marts.conftest import select
from klaviyo_assets_tests.marts.shop import TABLES, event, open_shop
from klaviyo_assets_tests.marts.stored import KeptOpen, StoredAccount

pytestmark = [pytest.mark.duckdb, pytest.mark.long]

MARTS = ("message_daily", "message_performance")


@pytest.fixture
def account(tmp_path: Path) -> StoredAccount:
    found = StoredAccount(KeptOpen(tmp_path / "shop.duckdb"), *TABLES)
    open_shop(found)
    return found


def orders_by_day(account: StoredAccount) -> dict[tuple[str, str], tuple[int, float]]:
    """Return orders and value by message and currency, over all days."""
    sums: dict[tuple[str, str], tuple[int, float]] = {}
    for message, currency, orders, value in select(
        account.warehouse, "SELECT message_id, currency, events, value FROM message_daily WHERE activity = 'ordered'"
    ):
        before = sums.get((message, currency), (0, 0.0))
        sums[message, currency] = (before[0] + orders, before[1] + value)
    return sums


def value_by_currency(account: StoredAccount) -> dict[tuple[str, str], float]:
    """Return the value of each message's orders by currency, as the performance marts have it."""
    sums: dict[tuple[str, str], float] = {}
    for message, values in select(
        account.warehouse, "SELECT message_id, conversion_value_by_currency FROM message_performance WHERE conversions > 0"
    ):
        for currency, value in values.items():
            sums[message, currency] = sums.get((message, currency), 0.0) + value
    return sums


def order(id: str, hours: float, value: float = 10.0, **columns: Any) -> dict[str, Any]:
    return event(id, "order", hours, **{"currency": "EUR", "value": value, **columns})


def test_orders_by_day_add_up_to_those_of_the_messages(account: StoredAccount) -> None:
    account.sync(
        {
            "events": [
                event("r1", "received", 301, message_id="m1"),
                event("t1", "opened", 300, message_id="m1"),
                event("r2", "received", 201, message_id="m2", flow_id="f2"),
                event("t2", "clicked", 200, message_id="m2", flow_id="f2"),
                order("names_the_message", 100, attributed_message_id="m1"),
                order("names_the_open", 90, 20.0, attributed_event_id="t1"),
                order("names_the_click", 80, 40.0, attributed_event_id="t2"),
                order("in_dollars", 70, 5.0, attributed_event_id="t1", currency="USD"),
                order("names_the_open_in_a_property", 60, 80.0, properties={"$attribution": {"$attributed_event_id": "t1"}}),
                order("not_attributed", 50),
            ]
        }
    )
    account.build(read_models(), MARTS)

    assert orders_by_day(account) == {("m1", "EUR"): (3, 110.0), ("m1", "USD"): (1, 5.0), ("m2", "EUR"): (1, 40.0)}
    assert value_by_currency(account) == {key: value for key, (_, value) in orders_by_day(account).items()}
    assert select(account.warehouse, "SELECT flow_id FROM message_daily WHERE message_id = 'm2' AND activity = 'ordered'") == [("f2",)]


def test_orders_that_are_attributed_later_count_on_the_day_of_the_order(account: StoredAccount) -> None:
    account.sync({"events": [event("t1", "opened", 300, message_id="m1"), order("o1", 100, attributed_message_id="m1"), order("o2", 99)]})
    account.build(read_models(), MARTS)
    account.sync({"events": [order("o2", 99, attributed_event_id="t1"), order("o3", 98, attributed_event_id="t2")]})
    account.build(read_models(), MARTS)

    assert orders_by_day(account) == {("m1", "EUR"): (2, 20.0)}

    # The click that the third order names is read last, and is of a day that has been built.
    account.sync({"events": [event("t2", "clicked", 299, message_id="m1")]})
    account.build(read_models(), MARTS)

    assert orders_by_day(account) == {("m1", "EUR"): (3, 30.0)}
    assert value_by_currency(account) == {("m1", "EUR"): 30.0}

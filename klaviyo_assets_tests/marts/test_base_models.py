"""The dimensions and facts, on a shop that is small enough to count by hand."""

import random
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from klaviyo_assets.marts.library import Models, read_models
from klaviyo_assets.marts.results import Outcome
from klaviyo_assets_tests.marts.shop import METRICS, TABLES, event, metric_rows, open_shop
from klaviyo_assets_tests.marts.stored import START, KeptOpen, StoredAccount

pytestmark = pytest.mark.duckdb

FACTS = ["fct_orders", "fct_order_items", "fct_message_profile"]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    warehouse = KeptOpen(folder / "shop.duckdb")
    open_shop(StoredAccount(warehouse, *TABLES))
    warehouse.close()
    return folder / "shop.duckdb"


@pytest.fixture
def account(prepared: Path, tmp_path: Path) -> StoredAccount:
    shutil.copy(prepared, tmp_path / "shop.duckdb")
    found = StoredAccount(KeptOpen(tmp_path / "shop.duckdb"))
    found.now += timedelta(hours=1)
    return found


@pytest.fixture(scope="module")
def models() -> Models:
    return read_models()


def columns(account: StoredAccount, model: str, names: str) -> dict[Any, Any]:
    """Return values of a model by its first column; a single value alone, several as a tuple."""
    rows = account.rows(model, names)
    return {row[0]: row[1] if len(row) == 2 else row[1:] for row in rows}


@pytest.mark.long
def test_roles_follow_the_names_where_klaviyo_maps_nothing(account: StoredAccount, models: Models) -> None:
    account.build(models, ["dim_metric"])

    assert columns(account, "dim_metric", "metric_id, role, channel") == {
        "order": ("revenue", None),
        "order_of_api": (None, None),  # the shop's own metric counts, not both
        "product": ("ordered_product", None),
        "refund": ("refunded_sales", None),
        "received": ("received", "email"),
        "opened": ("opened", "email"),
        "clicked": ("clicked", "email"),
        "bounced": ("bounced", "email"),
        "unsubscribed": ("unsubscribed", "email"),  # the name of earlier years
        "received_sms": ("received", "sms"),
        "clicked_sms": ("clicked", "sms"),
        "imported_open": (None, None),  # Klaviyo's own metric has that name too
        "visit": ("active_on_site", None),
    }


def test_roles_follow_klaviyos_mapping(account: StoredAccount, models: Models) -> None:
    account.sync({"mapped_metrics": [{"id": "revenue", "metric_id": "order_of_api"}, {"id": "viewed_product", "metric_id": None}]})
    account.build(models, ["dim_metric"])

    found = columns(account, "dim_metric", "metric_id, role, is_mapped")
    assert (found["order_of_api"], found["order"], found["product"]) == (("revenue", True), (None, False), ("ordered_product", False))


def test_messages_have_what_they_belong_to(account: StoredAccount, models: Models) -> None:
    sent = START - timedelta(days=2)
    account.sync(
        {
            "tags": [{"id": "t2", "name": "sale"}, {"id": "t1", "name": "big"}],
            "campaigns": [
                {
                    "id": "c1",
                    "name": "Sale",
                    "channel": "email",
                    "status": "Sent",
                    "send_time": sent,
                    "campaign_message_ids": ["m1"],
                    "tag_ids": ["t2", "t1"],
                },
                {"id": "c2", "name": "Push", "channel": "mobile_push", "send_time": START + timedelta(days=9), "campaign_message_ids": ["m2"]},
                {"id": "c3", "name": "Old", "channel": "email", "send_time": sent},
            ],
            "campaign_messages": [{"id": "m1", "campaign_id": "c1", "channel": "email", "label": "First", "subject": "Hello"}],
            "flows": [{"id": "f1", "name": "Welcome"}],
            "flow_messages": [{"id": "m4", "flow_id": "f1", "name": "Second mail", "channel": "email", "position": 2}],
            "events": [
                event("e1", "received", 5, message_id="c3"),
                event("e2", "received", 5, message_id="m5", flow_id="f1", properties={"Campaign Name": "Gone mail", "Subject": "Hi"}),
                event("e3", "received", 7, message_id="m6", properties={"Campaign Name": "Gone campaign"}),
                event("e4", "visit", 7, message_id="no message"),
            ],
        }
    )
    account.build(models, ["dim_message"])

    found = columns(account, "dim_message", "message_id, kind, channel, parent_id, parent_name, message_name, subject, tags, only_in_events")
    assert found == {
        "m1": ("campaign", "email", "c1", "Sale", "First", "Hello", ["big", "sale"], False),
        "m2": ("campaign", "push", "c2", "Push", None, None, None, False),
        "c3": ("campaign", "email", "c3", "Old", None, None, None, False),
        "m4": ("flow", "email", "f1", "Welcome", "Second mail", None, None, False),
        "m5": ("flow", "email", "f1", "Welcome", "Gone mail", "Hi", None, True),
        "m6": ("campaign", "email", None, "Gone campaign", None, None, None, True),
    }
    at = columns(account, "dim_message", "message_id, sent_at")
    assert at == {"m1": sent, "m2": None, "c3": sent, "m4": None, "m5": None, "m6": START - timedelta(hours=7)}


def test_profiles_have_no_address(account: StoredAccount, models: Models) -> None:
    late = START.replace(hour=23, minute=30)
    profile = {"id": "ann", "email": "ann@example.com", "created": late, "location_country": "Denmark", "can_receive_email_marketing": True}
    account.sync({"profiles": [{**profile, "properties": {"$source": 7}}, {"id": "gone", "_deleted_at": START}]})
    account.build(models, ["dim_profile"])

    found = columns(account, "dim_profile", "profile_id, created_day, country, can_receive_email, source")
    assert found == {"ann": (late.date() + timedelta(days=1), "Denmark", True, "7")}
    assert "email" not in models["dim_profile"].header.columns


@pytest.mark.long
def test_orders_are_numbered_refunded_and_in_their_currency(account: StoredAccount, models: Models) -> None:
    account.sync(
        {
            "events": [
                event("o1", "order", 60, value=10.0, currency="USD", event_key="1", properties={"Discount Codes": ["TEN", ""]}),
                event("o2", "order", 12.5, value=20.0, event_key="2", properties={"Discount Codes": "ONE"}),
                event("o3", "order", 12, "bob", value=30.0, event_key="3", properties={"Discount Codes": [{"code": "OBJECT"}]}),
                event("o4", "order", 12, None, value=40.0, event_key="4"),
                event("x1", "order_of_api", 12, value=40.0, event_key="4"),
                event("r1", "refund", 1, value=4.0, event_key="1"),
                event("r2", "refund", 1, value=5.0, event_key="1"),
                event("r3", "refund", 1, "bob", value=5.0, event_key="1"),
                event("later", "order", -48, value=1.0),
            ]
        }
    )
    account.build(models, FACTS)

    assert columns(account, "fct_orders", "event_id, currency, nth_order, days_since_previous, refunded, refunded_value, discount_codes") == {
        "o1": ("USD", 1, None, True, 9.0, ["TEN"]),
        "o2": ("EUR", 2, 2, False, None, ["ONE"]),
        "o3": ("EUR", 1, None, False, None, ["OBJECT"]),
        "o4": ("EUR", None, None, False, None, None),
    }


def test_a_refund_of_a_cancelled_order_counts_once(account: StoredAccount, models: Models) -> None:
    account.sync(
        {
            "metrics": [*metric_rows(), {"id": "cancel", "name": "Cancelled Order", "created": START}],
            "events": [
                *(event(f"o{key}", "order", 9, value=100.95, event_key=key) for key in "12345"),
                event("c1", "cancel", 2, value=100.95, event_key="1"),
                event("r1", "refund", 1, value=100.95, event_key="1"),
                event("c2", "cancel", 2, value=100.95, event_key="2"),
                event("r3", "refund", 2, value=80.0, event_key="3"),
                event("r4", "refund", 1, value=80.0, event_key="3"),
                event("r5", "refund", 1, event_key="5"),
            ],
        }
    )
    account.build(models, FACTS)

    assert columns(account, "fct_orders", "event_id, refunded, refunded_value") == {
        "o1": (True, 100.95),
        "o2": (True, 100.95),
        "o3": (True, 100.95),
        "o4": (False, None),
        "o5": (True, None),
    }


def test_native_attribution_is_what_klaviyo_says(account: StoredAccount, models: Models) -> None:
    account.sync(
        {
            "events": [
                event("t1", "opened", 300, message_id="m1", variation_id="v1", flow_id="f1"),
                event("o1", "order", 4, attributed_event_id="t1", attributed_message_id="m1"),
                event("o2", "order", 3, attributed_message_id="m2", attributed_channel="sms", attributed_campaign_id="c2"),
                event("o3", "order", 2, attributed_message_id="m3", properties={"$attribution": {"$message": "m3", "$flow": "f3"}}),
                event("o4", "order", 1),
                event("o5", "order", 1, properties={"$attribution": {"$attributed_event_id": "t1"}}),
                event("o6", "order", 1, attributed_message_id="m4", properties={"$attribution": {"$attributed_channel": "sms"}}),
            ]
        }
    )
    account.build(models, FACTS)

    names = (
        "event_id, attributed_message_id, attributed_flow_id, attributed_campaign_id, attributed_variation_id, attributed_channel, attributed_kind"
    )
    assert columns(account, "fct_orders", names) == {
        "o1": ("m1", "f1", None, "v1", "email", "flow"),
        "o2": ("m2", None, "c2", None, "sms", "campaign"),
        "o3": ("m3", "f3", None, None, None, "flow"),
        "o4": (None, None, None, None, None, None),
        "o5": ("m1", "f1", None, "v1", "email", "flow"),
        "o6": ("m4", None, None, None, "sms", "campaign"),
    }
    assert columns(account, "fct_message_profile", "message_id, conversions, variation_id")["m1"] == (2, "v1")


def test_attribution_by_window_is_the_last_touch_in_its_window(account: StoredAccount, models: Models) -> None:
    hours = {"mail": 100, "sms": 50, "late": 250, "both": 400, "same": 500, "machine": 700}
    orders = [event(name, "order", at, name) for name, at in hours.items()]
    touches = [
        event("1", "opened", 100 + 119, "mail", message_id="m1"),
        event("2", "clicked_sms", 50 + 23, "sms", message_id="m2", flow_id="f2"),
        event("3", "clicked", 250 + 121, "late", message_id="m1"),
        # The last touch is outside of its window, the one before it is not.
        event("4", "clicked_sms", 400 + 30, "both", message_id="m2"),
        event("5", "clicked", 400 + 40, "both", message_id="m3"),
        # At the instant of the order is not before it.
        event("6", "opened", 500, "same", message_id="m1"),
        event("7", "opened", 700 + 1, "machine", message_id="m1", machine_open=True),
        event("8", "imported_open", 100 + 1, "mail", message_id="m9"),
    ]
    account.sync({"events": [*orders, *touches]})
    account.build(models, FACTS)

    assert columns(account, "fct_orders", "event_id, window_event_id, window_message_id, window_channel, window_touch, window_kind") == {
        "mail": ("1", "m1", "email", "opened", "campaign"),
        "sms": ("2", "m2", "sms", "clicked", "flow"),
        "late": (None, None, None, None, None),
        "both": ("5", "m3", "email", "clicked", "campaign"),
        "same": (None, None, None, None, None),
        "machine": (None, None, None, None, None),
    }


def test_lines_come_from_the_order_or_else_from_events_of_products(account: StoredAccount, models: Models) -> None:
    shirt = {"ProductID": "p1", "SKU": "s1", "ProductName": "Shirt", "Quantity": 2, "ItemPrice": "5.00", "Categories": ["x", "y"]}
    sock = {"ProductID": 7, "Quantity": "3", "RowTotal": 6}
    account.sync(
        {
            "events": [
                event("o1", "order", 9, currency="USD", properties={"Items": [shirt, sock]}),
                event("p1", "product", 9, properties=shirt),  # the same lines again
                event("o2", "order", 8, properties={"Items": "none"}),
                event("p2", "product", 8, properties={**sock, "$value": 6}),
                event("p3", "product", 7, properties=shirt),  # no order in this second
            ]
        }
    )
    account.build(models, FACTS)

    names = "event_id || line, order_event_id, source, product_id, quantity, price, amount, currency, categories"
    assert columns(account, "fct_order_items", names) == {
        "o11": ("o1", "order", "p1", 2.0, 5.0, 10.0, "USD", ["x", "y"]),
        "o12": ("o1", "order", "7", 3.0, 2.0, 6.0, "USD", None),
        "p21": ("o2", "ordered_product", "7", 3.0, 2.0, 6.0, "EUR", None),
        "p31": (None, "ordered_product", "p1", 2.0, 5.0, 10.0, "EUR", ["x", "y"]),
    }


def test_a_person_and_a_message(account: StoredAccount, models: Models) -> None:
    account.sync(
        {
            "events": [
                event("1", "received", 9, message_id="m1"),
                event("2", "opened", 8, message_id="m1", machine_open=True),
                event("3", "opened", 7, message_id="m1", machine_open=False),
                event("4", "clicked", 6, message_id="m1"),
                event("5", "unsubscribed", 5, message_id="m1"),
                event("6", "bounced", 9, "bob", message_id="m1", variation_id="v1"),
                event("7", "order", 4, value=10.0, currency="USD", attributed_message_id="m1"),
                event("8", "order", 3, value=20.0, attributed_message_id="m1"),
                event("9", "order", 3, "eve", value=20.0, attributed_message_id="m1"),
                event("a", "visit", 3, message_id="m1"),
            ]
        }
    )
    account.build(models, FACTS)

    counts = "profile_id, variation_id, delivered, bounces, opens, human_opens, machine_opens, clicks, unsubscribes, conversions, converted_value"
    assert columns(account, "fct_message_profile", counts) == {
        "ann": ("", 1, 0, 2, 1, 1, 1, 1, 2, {"EUR": 20.0, "USD": 10.0}),
        "bob": ("v1", 0, 1, 0, 0, 0, 0, 0, 0, None),
        "eve": ("", 0, 0, 0, 0, 0, 0, 0, 1, {"EUR": 20.0}),
    }
    times = columns(account, "fct_message_profile", "profile_id, sent_at, first_opened_at, first_human_opened_at")
    assert times["ann"] == tuple(START - timedelta(hours=hours) for hours in (9, 8, 7))
    assert times["bob"] == (START - timedelta(hours=9), None, None)


def random_event(rng: random.Random, id_: str, profiles: int) -> dict[str, Any]:
    metric = rng.choice([*METRICS, "order", "opened", "product"])
    profile = rng.choice([None, *(f"p{number}" for number in range(profiles))])
    items = [{"ProductID": rng.randrange(5), "Quantity": 1, "ItemPrice": 2}] * rng.randrange(3)
    found = event(id_, metric, rng.randrange(-30, 24 * 20), profile, {"Items": items} if items else {}, event_key=str(rng.randrange(40)))
    if metric in ("order", "refund"):
        return found | {"value": float(rng.randrange(50)), "currency": rng.choice([None, "USD"]), "attributed_message_id": rng.choice([None, "m1"])}
    return found | {"message_id": rng.choice("abc"), "machine_open": rng.choice([None, True, False]), "variation_id": rng.choice([None, "v"])}


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.long)])
def test_facts_are_the_same_updated_or_rebuilt(account: StoredAccount, models: Models, seed: int) -> None:
    rng, profiles = random.Random(seed), 30
    account.sync({"events": [random_event(rng, f"{number:04}", profiles) for number in range(200)]})
    account.build(models, FACTS)
    outcomes: set[Outcome] = set()
    for step in range(5):
        ids = [f"{rng.randrange(200):04}" for _ in range(2)] + [f"new{step}"]
        account.sync({"events": [random_event(rng, id_, profiles) for id_ in ids]})
        if step == 2:
            account.execute(f"UPDATE events SET _deleted_at = _synced_at WHERE id = '{ids[0]}'")
            account.execute("DELETE FROM events WHERE profile_id = 'p3'")
        if step == 3:
            account.sync({"metrics": [row | {"name": "Placed Order"} for row in metric_rows() if row["id"] == "visit"]})
        account.now += timedelta(hours=8)
        results = account.build(models, FACTS)
        outcomes |= {results[name].outcome for name in FACTS}
        for name, (built, computed) in account.built_and_computed(models, ["metric_roles", *FACTS]).items():
            assert built == computed, f"{name} was {results[name].outcome} in step {step}"
    assert Outcome.UPDATED in outcomes

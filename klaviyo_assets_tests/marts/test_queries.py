"""The answers of docs/queries.md for the sandbox's account, against what the sandbox itself knows of its shop."""

import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from klaviyo_assets.marts.library import read_models
from klaviyo_assets.marts.mart_runner import MartRunner
from klaviyo_assets_tests.accounts import local_file
from klaviyo_assets_tests.marts.answers import Answers, total
from klaviyo_assets_tests.marts.conftest import select
from klaviyo_assets_tests.marts.small_shop import SCHEMA

pytestmark = pytest.mark.long


def test_campaigns(answers: Answers) -> None:
    expected = sorted(
        (one["recipients"], one["delivered"], one["unsubscribe_uniques"], one["conversions"], one["conversion_value"].get("EUR", 0))
        for one in answers.messages("campaign")
    )
    columns = ("recipients", "delivered", "unsubscribe_uniques", "conversions", "conversion_value")

    assert sorted(tuple(row[name] for name in columns) for row in answers.rows("1")) == expected
    rates = sorted(
        one["human_opens_unique"] / one["delivered"] for one in answers.messages("campaign") if one["delivered"] and one["channel"] != "sms"
    )
    assert sorted(row["open_rate"] for row in answers.rows("1") if row["open_rate"] is not None) == pytest.approx(rates, abs=0.0006)


def by_currency(maps: Iterable[dict[str, float] | None]) -> dict[str, float]:
    """Return the sums of values by currency; the sandbox's shop sells in two."""
    found = Counter[str]()
    for one in maps:
        found.update(one or {})
    return {currency: round(value, 2) for currency, value in found.items() if value}


def test_no_currency_is_hidden(answers: Answers) -> None:
    campaigns, flows = answers.messages("campaign"), answers.messages("flow")
    tags = dict(select(answers.warehouse, "SELECT id, len(tag_ids) FROM campaigns WHERE tag_ids IS NOT NULL"))
    truth = {
        ("1", "conversion_value_by_currency"): [one["conversion_value"] for one in campaigns],
        ("2", "conversion_value_by_currency"): [one["conversion_value"] for one in flows if one["variation_id"]],
        ("3", "revenue_by_currency"): [one["conversion_value"] for one in flows],
        ("7", "revenue_by_currency"): [one["conversion_value"] for one in campaigns for _ in range(tags.get(one["campaign_id"], 0))],
        ("9", "revenue_by_currency"): [one["conversion_value"] for one in campaigns],
        ("10", "conversion_value_by_currency"): [one["conversion_value"] for one in campaigns if one["channel"] == "sms"],
        ("16", "value_by_currency"): [{one["currency"]: amount} for one, amount in sold(answers)],
    }
    found = {(number, column): by_currency(row[column] for row in answers.rows(number)) for number, column in truth}

    assert found == {key: pytest.approx(by_currency(maps), abs=0.02) for key, maps in truth.items()}
    assert len(found["1", "conversion_value_by_currency"]) == len(found["16", "value_by_currency"]) == 2


def sold(answers: Answers) -> Iterator[tuple[dict[str, Any], float]]:
    """Yield the lines of all orders: the order, and the line's amount."""
    for one in answers.records("events"):
        if order := answers.shop["orders"].get(one["id"]):
            for item in one["attributes"]["event_properties"].get("Items", ()):
                yield order, item.get("RowTotal", item["ItemPrice"] * item["Quantity"])


def test_variations(answers: Answers) -> None:
    columns = ("delivered", "conversions")
    expected = {one["variation_id"]: {name: one[name] for name in columns} for one in answers.messages("flow") if one["variation_id"]}
    found = {one: {name: total(answers.rows("2"), name, variation_id=one) for name in columns} for one in answers.values("2", "variation_id")}

    assert found == expected
    assert len(found) > 1


def test_flow_messages(answers: Answers) -> None:
    for column in ("delivered", "conversions"):
        assert total(answers.rows("3"), column) == sum(one[column] for one in answers.messages("flow"))


def test_attributed_revenue(answers: Answers) -> None:
    rows, totals = answers.rows("4"), answers.shop["totals"]

    for currency, value in totals["value"].items():
        assert total(rows, "revenue", currency=currency) == pytest.approx(value)
        attributed = total(rows, "by_campaigns", currency=currency) + total(rows, "by_flows", currency=currency)
        assert attributed == pytest.approx(totals["attributed_value"].get(currency, 0))
        assert attributed == pytest.approx(total(rows, "by_email", currency=currency) + total(rows, "by_sms", currency=currency))


def test_attributed_revenue_is_the_same_in_all_marts(answers: Answers) -> None:
    truth = Counter[tuple[str, str]]()
    for one in answers.shop["messages"]:
        for currency, value in one["conversion_value"].items():
            truth[one["message_id"], currency] += value
    by_day = select(
        answers.warehouse, "SELECT message_id, currency, sum(value), sum(events) FROM message_daily WHERE activity = 'ordered' GROUP BY ALL"
    )

    assert {(message, currency): value for message, currency, value, _ in by_day} == pytest.approx(truth)
    assert sum(orders for *_, orders in by_day) == answers.shop["totals"]["attributed_orders"]
    assert select(answers.warehouse, "SELECT sum(conversions) FROM message_performance") == [(answers.shop["totals"]["attributed_orders"],)]


def test_models_of_attribution(answers: Answers) -> None:
    """The sandbox attributes to the last touch within the window, as Klaviyo does by default."""
    rows, totals = answers.rows("5"), answers.shop["totals"]
    by_model = {model: [row for row in rows if row["model"] == model] for model in ("native", "last_touch", "last_click", "first_touch", "linear")}

    assert by_model["native"] == [{**row, "model": "native"} for row in by_model["last_touch"]]
    assert total(by_model["native"], "orders") - total(by_model["native"], "orders", channel="none") == totals["attributed_orders"]
    for model in by_model.values():
        assert total(model, "orders") == pytest.approx(totals["orders"], abs=1)
        for currency, value in totals["value"].items():
            assert total(model, "revenue", currency=currency) == pytest.approx(value, abs=0.05)


def test_inboxes(answers: Answers) -> None:
    rows, mails = answers.rows("6"), [one for one in answers.shop["messages"] if one["channel"] == "email"]

    for column, statistic in (("delivered", "delivered"), ("bounced", "bounced"), ("spam", "spam_complaints")):
        assert total(rows, column) == sum(one[statistic] for one in mails)


def test_tags_and_subjects_and_hours(answers: Answers) -> None:
    campaigns = answers.messages("campaign")
    delivered = {one["campaign_id"]: 0 for one in campaigns}
    for one in campaigns:
        delivered[one["campaign_id"]] += one["delivered"]
    tagged = select(answers.warehouse, "SELECT id, len(tag_ids) FROM campaigns")

    assert total(answers.rows("7"), "delivered") == sum((count or 0) * delivered.get(id, 0) for id, count in tagged)
    assert total(answers.rows("8"), "delivered") == sum(one["delivered"] for one in campaigns if one["channel"] == "email")
    by_hour = Counter[int]()
    for one in campaigns:
        by_hour[answers.day(one["sent_at"]).hour] += one["delivered"]
    assert {row["hour"]: row["delivered"] for row in answers.rows("9")} == by_hour


def test_text_messages(answers: Answers) -> None:
    """Their costs are those of Klaviyo's report."""
    rows = answers.rows("10")

    assert len(rows) == len([one for one in answers.messages("campaign") if one["channel"] == "sms"])
    assert (
        total(rows, "spend")
        == select(answers.warehouse, "SELECT round(coalesce(sum(text_message_spend), 0), 2) FROM campaign_report WHERE send_channel = 'sms'")[0][0]
    )


def test_equal_to_klaviyo(answers: Answers) -> None:
    rows = answers.rows("11")

    assert {(row["kind"], row["span"]) for row in rows} == {("campaign", "year"), ("flow", "year"), ("flow", "month")}
    assert [row for row in rows if row["different"]] == []


def test_cohorts(answers: Answers) -> None:
    cohorts = answers.shop["cohorts"]
    for row in answers.rows("12"):
        cohort = cohorts[row["cohort_month"].strftime("%Y-%m")]
        assert row["cohort_size"] == cohort["0"]
        for later in (1, 2, 3, 6):
            if row[f"month_{later}"] is not None:
                assert row[f"month_{later}"] == pytest.approx(round(cohort.get(str(later), 0) / cohort["0"], 3))


def test_customers(answers: Answers) -> None:
    customers = answers.shop["customers"].values()
    ((row),) = answers.rows("13")

    assert (row["customers"], row["ordered_again"]) == (len(customers), sum(one["orders"] > 1 for one in customers))
    assert total(answers.rows("14"), "customers") == total(answers.rows("15"), "customers") == len(customers)


def test_products(answers: Answers) -> None:
    sold = Counter[str]()
    for one in answers.records("events"):
        if one["id"] in answers.shop["orders"]:
            for item in one["attributes"]["event_properties"].get("Items", ()):
                sold[item["ProductName"]] += item["Quantity"]

    found = Counter[str]()
    for row in answers.rows("16"):
        found[row["product_name"]] += row["quantity"]
    assert +found == sold
    assert answers.rows("16b")
    ratings = [one["attributes"]["rating"] for one in answers.records("reviews") if one["attributes"]["rating"] is not None]
    assert total(answers.rows("18"), "reviews") == len(ratings)


def test_checkouts(answers: Answers) -> None:
    rows = select(answers.warehouse, "SELECT outcome, count(*) FROM checkout_recovery GROUP BY ALL")

    assert sum(count for _, count in rows) == len(answers.events("checkout_started"))
    assert total(answers.rows("17"), "checkouts") == sum(count for outcome, count in rows if outcome != "replaced")


def test_discounts(answers: Answers) -> None:
    codes = Counter(code for one in answers.shop["orders"].values() for code in one["codes"])

    assert total(answers.rows("19"), "orders") == codes.total()


def test_lists(answers: Answers) -> None:
    rows = answers.rows("20")
    for column, role in (("joined", "subscribed_list"), ("left_list", "unsubscribed_list")):
        assert total(rows, column) == len(answers.events(role))
    members: dict[str, set[str]] = {}
    for one in answers.records("list_members"):
        members.setdefault(one["meta"]["list_id"], set()).add(one["id"])
    assert sorted(row["members"] for row in answers.rows("21") if row["members"]) == sorted(len(one) for one in members.values())
    both = sorted((len(one & other) for one, other in combinations(members.values(), 2) if one & other), reverse=True)
    assert [row["members_of_both"] for row in answers.rows("27")] == both
    assert both


def test_segments_and_forms(answers: Answers) -> None:
    """Both have the numbers of Klaviyo's reports."""
    ((added, removed),) = select(answers.warehouse, "SELECT sum(members_added), sum(members_removed) FROM segment_report_daily")
    assert (total(answers.rows("22"), "added"), total(answers.rows("22"), "removed")) == (added, removed)
    ((views, submits),) = select(answers.warehouse, "SELECT sum(viewed_form), sum(submits) FROM form_report_daily")
    assert (total(answers.rows("24"), "views"), total(answers.rows("24"), "submits")) == (views, submits)


def test_people(answers: Answers) -> None:
    profiles = answers.records("profiles")
    subscribers = Counter(one["attributes"]["subscriptions"]["email"]["marketing"]["can_receive_email_marketing"] for one in profiles)

    assert total(answers.rows("25"), "profiles", can_receive_email=True) == subscribers[True]
    assert total(answers.rows("26"), "profiles") == len(profiles)
    assert total(answers.rows("26"), "customers") == len(answers.shop["customers"])
    methods = {
        (one["attributes"]["event_properties"].get("method"), one["relationships"]["profile"].get("data", {}).get("id"))
        for one in answers.events("subscribed_email")
    }
    found = Counter({row["method"]: 0 for row in answers.rows("23") if row["channel"] == "email"})
    for row in answers.rows("23"):
        if row["channel"] == "email":
            found[row["method"]] += row["people"]
    assert {*found} == {method or "unknown" for method, _ in methods}


def test_consent(answers: Answers) -> None:
    """``consent_daily`` has the people of each day's events, and dim_profile the state that these events have led to."""
    columns = {
        "subscribed": {"email": ("subscribed_email",), "sms": ("subscribed_sms",)},
        "unsubscribed": {"email": ("unsubscribed_email", "unsubscribed_email_before"), "sms": ("unsubscribed_sms",)},
        "spam_complaints": {"email": ("marked_spam",)},
    }
    people: dict[tuple[str, str, str], set[str]] = {}
    for column, channels in columns.items():
        for channel, roles in channels.items():
            for event in (one for role in roles for one in answers.events(role)):
                who = event["relationships"]["profile"].get("data", {}).get("id") or event["id"]
                people.setdefault((str(answers.day(event["attributes"]["datetime"]).date()), channel, column), set()).add(who)
    found = {
        (str(day), channel, column): count
        for day, channel, *counts in select(answers.warehouse, f"SELECT day, channel, {', '.join(columns)} FROM consent_daily")
        for column, count in zip(columns, counts, strict=True)
        if count
    }
    assert found == {key: len(who) for key, who in people.items()}
    assert {column for _, _, column in found} >= {"subscribed", "unsubscribed"}

    left = {who for (_, channel, column), ids in people.items() if (channel, column) == ("email", "unsubscribed") for who in ids}
    stored = select(answers.warehouse, "SELECT profile_id FROM dim_profile WHERE email_consent = 'UNSUBSCRIBED'")
    assert {id for (id,) in stored} == left & {one["id"] for one in answers.records("profiles")}


def test_a_message_without_its_events_is_named(answers: Answers, tmp_path: Path) -> None:
    """The check ``equals_klaviyo`` passes on the sandbox's account (the fixture checks that), and fails if events are withheld."""
    message = max(answers.messages("campaign"), key=lambda one: one["delivered"])["message_id"]
    shutil.copy(answers.warehouse.path, tmp_path / "shop.duckdb")
    warehouse = local_file(tmp_path, "shop.duckdb")
    with warehouse.transaction() as connection:
        connection.execute(f"DELETE FROM {warehouse.qualified(SCHEMA, 'events')} WHERE message_id = ?", [message])
    now = datetime.fromisoformat(answers.shop["now"])
    results = {result.model: result for result in MartRunner(warehouse, SCHEMA, read_models()).run(["campaign_performance"], now=now)}
    (check,) = (one for one in results["campaign_performance"].checks if one.name == "equals_klaviyo")

    assert not check.passed
    assert {one["message_id"] for one in check.examples} == {message}
    assert {one["reason"] for one in check.examples} == {"no send of this message is stored: events are missing"}

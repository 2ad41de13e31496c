"""Reports of the sandbox equal what counting its events gives, by Klaviyo's definitions."""

import json
from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.catalog.report_columns import groupings_of, statistics_of
from klaviyo_assets.sandbox.generate.metric_names import Role
from klaviyo_assets.sandbox.generate.metrics import role_of_metric
from klaviyo_assets.sandbox.instants import from_micros, to_micros
from klaviyo_assets.sandbox.ledger import Fact
from klaviyo_assets.sandbox.message_counts import SendTimes
from klaviyo_assets.sandbox.options import SandboxOptions
from klaviyo_assets.sandbox.reports import report
from klaviyo_assets.sandbox.shop_truth import shop_truth
from klaviyo_assets.sandbox.state import State, begin
from klaviyo_assets_tests.sandbox.helpers import BASE

BERLIN = ZoneInfo("Europe/Berlin")

Rows = dict[tuple[str | None, ...], dict[str, Any]]


@pytest.fixture(scope="module")
def shop() -> State:
    return begin(SandboxOptions(base=BASE, events=4_000, profiles=300, campaigns=40, flows=10, lists=4, segments=3, metrics=32, reviews=5, others=6))


def results(shop: State, name: str, first: str, last: str) -> list[dict[str, dict[str, Any]]]:
    """Return the groupings and the statistics of a report's rows."""
    entry = CATALOG[name]
    facts = entry.replication.report
    assert facts is not None
    attributes: dict[str, Any] = {"statistics": statistics_of(entry), "timeframe": {"start": f"{first}T00:00:00Z", "end": f"{last}T23:59:59Z"}}
    if facts.has_group_by:
        attributes["group_by"] = groupings_of(entry)
    if facts.by_conversion_metric:
        attributes["conversion_metric_id"] = shop_truth(shop)["metrics"]["revenue"]
    if name.endswith("daily"):
        attributes["interval"] = "daily"
    body = json.dumps({"data": {"type": entry.jsonapi_type, "attributes": attributes}}).encode()
    made_up = shop.options.made_up_reports
    document = json.loads(report(shop.account.store, entry, body, "http://sandbox", {}, shop.account.settle(), made_up=made_up))
    found: list[dict[str, dict[str, Any]]] = document["data"]["attributes"]["results"]
    return found


def reported(shop: State, name: str, first: str, last: str) -> Rows:
    """Return the statistics of a report by the ids that it groups by."""
    ids = [one for one in groupings_of(CATALOG[name]) if one.endswith("_id") or one == "variation"]
    return {tuple(row["groupings"][one] for one in ids): row["statistics"] for row in results(shop, name, first, last)}


def test_campaign_reports_equal_the_truth_by_the_day_of_the_send(shop: State) -> None:
    compared = 0
    for first, last in (("2025-07-21", "2026-07-20"), ("2026-01-01", "2026-03-31")):
        rows = reported(shop, "campaign_report", first, last)
        due = {
            (one["campaign_id"], one["message_id"], None): one
            for one in shop_truth(shop)["messages"]
            if one["kind"] == "campaign" and first <= str(datetime.fromisoformat(one["sent_at"]).astimezone(BERLIN).date()) <= last
        }
        assert rows.keys() == due.keys()
        for key, truth in due.items():
            compared += truth["conversions"]
            value = sum(truth["conversion_value"].values())
            assert rows[key]["conversion_value"] == pytest.approx(value)
            assert {name: rows[key][name] for name in truth.keys() & rows[key].keys() - {"conversion_value"}} == {
                name: truth[name] for name in truth.keys() & rows[key].keys() - {"conversion_value"}
            }
            assert rows[key]["open_rate"] == pytest.approx(truth["opens_unique"] / max(1, truth["delivered"]), abs=1e-6)
    assert compared > 5


def message_names(shop: State) -> dict[str, str]:
    """Return the names of messages in the campaign report of the last year."""
    rows = results(shop, "campaign_report", "2025-07-21", "2026-07-20")
    return {row["groupings"]["campaign_message_id"]: row["groupings"]["campaign_message_name"] for row in rows}


@pytest.mark.parametrize("made_up", [False, True])
def test_campaign_reports_show_the_present_names_of_messages(made_up: bool) -> None:
    shop = begin(
        SandboxOptions(base=BASE, events=1_000, profiles=80, campaigns=40, flows=2, metrics=32, reviews=0, others=2, made_up_reports=made_up)
    )
    account, before = shop.account, message_names(shop)
    messages = {id: account.find("campaign_messages", id) for id in before}
    definitions = {id: json.loads(record.raw)["attributes"]["definition"] for id, record in messages.items()}
    campaigns = {id: str(record.values["host_id"]) for id, record in messages.items()}
    emails, others = ([id for id, one in definitions.items() if (one["channel"] == "email") is is_email] for is_email in (True, False))
    assert {id: before[id] for id in emails} == {id: definitions[id]["label"] for id in emails}
    assert {id: before[id] for id in others} == {id: json.loads(account.find("campaigns", campaigns[id]).raw)["attributes"]["name"] for id in others}

    account.rename_message("campaign_messages", emails[0], "Another name", account.settle())
    account.update("campaigns", campaigns[emails[1]], {"name": "Another campaign"}, account.settle())
    account.update("campaigns", campaigns[others[0]], {"name": "Another text"}, account.settle())
    account.delete("campaigns", campaigns[emails[0]])

    assert message_names(shop) == {**before, emails[0]: "Another name", others[0]: "Another text"}


def test_the_truth_equals_a_count_of_the_events_as_they_are_sent(shop: State) -> None:
    roles = {metric.id: role_of_metric(metric) for metric in shop.account.store["metrics"]}
    found: dict[tuple[str, str | None], dict[str, Any]] = defaultdict(lambda: defaultdict(int))
    openers: dict[tuple[str, str | None], set[str]] = defaultdict(set)
    for record in shop.account.store["events"]:
        properties, metric_id = json.loads(record.raw)["attributes"]["event_properties"], record.values["metric_id"]
        if not isinstance(metric_id, str) or record.values["datetime"] > to_micros(BASE):  # type: ignore[operator]
            continue
        role, given = roles[metric_id], properties.get("$attribution")
        if role is Role.PLACED_ORDER and given:
            found[given["$message"], given.get("$variation")]["conversions"] += 1
        elif "$message" in properties:
            message = properties["$message"], properties.get("$variation")
            found[message]["delivered"] += role in (Role.RECEIVED_EMAIL, Role.RECEIVED_SMS, Role.RECEIVED_PUSH)
            found[message]["bounced"] += role is Role.BOUNCED_EMAIL
            found[message]["clicks"] += role in (Role.CLICKED_EMAIL, Role.CLICKED_SMS)
            if role in (Role.OPENED_EMAIL, Role.OPENED_PUSH):
                found[message]["opens"] += 1
                openers[message].add(str(record.values["profile_id"]))
    truth = {(one["message_id"], one["variation_id"]): one for one in shop_truth(shop)["messages"]}
    assert {key for key, one in found.items() if any(one.values())} <= truth.keys()
    for key, counts in found.items():
        assert {name: truth[key][name] for name in counts if any(counts.values())} == {name: counts[name] for name in counts if any(counts.values())}
        assert truth.get(key, {"opens_unique": 0})["opens_unique"] == len(openers[key])


def test_flow_reports_add_up_to_the_truth(shop: State) -> None:
    years = [
        reported(shop, "flow_report", first, last)
        for first, last in (("2024-07-01", "2024-12-31"), ("2025-01-01", "2025-12-31"), ("2026-01-01", "2026-12-31"))
    ]
    additive = ("recipients", "delivered", "bounced", "opens", "clicks", "unsubscribes", "conversions")
    due = {(one["flow_id"], one["message_id"], one["variation_id"]): one for one in shop_truth(shop)["messages"] if one["kind"] == "flow"}
    assert {key for rows in years for key in rows} == due.keys()
    for key, truth in due.items():
        assert {name: sum(rows[key][name] for rows in years if key in rows) for name in additive} == {name: truth[name] for name in additive}
    assert sum(one["conversions"] for one in due.values()) > 1
    assert any(one["variation_id"] for one in due.values())


def test_days_of_a_flow_add_up_to_its_time_frame(shop: State) -> None:
    first, last = "2026-05-22", "2026-07-20"
    days, whole = reported(shop, "flow_report_daily", first, last), reported(shop, "flow_report", first, last)
    assert days.keys() == whole.keys()
    for key, row in whole.items():
        for name in ("recipients", "opens", "clicks", "conversions"):
            assert sum(days[key][name]) == row[name]
        assert row["opens_unique"] <= sum(days[key]["opens_unique"])


def test_submitted_forms_and_members_are_those_of_the_account(shop: State) -> None:
    last = BASE.astimezone(BERLIN).date()
    first = last - timedelta(days=59)
    store = shop.account.store
    submits = reported(shop, "form_report_daily", str(first), str(last))
    metric_id = next(metric.id for metric in store["metrics"] if role_of_metric(metric) is Role.FORM_SUBMITTED)
    events = [record for record in store["events"] if record.values["metric_id"] == metric_id]
    recent = [one for one in events if first <= from_micros(int(str(one.values["datetime"]))).astimezone(BERLIN).date()]
    assert sum(sum(row["submits"]) for row in submits.values()) == len(recent)
    assert recent
    for (segment,), row in reported(shop, "segment_report_daily", str(first), str(last)).items():
        assert row["total_members"][-1] == len(store.children["segment_members"].of(str(segment)))


def test_a_report_follows_late_events(shop: State) -> None:
    state = begin(shop.options)
    before = shop_truth(state)["messages"]
    state.clock.advance(18 * 24 * 3600 * 10**6)
    after = reported(state, "campaign_report", "2025-08-20", "2026-08-01") | reported(state, "flow_report", "2025-08-20", "2026-08-01")
    assert sum(one["opens"] for one in shop_truth(state)["messages"]) > sum(one["opens"] for one in before)
    assert after


def test_a_message_that_bounced_was_sent_then() -> None:
    """It bounced, and a later message to the same person arrived: the report has each at its own time."""

    def fact(at: int, role: Role) -> Fact:
        return Fact(str(at), at, "m", role, "P", "M", "F", None, False, 0.0, None, (), 0, None, None)

    facts = [fact(10, Role.BOUNCED_EMAIL), fact(50, Role.RECEIVED_EMAIL), fact(60, Role.OPENED_EMAIL)]

    assert [SendTimes(facts).of(one) for one in facts] == [10, 50, 50]

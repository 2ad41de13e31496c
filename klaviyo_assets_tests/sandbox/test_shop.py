"""The account hangs together like that of a real shop: what its events refer to exists, and its rates are those of shops."""

import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.sandbox.generate import stream
from klaviyo_assets.sandbox.generate.context import GenerationContext
from klaviyo_assets.sandbox.generate.metric_names import Role
from klaviyo_assets.sandbox.generate.metrics import role_of_metric
from klaviyo_assets.sandbox.instants import DAY, SECOND, parse, render, to_micros
from klaviyo_assets.sandbox.options import SandboxOptions
from klaviyo_assets.sandbox.records import Record
from klaviyo_assets.sandbox.scripted import apply_change
from klaviyo_assets.sandbox.shop_truth import shop_truth
from klaviyo_assets.sandbox.state import State, begin
from klaviyo_assets_tests.sandbox.helpers import BASE

HOUR = DAY // 24

Event = dict[str, Any]


@pytest.fixture(scope="module")
def shop() -> State:
    return begin(
        SandboxOptions(base=BASE, events=6_000, profiles=500, campaigns=60, flows=12, lists=6, segments=5, metrics=40, reviews=50, others=12)
    )


@pytest.fixture(scope="module")
def events(shop: State) -> list[Event]:
    return events_of(shop)


def events_of(shop: State) -> list[Event]:
    """Return every event, in the order of the times, with its role, time, properties and attribution."""
    roles = {metric.id: role_of_metric(metric) for metric in shop.account.store["metrics"]}
    found: list[Event] = []
    for record in shop.account.store["events"].walk("datetime", descending=False):
        resources = [json.loads(one)["relationships"] for one in record.resources.values()]
        metric_id = record.values["metric_id"]
        found.append(
            {
                "id": record.id,
                "at": record.values["datetime"],
                "profile": record.values["profile_id"],
                "role": roles.get(metric_id) if isinstance(metric_id, str) else None,
                "properties": json.loads(record.raw)["attributes"]["event_properties"],
                "attribution": {name: one["data"]["id"] for name, one in resources[0].items()} if resources else None,
            }
        )
    return found


def of(events: list[Event], *roles: Role) -> list[Event]:
    return [event for event in events if event["role"] in roles]


def value(record: Record, attribute: str) -> Any:
    return msgspec.json.decode(record.attributes()[attribute])


def ids(shop: State, name: str) -> set[str]:
    return {record.id for record in shop.account.store[name]}


MESSAGES = (
    *(Role.RECEIVED_EMAIL, Role.OPENED_EMAIL, Role.CLICKED_EMAIL, Role.BOUNCED_EMAIL, Role.MARKED_SPAM, Role.DROPPED_EMAIL),
    *(Role.UNSUBSCRIBED_EMAIL, Role.UNSUBSCRIBED_EMAIL_BEFORE, Role.RECEIVED_SMS, Role.CLICKED_SMS, Role.RECEIVED_PUSH, Role.OPENED_PUSH),
)


def test_events_of_messages_name_messages_that_exist_and_were_sent_by_then(shop: State, events: list[Event]) -> None:
    sent = {
        message: (campaign.id, parse(value(campaign, "send_time")))
        for campaign in shop.account.store["campaigns"]
        for message in campaign.related["campaign-messages"]
        if value(campaign, "status") == "Sent"
    }
    flows = {record.id: record.values["host_id"] for record in shop.account.store["flow_messages"]}
    kinds = Counter[str]()
    for event in of(events, *MESSAGES):
        properties = event["properties"]
        if "$flow" in properties:
            kinds["flow"] += 1
            assert flows[properties["$message"]] == properties["$flow"]
            assert flows[properties.get("$variation", properties["$message"])] == properties["$flow"]
        else:
            kinds["campaign"] += 1
            assert sent[properties["$message"]][1] // 10**6 * 10**6 <= event["at"]
    assert min(kinds["flow"], kinds["campaign"]) > 200
    assert ids(shop, "campaign_messages") >= sent.keys()


def test_campaigns_are_sent_to_audiences_that_exist_and_to_their_members(shop: State, events: list[Event]) -> None:
    store = shop.account.store
    audiences = {
        message: value(campaign, "audiences")["included"] for campaign in store["campaigns"] for message in campaign.related["campaign-messages"]
    }
    known = ids(shop, "lists") | ids(shop, "segments")
    assert all(known.issuperset(named) for named in audiences.values())
    members = {
        group: {record.id for record in store.children[name].of(group)}
        for name, groups in (("list_members", "lists"), ("segment_members", "segments"))
        for group in ids(shop, groups)
    }
    left = {event["profile"] for event in of(events, Role.UNSUBSCRIBED_LIST)}
    for event in of(events, Role.RECEIVED_EMAIL):
        if "$flow" not in event["properties"] and event["profile"] not in left:
            assert any(event["profile"] in members[group] for group in audiences[event["properties"]["$message"]])


def test_what_happens_to_a_message_follows_its_delivery(events: list[Event]) -> None:
    delivered: dict[tuple[str, str], int] = {}
    clicked = Counter[Role]()
    for event in of(events, *MESSAGES):
        key = event["profile"], event["properties"]["$message"]
        if event["role"] in (Role.RECEIVED_EMAIL, Role.RECEIVED_SMS, Role.RECEIVED_PUSH):
            delivered.setdefault(key, event["at"])
        elif event["role"] not in (Role.BOUNCED_EMAIL, Role.DROPPED_EMAIL):
            clicked[event["role"]] += 1
            assert delivered[key] <= event["at"]
    assert clicked[Role.OPENED_EMAIL] > clicked[Role.CLICKED_EMAIL] > 50


def test_orders_are_attributed_to_the_last_touch_before_them(shop: State, events: list[Event]) -> None:
    now = to_micros(BASE)
    touches: dict[str | None, list[tuple[int, int, Event]]] = defaultdict(list)
    attributed = 0
    for event in events:
        properties = event["properties"]
        if event["role"] in (Role.OPENED_EMAIL, Role.CLICKED_EMAIL, Role.CLICKED_SMS) and not properties.get("machine_open"):
            window = 24 * HOUR if event["role"] is Role.CLICKED_SMS else 120 * HOUR
            touches[event["profile"]].append((event["at"], event["at"] + window, event))
        elif event["role"] is Role.PLACED_ORDER and event["at"] <= now:
            before = [one for one in touches[event["profile"]] if one[0] < event["at"]]
            last = before[-1] if before and event["profile"] is not None and before[-1][1] >= event["at"] else None
            assert (event["attribution"] is not None) == (last is not None)
            assert ("$attribution" in properties) == (last is not None)
            if last is None:
                continue
            attributed += 1
            same_second = [one[2] for one in before if one[0] == last[0]]
            touch = next(one for one in same_second if one["id"] == event["attribution"]["attributed-event"])
            named = event["attribution"]
            assert properties["$attribution"]["$attributed_event_id"] == touch["id"]
            assert properties["$attribution"]["$message"] == touch["properties"]["$message"]
            assert named.get("campaign-message", named.get("flow-message")) == touch["properties"]["$message"]
            assert named.get("flow") == touch["properties"].get("$flow")
            assert named.get("flow-message-variation") == touch["properties"].get("$variation")
    assert attributed > 30


def test_what_is_sold_and_reviewed_is_in_the_catalog_and_codes_exist(shop: State, events: list[Event]) -> None:
    store = shop.account.store

    def texts(name: str, attribute: str) -> set[str]:
        return {value(record, attribute) for record in store[name]}

    items, variants = texts("catalog_items", "external_id"), texts("catalog_variants", "external_id")
    codes = ids(shop, "coupons") | {value(record, "unique_code") for _, record in store.children["coupon_codes"]}
    sold, used, currencies = set(), Counter[str](), Counter[str]()
    for order in of(events, Role.PLACED_ORDER, Role.CHECKOUT_STARTED, Role.REFUNDED_ORDER):
        properties = order["properties"]
        assert {line["ProductID"] for line in properties["Items"]} <= items
        assert {line["VariantID"] for line in properties["Items"] if "VariantID" in line} <= variants
        used.update(properties["Discount Codes"])
        currencies[properties["$currency_code"]] += 1
        total = sum(line["Quantity"] * float(line["ItemPrice"]) for line in properties["Items"]) - float(properties["Total Discounts"])
        assert properties["$value"] == pytest.approx(total)
        sold.update(line["ProductID"] for line in properties["Items"])
    assert codes.issuperset(used)
    assert sum(used.values()) > 20
    assert set(currencies) == {"EUR", "USD"}
    reviewed = {value(record, "product")["external_id"] for record in store["reviews"]}
    assert sold >= reviewed
    assert {record.values["item.id"] for record in store["reviews"]} <= ids(shop, "catalog_items")


def test_reviews_are_written_by_customers_who_had_bought_the_product(shop: State, events: list[Event]) -> None:
    def check(state: State) -> int:
        store = state.account.store
        profiles = {value(record, "email"): record for record in store["profiles"]}
        reviews = list(store["reviews"])
        for review in reviews:
            profile = profiles[value(review, "email")]
            assert value(review, "author") == value(profile, "first_name")
            bought = orders[profile.id, value(review, "product")["external_id"]]
            assert min(bought.values()) <= parse(value(review, "created"))
            assert bought.keys() >= set(review.related["events"])
        return len(reviews)

    orders: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    for event in of(events, Role.PLACED_ORDER):
        for line in event["properties"]["Items"]:
            orders[event["profile"], line["ProductID"]][event["id"]] = event["at"]
    before = check(shop)
    later = begin(shop.options)
    for record in list(later.account.store["profiles"])[:200]:
        later.account.delete("profiles", record.id)
    for record in list(later.account.store["reviews"]):
        later.account.delete("reviews", record.id)
    for seed in range(3):
        change = {"kind": "add", "type": "reviews", "seed": seed}
        apply_change(later.account, change, later.account.settle())
    assert (before, check(later)) == (50, 3)


def consent_of(shop: State, profile_id: str | None) -> dict[str, Any]:
    """Return what a profile says about its consent; nothing for one that has been deleted."""
    profile = shop.account.store["profiles"].get(profile_id or "")
    if profile is None:
        return {"email": None, "sms": (None, False), "suppression": [], "left": {}}
    subscriptions = json.loads(profile.extras["subscriptions"])
    email, sms = subscriptions["email"]["marketing"], subscriptions["sms"]["marketing"]
    return {
        "email": (email["consent"], email["consent_timestamp"] and parse(email["consent_timestamp"]), email["can_receive_email_marketing"]),
        "sms": (sms["consent"], sms["can_receive_sms_marketing"]),
        "suppression": [{**one, "timestamp": parse(one["timestamp"])} for one in email["suppression"]],
        "left": {one["list_id"]: parse(one["timestamp"]) for one in email["list_suppressions"] if one["reason"] == "UNSUBSCRIBE"},
    }


def suppressed(before: list[dict[str, Any]], reason: str, at: int) -> list[dict[str, Any]]:
    return [{"reason": reason, "timestamp": at}, *(one for one in before if one["reason"] != reason)]


def consent_by_events(shop: State, events: list[Event], profile_id: str) -> dict[str, Any]:
    """Return what the events of a profile say about its consent, in the order of their times."""
    names = {value(record, "name"): record.id for record in shop.account.store["lists"]}
    email, since, sms, suppression, left = "NEVER_SUBSCRIBED", None, "NEVER_SUBSCRIBED", list[dict[str, Any]](), dict[str, int]()
    for event in (one for one in events if one["profile"] == profile_id):
        match event["role"]:
            case Role.SUBSCRIBED_EMAIL:
                email, since = "SUBSCRIBED", event["at"]
                suppression = [one for one in suppression if one["reason"] == "HARD_BOUNCE"]
            case Role.UNSUBSCRIBED_EMAIL | Role.UNSUBSCRIBED_EMAIL_BEFORE:
                email, suppression = "UNSUBSCRIBED", suppressed(suppression, "UNSUBSCRIBE", event["at"])
            case Role.MARKED_SPAM:
                suppression = suppressed(suppression, "SPAM_COMPLAINT", event["at"])
            case Role.BOUNCED_EMAIL if event["properties"]["Bounce Type"] == "Hard":
                suppression = suppressed(suppression, "HARD_BOUNCE", event["at"])
            case Role.SUBSCRIBED_SMS | Role.UNSUBSCRIBED_SMS:
                sms = "SUBSCRIBED" if event["role"] is Role.SUBSCRIBED_SMS else "UNSUBSCRIBED"
            case Role.SUBSCRIBED_LIST:
                left.pop(names[event["properties"]["List"]], None)
            case Role.UNSUBSCRIBED_LIST:
                left[names[event["properties"]["List"]]] = event["at"]
    can_receive = email == "SUBSCRIBED" and not suppression
    return {"email": (email, since, can_receive), "sms": (sms, sms == "SUBSCRIBED"), "suppression": suppression, "left": left}


CONSENTS = (
    *(Role.SUBSCRIBED_EMAIL, Role.UNSUBSCRIBED_EMAIL, Role.UNSUBSCRIBED_EMAIL_BEFORE, Role.MARKED_SPAM, Role.BOUNCED_EMAIL),
    *(Role.SUBSCRIBED_SMS, Role.UNSUBSCRIBED_SMS, Role.SUBSCRIBED_LIST, Role.UNSUBSCRIBED_LIST),
)


def test_consent_follows_events_that_arrive_later(shop: State) -> None:
    state = begin(shop.options)
    metrics = {role_of_metric(metric): metric.id for metric in state.account.store["metrics"]}
    active = {event["profile"] for event in events_of(state)}
    people = [record.id for record in state.account.store["profiles"] if record.id in active][:12]
    rng, hour = random.Random(1), 3600 * SECOND
    for number in range(240):
        now = state.account.settle()
        # Some arrive late, after events that happened later.
        moment = now - rng.randrange(1, 40_000) * SECOND if number % 4 == 0 else now
        change = {
            "kind": "event",
            "profile_id": rng.choice(people),
            "metric_id": metrics[rng.choice(CONSENTS)],
            "seed": number,
            "datetime": render(moment),
        }
        apply_change(state.account, change, now)
        state.clock.advance(hour)
    events, store = events_of(state), state.account.store
    assert {id: consent_of(state, id) for id in people} == {id: consent_by_events(state, events, id) for id in people}
    assert {consent_of(state, id)["email"][0] for id in people} == {"SUBSCRIBED", "UNSUBSCRIBED"}
    assert all(parse(value(store["profiles"].get(id), "updated")) > to_micros(BASE) for id in people)


def test_a_round_changes_consent_when_it_happens(shop: State) -> None:
    state = begin(shop.options)
    before, now = {event["id"] for event in events_of(state)}, state.account.settle()
    apply_change(state.account, {"kind": "round", "seed": 2}, now)
    new = [event for event in of(events_of(state), *CONSENTS) if event["id"] not in before]
    assert len(new) > 5
    assert {event["at"] for event in new} == {now // SECOND * SECOND}


def test_subscriptions_and_members_agree_with_the_events(shop: State, events: list[Event]) -> None:
    store = shop.account.store
    active = {event["profile"] for event in events}
    assert Counter(one["reason"] for id in active for one in consent_of(shop, id)["suppression"]).keys() == {"UNSUBSCRIBE", "HARD_BOUNCE"}
    assert sum(consent_of(shop, id)["sms"][0] == "UNSUBSCRIBED" for id in active) > 0
    assert sum(bool(consent_of(shop, id)["left"]) for id in active) > 3
    assert {id: consent_of(shop, id) for id in active if id} == {id: consent_by_events(shop, events, id) for id in active if id}
    for record in store["profiles"]:
        marketing = json.loads(record.extras["subscriptions"])["email"]["marketing"]
        if record.id not in active:
            assert {one["reason"] for one in marketing["suppression"]} <= {"INVALID_EMAIL", "USER_SUPPRESSED"}, "these leave no event"
            assert {one["reason"] for one in marketing["list_suppressions"]} <= {"USER_SUPPRESSED"}

    names = {value(record, "name"): record.id for record in store["lists"]}
    assert len(names) == len(store["lists"])
    joined = {(event["profile"], event["properties"]["List"]): event["at"] for event in of(events, Role.SUBSCRIBED_LIST)}
    for event in of(events, Role.UNSUBSCRIBED_LIST):
        assert joined.pop((event["profile"], event["properties"]["List"])) <= event["at"]
    for (profile, name), at in joined.items():
        member = store.children["list_members"].of(names[name]).get(profile)
        assert member is not None
        assert member.values["joined_group_at"] == at


def test_rates_are_those_of_shops(shop: State) -> None:
    totals = shop_truth(shop)["totals"]
    assert 0.005 <= totals["bounce_rate"] <= 0.05
    assert 0.2 <= totals["human_open_rate"] < totals["open_rate"] <= 0.6
    assert 0.02 <= totals["click_rate"] <= 0.15
    assert 0.15 <= totals["attributed_share"] <= 0.5
    assert totals["orders"] > 100


def test_what_klaviyo_knows_about_a_customer_agrees_with_the_orders(shop: State) -> None:
    customers = shop_truth(shop)["customers"]
    known = {record.id: json.loads(record.extras["predictive_analytics"]) for record in shop.account.store["profiles"]}
    ordered = {id: one["historic_number_of_orders"] for id, one in known.items() if one["historic_number_of_orders"]}
    assert ordered == {id: one["orders"] for id, one in customers.items()}
    for id, one in customers.items():
        (spent,) = one["value"].values()
        assert known[id]["historic_clv"] == pytest.approx(spent)


def test_hard_cases_are_there(events: list[Event]) -> None:
    now = to_micros(BASE)
    orders = of(events, Role.PLACED_ORDER)
    assert any(event["at"] > now for event in orders)
    assert any(event["profile"] is None for event in orders)
    assert any(event["role"] is None for event in events)
    assert any(event["properties"] == {} for event in events)
    of_api = {event["properties"]["OrderId"]: event["properties"] for event in of(events, Role.PLACED_ORDER_OF_API)}
    shop_orders = {event["properties"]["OrderId"]: event["properties"] for event in orders}
    assert of_api.keys() < shop_orders.keys()
    assert all(one["$value_currency"] == shop_orders[id]["$currency_code"] for id, one in of_api.items())
    before, after = (of(events, role) for role in (Role.UNSUBSCRIBED_EMAIL_BEFORE, Role.UNSUBSCRIBED_EMAIL))
    assert before or after
    assert max((event["at"] for event in before), default=0) < min((event["at"] for event in after), default=now)


def test_the_truth_follows_changes(shop: State) -> None:
    def customers() -> Iterator[tuple[str, int]]:
        return ((id, one["orders"]) for id, one in shop_truth(state)["customers"].items())

    state = begin(shop.options)
    (first, one), (second, other), *_ = sorted(customers())
    state.account.merge(first, second, state.account.settle())
    assert dict(customers())[second] == one + other
    state.account.delete("profiles", second)
    assert second not in dict(customers())
    before = shop_truth(state)["totals"]["orders"]
    state.clock.advance(20 * DAY)
    assert shop_truth(state)["totals"]["orders"] > before


def test_a_stream_of_the_account_has_the_same_records() -> None:
    options = SandboxOptions(base=BASE, events=400, profiles=40, campaigns=10, flows=5, lists=3, segments=2, metrics=32, reviews=3, others=3)
    store = begin(options).account.store
    streamed = defaultdict(set)
    for name, record in stream(GenerationContext(options, to_micros(BASE)), CATALOG):
        streamed[name].add((record.id, record.raw))
    # Late events come after the others, so what is made after them differs.
    same = {name: {(record.id, record.raw) for record in store[name]} for name in ("events", "profiles", "metrics", "campaigns", "mapped_metrics")}
    assert {name: streamed[name] for name in same if name != "profiles"} == {name: same[name] for name in same if name != "profiles"}
    assert {id for id, _ in streamed["profiles"]} == {id for id, _ in same["profiles"]}

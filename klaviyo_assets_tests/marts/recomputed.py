"""Answers to questions of docs/queries.md, computed in Python from the records that the sandbox's API sends: no table and no SQL is involved."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import floor
from statistics import fmean
from typing import Any

from klaviyo_assets_tests.marts.answers import Answers

Figures = dict[tuple[Any, ...], tuple[Any, ...]]
"""Numbers of a query's rows, by the values that tell the rows apart."""

_WINDOWS = {"email": timedelta(days=5), "sms": timedelta(hours=24), "push": timedelta(hours=24)}
_RECEIVED = {"received_email", "received_sms", "received_push"}
_TOUCHES = {"opened_email": "email", "clicked_email": "email", "clicked_sms": "sms", "opened_push": "push"}
"""Channel of the touches, by the role of their metric."""


@dataclass(frozen=True)
class Happening:
    """An event of the API, with what the questions need of it."""

    id: str
    role: str
    at: datetime
    profile_id: str | None
    properties: Mapping[str, Any]

    @property
    def message_id(self) -> str | None:
        return self.properties.get("$message")

    @property
    def channel(self) -> str:
        return self.role.rpartition("_")[2]

    @property
    def kind(self) -> str:
        return "flow" if self.properties.get("$flow") else "campaign"

    @property
    def is_touch(self) -> bool:
        return self.role in _TOUCHES and self.message_id is not None and self.properties.get("machine_open") is not True


def happenings(answers: Answers) -> list[Happening]:
    """Return the events that are not in the future."""
    roles = {id_: role for role, ids in answers.shop["metrics"].items() if role != "revenue" for id_ in ids}
    now = datetime.fromisoformat(answers.shop["now"])
    found = []
    for one in answers.records("events"):
        attributes, related = one["attributes"], one["relationships"]
        at = datetime.fromisoformat(attributes["datetime"])
        metric_id, profile_id = (related[name].get("data", {}).get("id") for name in ("metric", "profile"))
        if at <= now:
            found.append(Happening(one["id"], roles.get(metric_id, "custom"), at, profile_id, attributes["event_properties"]))
    return found


def by_attribution_model(answers: Answers) -> Figures:
    """Question 5: orders and revenue by model, channel, kind of message and currency."""
    events = {one.id: one for one in happenings(answers)}
    touches: dict[str | None, list[Happening]] = defaultdict(list)
    for one in sorted(events.values(), key=lambda one: (one.at, one.id)):
        if one.is_touch:
            touches[one.profile_id].append(one)
    found: dict[tuple[Any, ...], list[float]] = defaultdict(lambda: [0.0, 0.0])

    def give(model: str, order: Mapping[str, Any], channel: str, kind: str, credit: float = 1) -> None:
        sums = found[model, channel, kind, order["currency"] or answers.shop["currency"]]
        sums[0] += credit
        sums[1] += credit * order["value"]

    for order in answers.shop["orders"].values():
        give("native", order, *_native(answers, order, events))
        at = datetime.fromisoformat(order["at"])
        within = [one for one in touches[order["profile_id"]] if at - _WINDOWS[one.channel] <= one.at < at] if order["profile_id"] else []
        for model, chosen in _credited(within).items():
            for one in chosen:
                give(model, order, one.channel, one.kind, 1 / len(chosen))
            if not chosen:
                give(model, order, "none", "none")
    return {key: (credit, value) for key, (credit, value) in found.items()}


def _credited(touches: list[Happening]) -> dict[str, list[Happening]]:
    """Return the touches that share the credit for an order, by model, given those in its window from the oldest to the newest."""
    first_of_messages: dict[str | None, Happening] = {}
    for one in touches:
        first_of_messages.setdefault(one.message_id, one)
    return {
        "last_touch": touches[-1:],
        "last_click": [one for one in touches if one.role.startswith("clicked")][-1:],
        "first_touch": touches[:1],
        "linear": [*first_of_messages.values()],
    }


def _native(answers: Answers, order: Mapping[str, Any], events: Mapping[str, Happening]) -> tuple[str, str]:
    """Return the channel and the kind of the message that Klaviyo attributes an order to."""
    if order["message_id"] is None:
        return "none", "none"
    touch = events.get(order["attributed_event_id"])
    named = {one["message_id"]: one["channel"] for one in answers.shop["messages"]}
    return (touch.channel if touch else named[order["message_id"]]), "flow" if order["flow_id"] else "campaign"


@dataclass(frozen=True)
class Customer:
    """What a person ordered; the value is that of the orders in the currency of most of them."""

    profile_id: str
    orders: int
    currency: str
    value: float
    days_since_last_order: int
    last_order_at: datetime


def customers(answers: Answers) -> list[Customer]:
    """Return the profiles with orders."""
    now = datetime.fromisoformat(answers.shop["now"])
    by_person: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for order in answers.shop["orders"].values():
        if order["profile_id"]:
            by_person[order["profile_id"]].append(order)
    found = []
    for profile_id, orders in by_person.items():
        counts = Counter(order["currency"] or answers.shop["currency"] for order in orders)
        currency = min(counts, key=lambda one: (-counts[one], one))
        value = round(sum(order["value"] for order in orders if (order["currency"] or answers.shop["currency"]) == currency), 4)
        last = max(datetime.fromisoformat(order["at"]) for order in orders)
        found.append(Customer(profile_id, len(orders), currency, value, (now - last).days, last))
    return found


def tiers(answers: Answers) -> dict[str, tuple[str, Customer]]:
    """Return the tier of each customer, by profile."""
    found = {}
    everybody = customers(answers)
    for one in everybody:
        peers = [other for other in everybody if other.currency == one.currency]
        recency = _score(one.last_order_at, [other.last_order_at for other in peers])
        frequency = _score(one.orders, [other.orders for other in peers])
        found[one.profile_id] = (_tier(one.orders, recency, frequency), one)
    return found


def _score(mine: Any, of_all: list[Any]) -> int:
    """Return 1 to 5, by the share of the others that are below."""
    return min(5, 1 + floor(5 * (sum(one < mine for one in of_all) / (len(of_all) - 1)))) if len(of_all) > 1 else 1


def _tier(orders: int, recency: int, frequency: int) -> str:
    if recency >= 4:
        return "new" if orders == 1 else "champion" if frequency >= 4 else "promising"
    if recency == 3:
        return "loyal" if frequency >= 4 else "promising"
    return "at_risk" if frequency >= 3 else "lapsed"


def best_customers(answers: Answers) -> Figures:
    """Question 14: customers, and averages of orders, days since the last one and value, by tier and currency."""
    return {
        key: (len(group), fmean(one.orders for one in group), fmean(one.days_since_last_order for one in group), fmean(one.value for one in group))
        for key, group in _by_tier(answers).items()
    }


def worth_of_customers(answers: Answers) -> Figures:
    """Question 15: customers, and averages of value, predicted value and risk of churn, by tier and currency."""
    predictions = {one["id"]: one["attributes"]["predictive_analytics"] for one in answers.records("profiles")}
    found = {}
    for key, group in _by_tier(answers).items():
        known = [predictions[one.profile_id] for one in group if one.profile_id in predictions]
        predicted, churn = (_mean(one[name] for one in known) for name in ("predicted_clv", "churn_probability"))
        found[key] = (len(group), fmean(one.value for one in group), predicted, churn)
    return found


def _by_tier(answers: Answers) -> dict[tuple[Any, ...], list[Customer]]:
    found: dict[tuple[Any, ...], list[Customer]] = defaultdict(list)
    for tier, one in tiers(answers).values():
        found[tier, one.currency].append(one)
    return found


def _mean(values: Iterable[float | None]) -> float | None:
    known = [one for one in values if one is not None]
    return fmean(known) if known else None


def rated_products(answers: Answers) -> Figures:
    """Question 18: pieces sold, reviews, stars and the share of refunded pieces of the products that have reviews."""
    sold, refunded = Counter[str](), Counter[str]()
    for one in happenings(answers):
        pieces = sold if one.id in answers.shop["orders"] else refunded if one.role == "refunded_order" else None
        for item in one.properties.get("Items", ()) if pieces is not None else ():
            pieces[item.get("ProductID", "")] += item["Quantity"]  # type: ignore[index]
    stars: dict[str, list[int]] = defaultdict(list)
    for review in answers.records("reviews"):
        attributes = review["attributes"]
        if attributes["rating"] is not None:
            stars[(attributes["product"] or {}).get("external_id") or ""].append(attributes["rating"])
    return {
        (product,): (sold[product], len(given), fmean(given), refunded[product] / sold[product] if sold[product] else None)
        for product, given in stars.items()
    }


def sources_of_subscribers(answers: Answers) -> Figures:
    """Question 23: people by channel, method and form."""
    names = {one["id"]: one["attributes"]["name"] for one in answers.records("forms")}
    people: dict[tuple[Any, ...], set[str]] = defaultdict(set)
    for one in happenings(answers):
        if one.role.startswith("subscribed_") and one.role != "subscribed_list":
            detail = one.properties.get("method_detail")
            people[one.channel, one.properties.get("method") or "unknown", names.get(detail) or detail] |= {one.profile_id} - {None}  # type: ignore[arg-type]
    return {key: (len(group),) for key, group in people.items()}


def engagement(answers: Answers) -> Figures:
    """Question 26: profiles, average number of received messages and customers, by when the person last opened or clicked."""
    now = datetime.fromisoformat(answers.shop["now"])
    received = Counter[str]()
    last: dict[str, datetime] = {}
    for one in happenings(answers):
        if one.profile_id and one.message_id:
            received[one.profile_id] += one.role in _RECEIVED
            if one.is_touch:
                last[one.profile_id] = max(one.at, last.get(one.profile_id, one.at))
    buyers = {one.profile_id for one in customers(answers)}
    groups: dict[str, list[str]] = defaultdict(list)
    for profile_id in {one["id"] for one in answers.records("profiles")} | buyers | {*received}:
        groups[_engagement(now, last.get(profile_id), received[profile_id])].append(profile_id)
    return {(name,): (len(ids), fmean(received[id_] for id_ in ids), len(buyers & {*ids})) for name, ids in groups.items()}


def _engagement(now: datetime, last: datetime | None, received: int) -> str:
    if last is None:
        return "never" if received else "no_messages"
    return next((f"active_{days}" for days in (30, 90, 180) if last >= now - timedelta(days=days)), "inactive")

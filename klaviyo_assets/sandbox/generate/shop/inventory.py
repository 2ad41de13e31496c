"""What the events of a shop refer to: its metrics, products, codes, forms, audiences and messages, as the account has them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec

from klaviyo_assets.sandbox.generate.context import Product
from klaviyo_assets.sandbox.generate.metric_names import Role
from klaviyo_assets.sandbox.generate.metrics import role_of_metric
from klaviyo_assets.sandbox.generate.words import FLOW_WORDS, ITEM_PREFIX, PRODUCTS, SUBJECTS, VARIANTS
from klaviyo_assets.sandbox.instants import parse
from klaviyo_assets.sandbox.records import Record, encode
from klaviyo_assets.sandbox.store import Store


@dataclass(frozen=True)
class Article(Product):
    """A product with what order lines say about it.

    Attributes:
        cents: Its price in hundredths.
        head: The start of an order line as JSON text: ids and name.
        variants: For each variant the members of an order line that name it, as JSON text.
    """

    cents: int
    head: str
    variants: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Message:
    """A message that a campaign or a flow sends.

    Attributes:
        id: Klaviyo's id of the message.
        channel: ``email``, ``sms`` or ``push``.
        campaign_id: The campaign; None for a message of a flow.
        flow_id: The flow; None for a message of a campaign.
        sent_at: When the campaign was sent, in microseconds; of a flow, when it was created: it has sent nothing before.
        head: What its events have in common, as JSON text.
        arms: Ids of what an A/B test of a flow compares; empty without one.
    """

    id: str
    channel: str
    campaign_id: str | None
    flow_id: str | None
    sent_at: int
    head: str
    arms: tuple[str, ...] = ()


class Inventory:
    """Everything that events can refer to; each part is read from the account once, when it is first needed.

    Args:
        store: The account.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    @cached_property
    def metrics(self) -> Mapping[Role, list[str]]:
        """Ids of the metrics by role, in the order of their ids; ``CUSTOM`` has all that shops do not have in common."""
        found: dict[Role, list[str]] = {}
        for record in self._store["metrics"]:
            found.setdefault(role_of_metric(record), []).append(record.id)
        return found

    @cached_property
    def products(self) -> list[Article]:
        """Products of the catalog; made-up ones if the account has none."""
        return _products(self._store)

    @cached_property
    def codes(self) -> list[str]:
        """Discount codes: for each coupon its own id, which everyone can use, and codes for one customer."""
        return _codes(self._store)

    @cached_property
    def forms(self) -> list[tuple[str, str]]:
        """Id and name of the sign-up forms."""
        return [(one.id, _text(one, "name")) for one in _records(self._store, "forms")]

    @cached_property
    def lists(self) -> dict[str, str]:
        """Id and name of the lists, in the order of their ids."""
        return {one.id: _text(one, "name") for one in _records(self._store, "lists")}

    @cached_property
    def segments(self) -> list[str]:
        """Ids of the segments."""
        return [one.id for one in _records(self._store, "segments")]

    @cached_property
    def messages(self) -> list[tuple[Message, tuple[str, ...]]]:
        """Messages of the campaigns that were sent, each with the audiences of the campaign."""
        return [pair for campaign in _records(self._store, "campaigns") for pair in _campaign_messages(self._store, campaign)]

    @cached_property
    def flows(self) -> dict[str, list[list[Message]]]:
        """Messages of the live flows, in their order, by the word that the flow's name begins with."""
        return _flows(self._store)

    def metric(self, role: Role) -> str | None:
        """Return the metric with a role, if the account has one."""
        found = self.metrics.get(role)
        return found[0] if found else None

    def sent(self) -> Sequence[Message]:
        """Return all messages that have been sent."""
        return [message for message, _ in self.messages] + [message for flows in self.flows.values() for flow in flows for message in flow]


def _records(store: Store, name: str) -> list[Record]:
    return list(store[name]) if name in store.collections else []


def _text(record: Record, attribute: str) -> str:
    return msgspec.json.decode(record.attributes()[attribute], type=str | None) or ""


def _quoted(text: object) -> str:
    return encode(text).decode()


def _products(store: Store) -> list[Article]:
    items = _records(store, "catalog_items")
    if not items:
        numbers = range(len(PRODUCTS))
        return [_product(f"{ITEM_PREFIX}{1000 + one}", str(1000 + one), PRODUCTS[one], 250 + 431 * one, one, []) for one in numbers]
    variants = {one.id: one for one in _records(store, "catalog_variants")}
    found: list[Article] = []
    for number, item in enumerate(items):
        attributes = item.attributes()
        price: Any = msgspec.json.decode(attributes["price"])
        cents = 1995 if price is None else max(1, round(100 * price))
        own = [variants[id] for id in item.related.get("variants", ()) if id in variants]
        found.append(_product(item.id, _text(item, "external_id"), _text(item, "title"), cents, number, own))
    return found


def _product(item_id: str, external_id: str, title: str, cents: int, number: int, variants: Sequence[Record]) -> Article:
    """Return a product with a price between 1 and 150, so that one order does not outweigh a month."""
    head = f'"ProductID":{_quoted(external_id)},"ProductName":{_quoted(title)},"Categories":["c{number % 5}","all"],'
    named = [f'"VariantID":{_quoted(_text(one, "external_id"))},"SKU":{_quoted(_text(one, "sku"))},' for one in variants]
    without = [f'"SKU":{90000 + number},"Variant":{_quoted(VARIANTS[number % len(VARIANTS)])},']
    return Article(item_id, external_id, title, 100 + cents % 14_900, head, tuple(named or without))


def _codes(store: Store) -> list[str]:
    coupons = [_text(one, "external_id") for one in _records(store, "coupons")]
    codes = store.children.get("coupon_codes", ())
    own = [msgspec.json.decode(record.attributes()["unique_code"], type=str) for _, record in codes]
    return coupons + own


def _campaign_messages(store: Store, campaign: Record) -> list[tuple[Message, tuple[str, ...]]]:
    attributes = campaign.attributes()
    sent_at = msgspec.json.decode(attributes["send_time"], type=str | None)
    if sent_at is None or _text(campaign, "status") != "Sent":
        return []
    audiences = msgspec.json.decode(attributes["audiences"], type=dict[str, list[str]])["included"]
    channel = {"mobile_push": "push"}.get(str(campaign.values["messages.channel"]), str(campaign.values["messages.channel"]))
    found: list[tuple[Message, tuple[str, ...]]] = []
    for id in campaign.related.get("campaign-messages", ()):
        message = store["campaign_messages"].get(id) if "campaign_messages" in store.collections else None
        content = {} if message is None else msgspec.json.decode(message.attributes()["definition"], type=dict[str, Any]).get("content") or {}
        head = _head(id, _text(campaign, "name"), channel, content.get("subject", SUBJECTS[len(found) % len(SUBJECTS)]))
        found.append((Message(id, channel, campaign.id, None, parse(sent_at), head), tuple(audiences)))
    return found


def _flows(store: Store) -> dict[str, list[list[Message]]]:
    """Return the messages of the live flows by what starts them."""
    of_flow: dict[str, list[Record]] = {}
    for record in _records(store, "flow_messages"):
        of_flow.setdefault(str(record.values["host_id"]), []).append(record)
    found: dict[str, list[list[Message]]] = {}
    for flow in _records(store, "flows"):
        name = _text(flow, "name")
        word = next((one for one in FLOW_WORDS if name.startswith(one)), "")
        messages = _flow_messages(flow, of_flow.get(flow.id, []))
        if messages and _text(flow, "status") in ("live", "manual"):
            found.setdefault(word, []).append(messages)
    return found


def _flow_messages(flow: Record, records: Sequence[Record]) -> list[Message]:
    by_action: dict[tuple[int, str], list[Record]] = {}
    for record in records:
        if record.values["status"] == "live" and record.values["channel"] in ("email", "sms"):
            position = record.values["position"]
            assert isinstance(position, int)
            by_action.setdefault((position, str(record.values["flow_action_id"])), []).append(record)
    created = parse(_text(flow, "created"))
    found: list[Message] = []
    for _, group in sorted(by_action.items()):
        main = next(one for one in group if not one.values["is_variation"])
        definition: Mapping[str, Any] = msgspec.json.decode(main.attributes()["definition"])
        channel = str(main.values["channel"])
        arms = (main.id, *(one.id for one in group if one is not main)) if len(group) > 1 else ()
        head = _head(main.id, str(definition.get("name")), channel, definition.get("subject_line"), flow.id)
        found.append(Message(main.id, channel, None, flow.id, created, head, arms))
    return found


def _head(id: str, name: str, channel: str, subject: str | None, flow_id: str | None = None) -> str:
    flow = f'"$flow":"{flow_id}",' if flow_id is not None else ""
    shown = {
        "email": f'"Campaign Name":{_quoted(name)},"Subject":{_quoted(subject)}',
        "sms": f'"Message Name":{_quoted(name)},"Message Format":"SMS","From Number":"+15550100"',
        "push": f'"Message Name":{_quoted(name)},"Push Platform":"ios"',
    }
    return f'"$message":"{id}",{flow}{shown.get(channel, shown["email"])}'

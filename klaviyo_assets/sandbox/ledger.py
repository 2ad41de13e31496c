"""What the events of an account say about messages and orders, as plain values to count: for reports, and for the truth that tests compare with."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import msgspec

from klaviyo_assets.sandbox.generate.metric_names import Role
from klaviyo_assets.sandbox.generate.metrics import role_of_metric
from klaviyo_assets.sandbox.json_members import members_of
from klaviyo_assets.sandbox.records import Record
from klaviyo_assets.sandbox.store import Store


@dataclass(frozen=True, slots=True)
class Attributed:
    """What an order is attributed to.

    Attributes:
        event_id: The open or click.
        message_id: Message of a campaign or of a flow.
        campaign_id: The campaign, if it is one.
        flow_id: The flow, if it is one.
        variation_id: The variation of an A/B test that was sent.
    """

    event_id: str | None
    message_id: str | None
    campaign_id: str | None
    flow_id: str | None
    variation_id: str | None


@dataclass(frozen=True, slots=True)
class Fact:
    """One event.

    Attributes:
        id: Its id.
        at: Its time in microseconds.
        metric_id: Its metric.
        role: What the metric is for.
        profile_id: Its profile; None if it has been deleted.
        message_id: The message that it is about.
        flow_id: The flow of that message.
        variation_id: The variation of that message.
        is_machine: Whether it is an open by a machine.
        value: Its amount.
        currency: The currency of the amount.
        codes: Discount codes of an order.
        lines: Lines of an order.
        form_id: The form that was submitted.
        attributed: What it is attributed to.
    """

    id: str
    at: int
    metric_id: str
    role: Role
    profile_id: str | None
    message_id: str | None
    flow_id: str | None
    variation_id: str | None
    is_machine: bool
    value: float
    currency: str | None
    codes: tuple[str, ...]
    lines: int
    form_id: str | None
    attributed: Attributed | None


class EventProperties(msgspec.Struct):
    """Properties of events that the sandbox itself reads; of other shops they may have any type."""

    message: Any = msgspec.field(name="$message", default=None)
    flow: Any = msgspec.field(name="$flow", default=None)
    variation: Any = msgspec.field(name="$variation", default=None)
    machine_open: Any = None
    value: Any = msgspec.field(name="$value", default=None)
    currency_code: Any = msgspec.field(name="$currency_code", default=None)
    value_currency: Any = msgspec.field(name="$value_currency", default=None)
    codes: Any = msgspec.field(name="Discount Codes", default=None)
    items: Any = msgspec.field(name="Items", default=None)
    form_id: Any = None
    bounce_type: Any = msgspec.field(name="Bounce Type", default=None)
    list_name: Any = msgspec.field(name="List", default=None)


class _Identifier(msgspec.Struct):
    id: str


class _Relationship(msgspec.Struct):
    data: _Identifier


class _Typed(msgspec.Struct):
    event_properties: EventProperties


class _TypedEvent(msgspec.Struct):
    attributes: _Typed


class Ledger:
    """Reads the events of an account; each only once, as long as it does not change.

    Args:
        store: The account.
    """

    def __init__(self, store: Store) -> None:
        self._events, self._metrics = store["events"], store["metrics"]
        self._known: dict[str, tuple[Record, Fact | None]] = {}

    def facts(self, now: int) -> Iterator[Fact]:
        """Yield what the events until an instant say; those of deleted metrics say nothing."""
        roles = {metric.id: role_of_metric(metric) for metric in self._metrics}
        for record in self._events:
            known = self._known.get(record.id)
            if known is None or known[0] is not record:
                known = self._known[record.id] = record, _fact(record, roles)
            if known[1] is not None and known[1].at <= now:
                yield known[1]


_LEDGERS: WeakKeyDictionary[Store, Ledger] = WeakKeyDictionary()


def ledger_of(store: Store) -> Ledger:
    """Return the ledger of an account."""
    return _LEDGERS.setdefault(store, Ledger(store))


def _fact(record: Record, roles: Mapping[str, Role]) -> Fact | None:
    metric_id, at = record.values["metric_id"], record.values["datetime"]
    if not isinstance(metric_id, str) or metric_id not in roles or not isinstance(at, int):
        return None
    found = properties_of(record)
    profile_id = record.values["profile_id"]
    currency = found.currency_code or found.value_currency
    return Fact(
        record.id,
        at,
        metric_id,
        roles[metric_id],
        profile_id if isinstance(profile_id, str) else None,
        _text(found.message),
        _text(found.flow),
        _text(found.variation),
        found.machine_open is True,
        float(found.value) if isinstance(found.value, int | float) else 0.0,
        _text(currency),
        tuple(map(str, found.codes)) if isinstance(found.codes, list) else (),
        len(found.items) if isinstance(found.items, list) else 0,
        _text(found.form_id),
        _attributed(record),
    )


def properties_of(record: Record) -> EventProperties:
    """Return the properties of an event that the sandbox itself reads."""
    try:
        return msgspec.json.decode(record.raw, type=_TypedEvent).attributes.event_properties
    except msgspec.ValidationError:
        return EventProperties()  # Properties that are no object, as some tests set them, say nothing.
    except msgspec.DecodeError:
        # Half of an escaped emoji: strict parsers reject it, Python's parser does not.
        return msgspec.convert(json.loads(record.raw)["attributes"]["event_properties"], EventProperties)


def _attributed(record: Record) -> Attributed | None:
    """Return what the first attribution of an event names."""
    if not record.resources:
        return None
    named = msgspec.json.decode(members_of(next(iter(record.resources.values())))["relationships"], type=dict[str, _Relationship])

    def id_of(*names: str) -> str | None:
        return next((named[name].data.id for name in names if name in named), None)

    message_id = id_of("campaign-message", "flow-message")
    return Attributed(id_of("attributed-event"), message_id, id_of("campaign"), id_of("flow"), id_of("flow-message-variation"))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None

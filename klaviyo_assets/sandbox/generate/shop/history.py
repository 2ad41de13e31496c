"""The events of the account: what its customers do, and around that everything that makes real accounts hard to read.

The events are made customer by customer, so a history of any length needs the memory of one customer. Their number is exactly the one in the options.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from klaviyo_assets.sandbox.generate.attributions import Sent, attribution
from klaviyo_assets.sandbox.generate.context import GenerationContext, Lifetime, Sale
from klaviyo_assets.sandbox.generate.events import event_record, late_moments, with_attributions
from klaviyo_assets.sandbox.generate.metric_names import Role
from klaviyo_assets.sandbox.generate.properties import whole
from klaviyo_assets.sandbox.generate.shop import texts
from klaviyo_assets.sandbox.generate.shop.customers import Customer, make_customer
from klaviyo_assets.sandbox.generate.shop.inventory import Inventory
from klaviyo_assets.sandbox.generate.shop.journey import Bought, Draft, Journey, Touch
from klaviyo_assets.sandbox.instants import DAY, SECOND
from klaviyo_assets.sandbox.records import Record

_EVENTS_OF_A_CUSTOMER = 16
"""Events of a customer on average; other profiles are contacts that never did anything."""

_WITHOUT_PROFILE = 40
"""For one customer in this many there is another one without a profile, because it has been deleted."""

_POOL = 2_000
"""Customers that late events and the last events are made of."""

_RENAMED = 0.7
"""A metric got another name after this part of the history."""

_LATEST_DELIVERY = 18 * DAY


class _Known(NamedTuple):
    """A customer that further events can be made of, with the last touch and the last delivered e-mail."""

    customer: Customer
    touch: tuple[int, str, Touch] | None
    delivery: tuple[int, str] | None


class History:
    """Makes the events of an account.

    Args:
        context: The account being generated.
        inventory: What the events refer to.
        profile_ids: Ids of the profiles.
        lifetimes: Their lifetimes.

    Attributes:
        customers: The customers by profile; complete once the events have been read.
    """

    def __init__(self, context: GenerationContext, inventory: Inventory, profile_ids: Sequence[str], lifetimes: Sequence[Lifetime]) -> None:
        self._context, self._inventory = context, inventory
        self._ids, self._lifetimes = profile_ids, lifetimes
        self._rng = context.rng("events")
        self._base = context.base - context.base % SECOND
        self._journey = Journey(inventory, self._rng, self._base, context.base - int(context.history * (1 - _RENAMED)))
        self._inline = context.options.attributions_without_include
        self._number = 0
        self._known: list[_Known] = []
        self._delivered: list[_Known] = []
        self._received = inventory.metric(Role.RECEIVED_EMAIL)
        self.customers: dict[str, Customer] = {}

    def events(self) -> Iterator[Record]:
        """Yield the events that have arrived at the base instant."""
        count = self._context.options.events
        ahead = max(1, count // 500) if count else 0
        rush = min(300, count // 10)
        left = count - ahead - rush
        for batch in self._of_customers(left):
            left -= len(batch)
            yield from batch
        yield from self._last_visits(left)
        yield from self._import(rush)
        yield from self._future(ahead)

    def late_events(self, count: int) -> Iterator[tuple[Record, int]]:
        """Yield events that arrive after the base instant, each with its arrival; read the other ones before."""
        moments = late_moments(self._context, self._rng, count)
        while count:
            moment, arrival = next(moments)
            batch = self._late(moment)
            if len(batch) > count:
                batch = [self._single(self._any(), moment)]
            count -= len(batch)
            yield from ((event, arrival) for event in batch)

    def _of_customers(self, count: int) -> Iterator[list[Record]]:
        """Yield the events of one customer after the other, together not more than ``count``."""
        rng = self._rng
        total = min(len(self._ids), max(1, count // _EVENTS_OF_A_CUSTOMER))
        recent, left = count // 50, count
        for number in range(total):
            # Most customers do little, and some a lot.
            wanted = left / (total - number) * (0.4 + rng.expovariate(1.6))
            is_recent = recent > 0 and rng.random() < recent / (4 * (total - number))
            people: list[tuple[str | None, int]] = [(self._ids[number], self._lifetimes[number].created)]
            if number % _WITHOUT_PROFILE == 1:
                people.append((None, self._lifetimes[number].created))
            for id, created in people:
                customer = make_customer(rng, self._inventory, id, created)
                drafts = self._journey.of(customer, min(wanted, left), recent=is_recent)
                if not drafts or len(drafts) > left:
                    continue
                recent -= 4 * is_recent
                left -= len(drafts)
                yield self._records(customer, drafts)

    def _records(self, customer: Customer, drafts: Sequence[Draft]) -> list[Record]:
        """Return the events of a customer, orders with what they are attributed to, and remember the customer."""
        touch: tuple[int, str, Touch] | None = None
        delivery: tuple[int, str] | None = None
        found: list[Record] = []
        for draft in drafts:
            event = self._event(customer.id, draft, touch)
            found.append(event)
            if isinstance(draft.meaning, Touch) and draft.at > (touch[0] if touch else 0):
                touch = draft.at, event.id, draft.meaning
            if isinstance(draft.meaning, Bought):
                self._sold(customer, draft.meaning.order, draft.at, event.id)
            if draft.metric_id == self._received and draft.at > self._base - _LATEST_DELIVERY:
                delivery = draft.at, draft.text
        customer.last_event = drafts[-1].at
        if customer.id is not None:
            self.customers[customer.id] = customer
        self._remember(_Known(customer, touch, delivery))
        return found

    def _sold(self, customer: Customer, order: texts.Order, at: int, event_id: str) -> None:
        customer.orders += 1
        customer.cents += order.cents
        if customer.id is not None and len(self._context.sales) < _POOL:
            self._context.sales.append(Sale(order.lines[0].product, at, event_id, customer.id))

    def _remember(self, known: _Known) -> None:
        if known.delivery is not None and len(self._delivered) < _POOL:
            self._delivered.append(known)
        if len(self._known) < _POOL:
            self._known.append(known)
        elif self._rng.random() < 0.1:
            self._known[int(self._rng.random() * _POOL)] = known

    def _event(self, profile_id: str | None, draft: Draft, touch: tuple[int, str, Touch] | None) -> Record:
        """Make the record of an event; a number decides about its oddities."""
        self._number += 1
        number, text = self._number, draft.text
        is_attributed = isinstance(draft.meaning, Bought) and touch is not None and touch[0] < draft.at <= touch[2].until
        if is_attributed and touch is not None:
            _, touch_id, sent = touch
            text += texts.attribution_text(touch_id, sent.message, sent.arm, sent.sent_at)
        event = self._record(draft.at, draft.metric_id, profile_id, text, number)
        if is_attributed and touch is not None:
            resources = {f"at{event.id}": attribution(event.id, f"at{event.id}", touch_id, _sent(sent))}
            event = with_attributions(event, resources, inline=self._inline)
        return event

    def _record(self, at: int, metric_id: str | None, profile_id: str | None, text: str, number: int) -> Record:
        return event_record(self._context, at, metric_id, profile_id, whole(text, number, halves=self._context.options.lone_surrogates))

    def _last_visits(self, count: int) -> Iterator[Record]:
        """Yield further events of known customers; of metrics that have been deleted, one in ten."""
        for number in range(count):
            known = self._any()
            at = known.customer.created + int(self._rng.random() * max(0, self._base - known.customer.created)) // SECOND * SECOND
            known.customer.last_event = max(at, known.customer.last_event or 0)
            yield self._single(known, min(at, self._base), deleted=number % 10 == 3)

    def _single(self, known: _Known, at: int, *, deleted: bool = False) -> Record:
        """Make one event of a customer that belongs to nothing else."""
        self._number += 1
        rng, roles = self._rng, self._inventory.metrics
        metric_id, text = None, texts.custom_text(rng)
        if not deleted:
            ids = roles.get(Role.ACTIVE_ON_SITE) or roles.get(Role.CUSTOM) or self._metric_ids()
            metric_id, text = ids[int(rng.random() * len(ids))], texts.visit(rng) if rng.random() < 0.95 else ""
        return self._record(at, metric_id, known.customer.id, text, self._number)

    def _metric_ids(self) -> list[str]:
        return [id for ids in self._inventory.metrics.values() for id in ids]

    def _any(self) -> _Known:
        if not self._known:
            number = int(self._rng.random() * len(self._ids))
            customer = make_customer(self._rng, self._inventory, self._ids[number], min(self._lifetimes[number].created, self._base - SECOND))
            self.customers[self._ids[number]] = customer
            customer.email = customer.sms = customer.push = False
            self._known.append(_Known(customer, None, None))
        return self._known[int(self._rng.random() * len(self._known))]

    def _import(self, count: int) -> Iterator[Record]:
        """Yield events that a program of the shop imported at once: they all have the same second."""
        roles = self._inventory.metrics
        ids = (
            roles.get(Role.POINTS_CREDITED)
            or roles.get(Role.CUSTOM)
            or roles.get(Role.ACTIVE_ON_SITE)
            or [id for ids in roles.values() for id in ids]
        )
        at = self._base - self._context.history // 3 // SECOND * SECOND
        for number in range(count):
            self._number += 1
            text = f'"$event_id":"import-{number}","Points":{self._rng.randrange(10, 500)},"Reason":"Import"'
            yield self._record(at, ids[0], self._any().customer.id, text, self._number)

    def _future(self, count: int) -> Iterator[Record]:
        """Yield events with a time in the future, up to a year, as Klaviyo accepts them; half are orders of a shop with a wrong clock."""
        ids = self._inventory.metrics.get(Role.CUSTOM) or self._metric_ids()
        for number in range(count):
            at = self._base + DAY * (1 + 363 * number // count) + int(self._rng.random() * DAY) // SECOND * SECOND
            known = self._any()
            order = self._journey.future_order(known.customer, at) if number % 2 else None
            draft = order or Draft(at, ids[number % len(ids)], texts.custom_text(self._rng))
            yield self._event(known.customer.id, draft, None)

    def _late(self, moment: int) -> list[Record]:
        """Return what a customer did some time ago and arrives late: an open, an order, or a visit."""
        known, rng = self._any(), self._rng
        opened = self._inventory.metric(Role.OPENED_EMAIL)
        if self._delivered and rng.random() < 0.4:
            known = self._delivered[int(rng.random() * len(self._delivered))]
        if known.delivery is not None and known.delivery[0] < moment and opened is not None:
            return [self._event(known.customer.id, Draft(moment, opened, known.delivery[1] + texts.opened(rng, machine=False)), None)]
        is_after = moment > max(known.customer.created, known.touch[0] if known.touch else 0)
        if is_after and rng.random() < 0.3 and (drafts := self._journey.order(known.customer, moment)):
            return [self._event(known.customer.id, draft, known.touch) for draft in drafts]
        return [self._single(known, moment)]


def _sent(touch: Touch) -> Sent:
    return Sent(touch.message.id, touch.message.campaign_id, touch.message.flow_id, touch.arm)

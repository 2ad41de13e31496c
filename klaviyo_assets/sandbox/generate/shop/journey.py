"""What one customer does: signs up, receives, opens and clicks messages, looks around, buys, and one day leaves."""

import random
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from klaviyo_assets.sandbox.generate.metric_names import Role
from klaviyo_assets.sandbox.generate.shop import texts
from klaviyo_assets.sandbox.generate.shop.customers import Customer, Loss, choose_lists
from klaviyo_assets.sandbox.generate.shop.inventory import Inventory, Message
from klaviyo_assets.sandbox.instants import DAY, HOUR, MINUTE, SECOND

_WINDOWS = {"email": 5 * DAY, "sms": DAY}
"""How long an opened or clicked message gets the credit for an order, by channel."""

_MAILINGS = 0.36
"""Campaigns that a customer gets at most, per event of the customer."""

_SUBSCRIBED = {"email": Role.SUBSCRIBED_EMAIL, "sms": Role.SUBSCRIBED_SMS}


class Touch(NamedTuple):
    """An open or a click that later orders can be attributed to, until it is too old."""

    message: Message
    arm: str | None
    sent_at: int
    until: int


class Bought(NamedTuple):
    """An order, which is attributed to the last touch before it."""

    order: texts.Order


class Draft(NamedTuple):
    """An event that is not yet a record.

    Attributes:
        at: Its time.
        metric_id: Its metric; None for a deleted one.
        text: Its properties, without attribution.
        meaning: What it means for other events.
    """

    at: int
    metric_id: str | None
    text: str
    meaning: Touch | Bought | None = None


class Journey:
    """Writes the events of customers.

    Args:
        inventory: What events can refer to.
        rng: Source of random numbers.
        base: The latest time of an event.
        renamed: When the metric of unsubscribes got its new name.
    """

    def __init__(self, inventory: Inventory, rng: random.Random, base: int, renamed: int) -> None:
        self._inventory, self._rng, self._base, self._renamed = inventory, rng, base, renamed
        self._ids = {role: ids[0] for role, ids in inventory.metrics.items()}
        self._custom = inventory.metrics.get(Role.CUSTOM, [])
        self._lists = [*inventory.lists]
        self._campaigns = _by_audience(inventory)
        self._orders = 0
        self._drafts: list[Draft] = []
        self._visits: list[tuple[int, float]] = []

    def of(self, customer: Customer, events: float, *, recent: bool = False) -> list[Draft]:
        """Return about this many events of a customer, in the order of their times.

        Args:
            customer: The customer; what the events say about lists and consents is recorded in it.
            events: The number.
            recent: Whether one more visit was in the last hour.
        """
        self._drafts, self._visits = [], []
        if customer.id is not None:
            self._sign_up(customer)
        for at, message, arm in self._mailings(customer, int(events * _MAILINGS + self._rng.random())):
            self._send(customer, message, arm, at, may_leave=True)
        for at, chance in self._visits:
            self._visit(customer, at, chance)
        if recent:
            self._visit(customer, max(customer.created, self._base - int(self._rng.random() * HOUR) // SECOND * SECOND), 0.1)
        self._fill(customer, events)
        self._drafts.sort(key=lambda draft: draft[0])
        return self._drafts

    def order(self, customer: Customer, at: int) -> list[Draft]:
        """Return the events of one order."""
        self._drafts = []
        self._buy(customer, at)
        return self._drafts

    def future_order(self, customer: Customer, at: int) -> Draft | None:
        """Return an order with a time in the future, as a shop with a wrong clock sends it; None if the account has no metric of orders."""
        metric_id = self._ids.get(Role.PLACED_ORDER)
        return None if metric_id is None else Draft(at, metric_id, texts.order_text(self._rng, self._order(customer)))

    def _add(self, role: Role, at: int, text: str, meaning: Touch | Bought | None = None) -> None:
        """Add an event, if the account has a metric for it, and if it is not in the future."""
        metric_id = self._ids.get(role)
        if metric_id is not None and at <= self._base:
            self._drafts.append(Draft(at, metric_id, text, meaning))

    def _sign_up(self, customer: Customer) -> None:
        at, rng = customer.created, self._rng
        if customer.method == "CHECKOUT" or (not customer.email and rng.random() < 0.4):
            self._buy(customer, at)
        if at > self._base or not customer.email:
            return
        if customer.form[0]:
            self._add(Role.FORM_SUBMITTED, at, texts.form_text(*customer.form))
        for channel in ("email", "sms") if customer.sms else ("email",):
            if _SUBSCRIBED[channel] in self._ids:
                self._add(_SUBSCRIBED[channel], at, texts.consent_text(customer.method, customer.form[0], channel))
                customer.subscribed[channel] = at
        for number, list_id in enumerate(choose_lists(rng, self._lists)):
            joined = at if number == 0 else self._later(at)
            self._join(customer, list_id, joined, may_leave=number > 0)
        for _ in range(int(rng.random() * 2.4)):
            if self._inventory.segments:
                customer.joined[self._inventory.segments[int(rng.random() * len(self._inventory.segments))]] = self._later(at)

    def _later(self, at: int) -> int:
        return at + int(self._rng.random() * (self._base - at)) // SECOND * SECOND

    def _join(self, customer: Customer, list_id: str, at: int, *, may_leave: bool) -> None:
        text = texts.list_text(self._inventory.lists[list_id], customer.method)
        self._add(Role.SUBSCRIBED_LIST, at, text)
        customer.joined[list_id] = at
        if may_leave and Role.UNSUBSCRIBED_LIST in self._ids and self._rng.random() < 0.2:
            customer.left[list_id] = self._later(at)
            self._add(Role.UNSUBSCRIBED_LIST, customer.left[list_id], text)
            del customer.joined[list_id]

    def _mailings(self, customer: Customer, most: int) -> list[tuple[int, Message, str | None]]:
        """Return what is sent to a customer, in the order of the times: the welcome series and some of the campaigns to the customer's audiences."""
        found: list[tuple[int, Message, str | None]] = []
        if customer.id is None:
            return found
        campaigns: dict[str, tuple[int, Sequence[Message]]] = {}
        for audience, joined in (*customer.joined.items(), *(((None, customer.created),) if None in self._campaigns else ())):
            for sent_at, messages in self._campaigns.get(audience, ()):
                if joined < sent_at and customer.can_receive(messages[0].channel, sent_at):
                    campaigns[str(messages[0].campaign_id)] = sent_at, messages
        chosen = list(campaigns.values())
        for sent_at, messages in self._rng.sample(chosen, most) if len(chosen) > most else chosen:
            found.append((sent_at, messages[int(self._rng.random() * len(messages))], None))
        found.extend(self._series("Welcome series", customer.created + MINUTE, 2 * DAY))
        return sorted(found, key=lambda mailing: mailing[0])

    def _series(self, word: str, at: int, apart: int) -> list[tuple[int, Message, str | None]]:
        """Return the messages of a flow that starts at an instant, if the account has such a flow by then."""
        flows = [flow for flow in self._inventory.flows.get(word, ()) if flow[0].sent_at < at]
        if not flows or self._rng.random() < 0.25:
            return []
        rng = self._rng
        return [
            (at + number * apart, message, rng.choice(message.arms) if message.arms else None)
            for number, message in enumerate(flows[int(rng.random() * len(flows))][:3])
        ]

    def _send(self, customer: Customer, message: Message, arm: str | None, sent_at: int, *, may_leave: bool = False) -> int | None:
        """Send a message and return when it was clicked, if it was."""
        channel, rng = message.channel, self._rng
        if not customer.can_receive(channel, sent_at):
            return None
        # Many arrive in the same second: a campaign is sent at once.
        at = sent_at if rng.random() < 0.6 else sent_at + int(rng.random() * 120) * SECOND
        at -= at % SECOND
        head = texts.message_head(message, sent_at, arm, customer.inbox if channel == "email" else "")
        if channel == "sms":
            return self._send_sms(customer, message, arm, at, head, may_leave=may_leave)
        if channel == "push":
            self._add(Role.RECEIVED_PUSH, at, head)
            if rng.random() < 0.06:
                self._add(Role.OPENED_PUSH, at + int(rng.random() * 3 * HOUR) // SECOND * SECOND, head)
            return None
        chance = rng.random()
        if chance < 0.016:
            hard = chance < 0.005 and may_leave
            self._add(Role.BOUNCED_EMAIL, at, head + texts.bounced(rng, hard=hard))
            if hard:
                customer.lost["email"] = Loss(at, "HARD_BOUNCE")
            return None
        if chance < 0.018:
            self._add(Role.DROPPED_EMAIL, at, head)
            return None
        self._add(Role.RECEIVED_EMAIL, at, head)
        return self._read(customer, Touch(message, arm, sent_at, 0), at, head, may_leave=may_leave)

    def _read(self, customer: Customer, sent: Touch, at: int, head: str, *, may_leave: bool) -> int | None:
        """Open a delivered e-mail, or not, and return when it was clicked."""
        rng = self._rng
        if customer.has_machine and rng.random() < 0.8:
            self._add(Role.OPENED_EMAIL, at + int(rng.random() * 900) * SECOND, head + texts.opened(rng, machine=True))
        if may_leave and rng.random() < 0.0012:
            self._add(Role.MARKED_SPAM, at + HOUR, head)
            customer.lost["email"] = Loss(at + HOUR, "SPAM_COMPLAINT")
            return None
        if rng.random() > customer.engagement * (1 if at < customer.churned else 0.15):
            return None
        opened = at + 20 * SECOND + int(rng.expovariate(1 / (6 * HOUR))) // SECOND * SECOND
        touch = sent._replace(until=opened + _WINDOWS["email"])
        self._add(Role.OPENED_EMAIL, opened, head + texts.opened(rng, machine=False), touch)
        if rng.random() < 0.15:
            again = opened + int(rng.random() * DAY) // SECOND * SECOND
            self._add(Role.OPENED_EMAIL, again, head + texts.opened(rng, machine=False), touch._replace(until=again + _WINDOWS["email"]))
        chance = rng.random()
        if may_leave and chance < 0.02:
            self._unsubscribe(customer, "email", opened + 30 * SECOND, head)
        return self._click(Role.CLICKED_EMAIL, touch, opened, head, 0.45) if chance > 0.7 else None

    def _click(self, role: Role, touch: Touch, at: int, head: str, buys: float) -> int:
        """Click a message once or twice, visit the shop and return the time of the click."""
        rng = self._rng
        clicked = at + 5 * SECOND + int(rng.random() * 240) * SECOND
        product = self._inventory.products[int(rng.random() * len(self._inventory.products))]
        text, window = head + texts.clicked(rng, product), _WINDOWS[touch.message.channel]
        self._add(role, clicked, text, touch._replace(until=clicked + window))
        if rng.random() < 0.2:
            self._add(role, clicked + 40 * SECOND, text, touch._replace(until=clicked + 40 * SECOND + window))
        self._visits.append((clicked + 50 * SECOND, buys))
        if rng.random() < 0.3:
            self._visits.append((clicked + int(rng.random() * 4 * DAY) // SECOND * SECOND, buys))
        return clicked

    def _send_sms(self, customer: Customer, message: Message, arm: str | None, at: int, head: str, *, may_leave: bool) -> int | None:
        rng, chance = self._rng, self._rng.random()
        if chance < 0.02:
            self._add(Role.FAILED_SMS, at, head)
            return None
        self._add(Role.RECEIVED_SMS, at, head + texts.sms_cost())
        if may_leave and chance < 0.03:
            self._unsubscribe(customer, "sms", at + 5 * MINUTE, head)
        if rng.random() > 0.4 * customer.engagement or at >= customer.churned:
            return None
        return self._click(Role.CLICKED_SMS, Touch(message, arm, at, 0), at + int(rng.random() * 2 * HOUR) // SECOND * SECOND, head, 0.4)

    def _unsubscribe(self, customer: Customer, channel: str, at: int, head: str) -> None:
        if at > self._base:
            return
        role = Role.UNSUBSCRIBED_SMS
        if channel == "email":
            role = Role.UNSUBSCRIBED_EMAIL if at >= self._renamed and Role.UNSUBSCRIBED_EMAIL in self._ids else Role.UNSUBSCRIBED_EMAIL_BEFORE
        if role in self._ids:
            self._add(role, at, head)
            customer.lost[channel] = Loss(at, "UNSUBSCRIBE")

    def _fill(self, customer: Customer, events: float) -> None:
        """Add visits and events that the shop made up itself, until the customer has enough events."""
        rng, end = self._rng, min(self._base, max(customer.churned, customer.created + DAY))
        for _ in range(int(events)):
            if len(self._drafts) >= events:
                return
            at = customer.created + int(rng.random() * (end - customer.created)) // SECOND * SECOND
            chance = rng.random()
            if chance < 0.04:
                self._drafts.append(Draft(at, None, texts.custom_text(rng)))
            elif chance < 0.24 and self._custom:
                text = texts.custom_text(rng) if chance < 0.23 else ""
                self._drafts.append(Draft(at, self._custom[int(rng.random() * len(self._custom))], text))
            else:
                self._visit(customer, max(customer.created, _at_daytime(rng, at)), 0.13)

    def _visit(self, customer: Customer, at: int, buys: float, *, follow_up: bool = True) -> None:
        """Visit the shop, and perhaps buy; a cart that is left behind is followed up."""
        rng = self._rng
        self._add(Role.ACTIVE_ON_SITE, at, texts.visit(rng))
        if rng.random() < 0.1:
            self._add(Role.SUBMITTED_SEARCH, at, texts.searched(rng))
        line = self._line()
        for _ in range(1 + int(rng.random() * 2)):
            at += 15 * SECOND + int(rng.random() * 90) * SECOND
            self._add(Role.VIEWED_PRODUCT, at, texts.viewed(rng, line, customer.currency))
        chance = rng.random()
        if at >= customer.churned:
            return
        if chance < buys:
            self._add(Role.ADDED_TO_CART, at + 20 * SECOND, texts.viewed(rng, line, customer.currency))
            self._buy(customer, at + 3 * MINUTE, line, follow_up=follow_up)
        elif chance < buys + 0.1:
            self._add(Role.ADDED_TO_CART, at + 20 * SECOND, texts.viewed(rng, line, customer.currency))
            self._add(Role.CHECKOUT_STARTED, at + MINUTE, texts.order_text(rng, self._order(customer, line)))
            if follow_up:
                self._follow_up(customer, "Abandoned cart", at + HOUR, 0.5)

    def _follow_up(self, customer: Customer, word: str, at: int, buys: float) -> None:
        """Send the messages of a flow, until one brings the customer back."""
        for sent_at, message, arm in self._series(word, at, 20 * HOUR):
            self._visits = []
            clicked = self._send(customer, message, arm, sent_at)
            if clicked is not None:
                self._visit(customer, clicked + 50 * SECOND, buys, follow_up=False)
                return

    def _line(self) -> texts.Line:
        rng, products = self._rng, self._inventory.products
        product = products[int(rng.random() ** 1.6 * len(products))]
        variant = product.variants[int(rng.random() * len(product.variants))]
        return texts.Line(product, variant, 1 if rng.random() < 0.8 else 2, product.cents)

    def _order(self, customer: Customer, line: texts.Line | None = None) -> texts.Order:
        rng = self._rng
        lines = [line or self._line(), *(self._line() for _ in range(int(rng.random() * 2.4)))]
        discount, codes = 0, ""
        if self._inventory.codes and rng.random() < 0.25:
            discount = sum(one.quantity * one.cents for one in lines) // 10
            codes = texts.code_text(self._inventory.codes[int(rng.random() * len(self._inventory.codes))])
        self._orders += 1
        # Digits in no order: the shop numbers the orders of all its channels.
        return texts.Order(10_000_000 + self._orders * 7919 % 89_999_999, customer.currency, lines, discount, codes)

    def _buy(self, customer: Customer, at: int, line: texts.Line | None = None, *, follow_up: bool = False) -> None:
        """Place an order, with everything that shops report about it."""
        rng, order = self._rng, self._order(customer, line)
        text = texts.order_text(rng, order)
        self._add(Role.CHECKOUT_STARTED, at - 30 * SECOND if line is not None else at, text)
        self._add(Role.PLACED_ORDER, at, text, Bought(order))
        if rng.random() < 0.4:
            self._add(Role.PLACED_ORDER_OF_API, at, texts.order_text(rng, order, currency_key="$value_currency"))
        for number in range(len(order.lines)):
            self._add(Role.ORDERED_PRODUCT, at, texts.ordered_text(order, number))
        after = at + DAY + int(rng.random() * 2 * DAY) // SECOND * SECOND
        chance = rng.random()
        if chance < 0.03:
            self._add(Role.CANCELLED_ORDER, at + HOUR, text)
            return
        self._add(Role.FULFILLED_ORDER, after, text)
        if chance < 0.09:
            self._add(Role.REFUNDED_ORDER, after + 5 * DAY, text)
        elif chance < 0.2:
            self._add(Role.SUBMITTED_REVIEW, after + 9 * DAY, texts.review_text(rng, order.lines[0]))
        if follow_up:
            self._follow_up(customer, "Post-purchase", at + DAY, 0.4)


def _at_daytime(rng: random.Random, at: int) -> int:
    """Return a time on the same day at which people are awake."""
    return at - at % DAY + int(rng.triangular(6 * HOUR, 22 * HOUR, 17 * HOUR)) // SECOND * SECOND if rng.random() < 0.8 else at


def _by_audience(inventory: Inventory) -> Mapping[str | None, list[tuple[int, Sequence[Message]]]]:
    """Return the campaigns by the lists and segments that they were sent to; None for those to an audience that the account does not have."""
    of_campaign: dict[str, tuple[list[Message], tuple[str, ...]]] = {}
    for message, audiences in inventory.messages:
        of_campaign.setdefault(str(message.campaign_id), ([], audiences))[0].append(message)
    known = {*inventory.lists, *inventory.segments}
    found: dict[str | None, list[tuple[int, Sequence[Message]]]] = {}
    for messages, audiences in of_campaign.values():
        for audience in dict.fromkeys(one if one in known else None for one in audiences):
            found.setdefault(audience, []).append((messages[0].sent_at, messages))
    return found

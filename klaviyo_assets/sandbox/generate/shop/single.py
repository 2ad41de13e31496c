"""Events one at a time, for changes to an account that exists: like those of a customer, but with nothing before or after them."""

import random
from collections.abc import Callable, Mapping
from typing import NamedTuple

from klaviyo_assets.sandbox.generate.context import GenerationContext
from klaviyo_assets.sandbox.generate.events import event_record
from klaviyo_assets.sandbox.generate.metric_names import Role
from klaviyo_assets.sandbox.generate.metrics import role_of_metric
from klaviyo_assets.sandbox.generate.properties import whole
from klaviyo_assets.sandbox.generate.shop import texts
from klaviyo_assets.sandbox.generate.shop.inventory import Inventory, Message
from klaviyo_assets.sandbox.instants import DAY
from klaviyo_assets.sandbox.records import Record
from klaviyo_assets.sandbox.store import Store

_INBOX = ',"Email Domain":"mail.example","Inbox Provider":"Gmail"'

_GONE = Message(
    "01GONE0000000000000000GONE", "email", "01GONE0000000000000000GONE", None, 0, '"$message":"01GONE0000000000000000GONE","Campaign Name":"Gone"'
)
"""A message that has been deleted, for an account that has none."""

_CHANNELS: Mapping[Role, str] = {
    **dict.fromkeys((Role.RECEIVED_SMS, Role.CLICKED_SMS, Role.FAILED_SMS, Role.UNSUBSCRIBED_SMS), "sms"),
    **dict.fromkeys((Role.RECEIVED_PUSH, Role.OPENED_PUSH), "push"),
}

_ADDED: Mapping[Role, Callable[[random.Random], str]] = {
    Role.OPENED_EMAIL: lambda rng: texts.opened(rng, machine=rng.random() < 0.2),
    Role.BOUNCED_EMAIL: lambda rng: texts.bounced(rng, hard=rng.random() < 0.3),
    Role.RECEIVED_SMS: lambda rng: texts.sms_cost(),
}
"""What an event of a message adds to what all of them have in common."""

_OF_MESSAGES = frozenset({Role.RECEIVED_EMAIL, Role.CLICKED_EMAIL, Role.MARKED_SPAM, Role.UNSUBSCRIBED_EMAIL, Role.UNSUBSCRIBED_EMAIL_BEFORE}).union(
    (Role.DROPPED_EMAIL,), _CHANNELS, _ADDED
)

_OF_ORDERS = frozenset({Role.PLACED_ORDER, Role.CHECKOUT_STARTED, Role.REFUNDED_ORDER, Role.CANCELLED_ORDER, Role.FULFILLED_ORDER})


class Subject(NamedTuple):
    """The metric and the profile of an event; None for a deleted one."""

    metric_id: str | None
    profile_id: str | None


class SingleEvents:
    """Makes events of an account as it is now.

    Args:
        context: Options and ids.
        store: The account; it must have a metric.
        rng: Source of random numbers.
    """

    def __init__(self, context: GenerationContext, store: Store, rng: random.Random) -> None:
        self._context, self._store, self._rng = context, store, rng
        self._inventory = Inventory(store)
        self._metric_ids = [record.id for record in store["metrics"]]
        self._profile_ids = [record.id for record in store["profiles"]]

    def choose(self) -> Subject:
        """Return a random subject; a few have no profile or no metric."""
        chance, rng = self._rng.random(), self._rng
        metric_id = self._metric_ids[int(rng.random() * len(self._metric_ids))]
        # The square gives some profiles many events and many profiles few.
        profile_id = self._profile_ids[int(rng.random() ** 2 * len(self._profile_ids))]
        return Subject(None if chance < 0.005 else metric_id, None if 0.005 <= chance < 0.02 else profile_id)

    def role(self, metric_id: str | None) -> Role:
        """Return what a metric is for."""
        metric = self._store["metrics"].get(metric_id) if metric_id is not None else None
        return Role.CUSTOM if metric is None else role_of_metric(metric)

    def make(self, subject: Subject, when: int, number: int = 1) -> Record:
        """Make an event.

        Args:
            subject: Its metric and its profile.
            when: Its time: whole seconds, as microseconds.
            number: Its index in the batch; determines its oddity.
        """
        text = whole(self._text(self.role(subject.metric_id), when), number, halves=self._context.options.lone_surrogates)
        return event_record(self._context, when, subject.metric_id, subject.profile_id, text)

    def _text(self, role: Role, when: int) -> str:
        rng, inventory = self._rng, self._inventory
        if role in _OF_MESSAGES:
            return self._message(role, when)
        if role in _OF_ORDERS or role is Role.PLACED_ORDER_OF_API:
            return texts.order_text(rng, self._order(), currency_key="$currency_code" if role in _OF_ORDERS else "$value_currency")
        match role:
            case Role.ORDERED_PRODUCT:
                return texts.ordered_text(self._order(), 0)
            case Role.VIEWED_PRODUCT | Role.ADDED_TO_CART:
                return texts.viewed(rng, self._line(), rng.choice(("EUR", "USD")))
            case Role.ACTIVE_ON_SITE:
                return texts.visit(rng)
            case Role.SUBMITTED_SEARCH:
                return texts.searched(rng)
            case Role.SUBMITTED_REVIEW:
                return texts.review_text(rng, self._line())
            case Role.SUBSCRIBED_EMAIL | Role.SUBSCRIBED_SMS:
                return texts.consent_text("API", "", "sms" if role is Role.SUBSCRIBED_SMS else "email")
            case Role.SUBSCRIBED_LIST | Role.UNSUBSCRIBED_LIST if inventory.lists:
                return texts.list_text(rng.choice([*inventory.lists.values()]), "API")
            case Role.FORM_SUBMITTED if inventory.forms:
                return texts.form_text(*rng.choice(inventory.forms))
        return texts.custom_text(rng)

    def _message(self, role: Role, when: int) -> str:
        rng, channel = self._rng, _CHANNELS.get(role, "email")
        sent = [one for one in self._inventory.sent() if one.channel == channel and one.sent_at < when] or [_GONE]
        message = rng.choice(sent)
        arm = rng.choice(message.arms) if message.arms else None
        head = texts.message_head(message, when - int(rng.random() * DAY), arm, _INBOX if channel == "email" else "")
        if role in (Role.CLICKED_EMAIL, Role.CLICKED_SMS):
            return head + texts.clicked(rng, self._line().product)
        return head + (_ADDED[role](rng) if role in _ADDED else "")

    def _order(self) -> texts.Order:
        rng, lines = self._rng, [self._line() for _ in range(self._rng.randint(1, 3))]
        return texts.Order(1_000_000_000 + rng.getrandbits(40), rng.choice(("EUR", "USD")), lines, 0, "")

    def _line(self) -> texts.Line:
        product = self._rng.choice(self._inventory.products)
        return texts.Line(product, self._rng.choice(product.variants), self._rng.randint(1, 2), product.cents)

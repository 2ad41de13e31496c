"""The customers of the shop: how they came, what they agreed to, how much they care, and when they leave."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from klaviyo_assets.sandbox.generate.shop.inventory import Inventory
from klaviyo_assets.sandbox.instants import DAY, SECOND

_PROVIDERS = (
    ("mail.example", "Gmail", 40),
    ("icloud.example", "Apple", 25),
    ("outlook.example", "Outlook", 15),
    ("yahoo.example", "Yahoo", 10),
    ("web.example", "Other", 10),
)
"""Domain of the address, mail provider, and percentage of the customers."""

_BY_PERCENT = tuple(number for number, provider in enumerate(_PROVIDERS) for _ in range(provider[2]))

_METHODS = ("FORM",) * 13 + ("CHECKOUT",) * 3 + ("IMPORT",) * 2 + ("API",) * 2

NEVER = 1 << 62
"""An instant after every other."""


class Loss(NamedTuple):
    """That a channel can no longer be used: since when, and why, as Klaviyo names the reason of a suppression."""

    at: int
    reason: str


@dataclass(slots=True)
class Customer:
    """A person that the shop knows.

    Attributes:
        id: Klaviyo's id of the profile; None if it has been deleted: the events remain, without a profile.
        created: When the profile was created, in microseconds.
        currency: Currency that the customer pays in.
        domain: Domain of the e-mail address.
        inbox: Mail provider and domain, as JSON text of message events.
        has_machine: Whether the mail program opens messages by itself.
        engagement: Probability of opening a message.
        churned: From when on the customer no longer buys and hardly reads.
        method: How consent was given.
        form: Id and name of the form that it was given in; empty for another method.
        email: Whether there is consent to e-mails.
        sms: Whether there is consent to text messages.
        push: Whether the shop's app is installed.
        joined: When each list and segment was joined; without those that were left.
        left: When each list was left.
        subscribed: When each channel was subscribed to.
        lost: Channels that can no longer be used.
        last_event: Time of the latest event.
        orders: Number of orders.
        cents: What they cost, in hundredths.
    """

    id: str | None
    created: int
    currency: str
    domain: str
    inbox: str
    has_machine: bool
    engagement: float
    churned: int
    method: str
    form: tuple[str, str]
    email: bool
    sms: bool
    push: bool
    joined: dict[str, int] = field(default_factory=dict)
    left: dict[str, int] = field(default_factory=dict)
    subscribed: dict[str, int] = field(default_factory=dict)
    lost: dict[str, Loss] = field(default_factory=dict)
    last_event: int | None = None
    orders: int = 0
    cents: int = 0

    def can_receive(self, channel: str, at: int) -> bool:
        """Return whether a message can be sent to the customer."""
        agreed = {"email": self.email, "sms": self.sms, "push": self.push}[channel]
        return agreed and (channel not in self.lost or at < self.lost[channel].at)


def make_customer(rng: random.Random, inventory: Inventory, id: str | None, created: int) -> Customer:
    """Make a customer whose profile was created at an instant; one without a profile only buys."""
    domain, provider, _ = _PROVIDERS[_BY_PERCENT[int(rng.random() * 100)]]
    method = _METHODS[int(rng.random() * len(_METHODS))]
    email = id is not None and rng.random() < 0.88
    form = inventory.forms[int(rng.random() ** 2 * len(inventory.forms))] if method == "FORM" and inventory.forms else ("", "")
    stays = rng.random()
    return Customer(
        id=id,
        created=created // SECOND * SECOND + SECOND,
        currency="EUR" if rng.random() < 0.7 else "USD",
        domain=domain,
        inbox=f',"Email Domain":"{domain}","Inbox Provider":"{provider}"',
        has_machine=provider == "Apple",
        engagement=0.12 + 0.6 * rng.random() ** 1.5,
        churned=NEVER if stays < 0.5 else created + int(stays * 400 * DAY),
        method=method,
        form=form,
        email=email,
        sms=email and rng.random() < 0.3,
        push=id is not None and rng.random() < 0.2,
    )


def choose_lists(rng: random.Random, lists: Sequence[str]) -> list[str]:
    """Return the lists that a new subscriber joins: most the first one, some another one, some two."""
    if not lists:
        return []
    first = lists[0] if rng.random() < 0.65 else lists[int(rng.random() * len(lists))]
    second = lists[int(rng.random() * len(lists))]
    return [first, second] if rng.random() < 0.2 and second != first else [first]

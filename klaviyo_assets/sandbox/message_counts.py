"""How often messages were delivered, opened, clicked and so on, counted from the events of the account."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from klaviyo_assets.sandbox.generate.metric_names import Role
from klaviyo_assets.sandbox.ledger import Fact

Message = tuple[str, str | None]
"""A message and its variation."""

_DELIVERED = frozenset({Role.RECEIVED_EMAIL, Role.RECEIVED_SMS, Role.RECEIVED_PUSH})
_CLICKED = frozenset({Role.CLICKED_EMAIL, Role.CLICKED_SMS})
_OPENED = frozenset({Role.OPENED_EMAIL, Role.OPENED_PUSH})
_UNSUBSCRIBED = frozenset({Role.UNSUBSCRIBED_EMAIL, Role.UNSUBSCRIBED_EMAIL_BEFORE, Role.UNSUBSCRIBED_SMS})
_SENT = _DELIVERED | {Role.BOUNCED_EMAIL, Role.FAILED_SMS}
"""Metrics of a sending, also of one that did not arrive."""

_OF_MESSAGES = _SENT | _CLICKED | _OPENED | _UNSUBSCRIBED | {Role.MARKED_SPAM}


@dataclass(slots=True)
class Counts:
    """Counts of one message; the sets hold profiles. All deleted profiles are one None there: their events no longer name them.

    Attributes:
        channel: ``email``, ``sms`` or ``push``.
        flow_id: The flow that sends it; None for a campaign.
    """

    channel: str = "email"
    flow_id: str | None = None
    delivered: int = 0
    bounced: int = 0
    failed: int = 0
    opens: int = 0
    machine_opens: int = 0
    clicks: int = 0
    unsubscribes: int = 0
    spam_complaints: int = 0
    conversions: int = 0
    value: dict[str, float] = field(default_factory=dict)
    openers: set[str | None] = field(default_factory=set)
    readers: set[str | None] = field(default_factory=set)
    clickers: set[str | None] = field(default_factory=set)
    leavers: set[str | None] = field(default_factory=set)
    buyers: set[str | None] = field(default_factory=set)

    @property
    def recipients(self) -> int:
        """Messages that were sent."""
        return self.delivered + self.bounced + self.failed

    def count(self, fact: Fact) -> None:
        """Count an event of the message."""
        role, who = fact.role, {fact.profile_id}
        self.flow_id = self.flow_id or fact.flow_id
        if "_sms" in role or "_push" in role:
            self.channel = "sms" if "_sms" in role else "push"
        if role in _DELIVERED:
            self.delivered += 1
        elif role is Role.BOUNCED_EMAIL:
            self.bounced += 1
        elif role is Role.FAILED_SMS:
            self.failed += 1
        elif role in _OPENED:
            self.opens += 1
            self.openers |= who
            self.machine_opens += fact.is_machine
            self.readers |= set() if fact.is_machine else who
        elif role in _CLICKED:
            self.clicks += 1
            self.clickers |= who
        elif role in _UNSUBSCRIBED:
            self.unsubscribes += 1
            self.leavers |= who
        else:
            self.spam_complaints += 1

    def convert(self, fact: Fact) -> None:
        """Count a conversion that is attributed to the message."""
        self.conversions += 1
        self.flow_id = self.flow_id or (fact.attributed.flow_id if fact.attributed is not None else None)
        self.value[fact.currency or ""] = self.value.get(fact.currency or "", 0.0) + fact.value
        self.buyers.add(fact.profile_id)


def of_message(fact: Fact) -> bool:
    """Return whether an event counts for a message."""
    return fact.role in _OF_MESSAGES and fact.message_id is not None


def message_of(fact: Fact, is_conversion: Callable[[Fact], bool]) -> Message | None:
    """Return the message that an event counts for, by itself or as a conversion; None if it counts for none."""
    if of_message(fact):
        return str(fact.message_id), fact.variation_id
    given = fact.attributed
    if given is not None and given.message_id is not None and is_conversion(fact):
        return given.message_id, given.variation_id
    return None


def counted(facts: Iterable[Fact], is_conversion: Callable[[Fact], bool]) -> dict[Message, Counts]:
    """Return the counts of each message and variation.

    Args:
        facts: The events.
        is_conversion: Whether an event is a conversion.
    """
    found: dict[Message, Counts] = {}
    for fact in facts:
        message = message_of(fact, is_conversion)
        if message is None:
            continue
        counts = found.setdefault(message, Counts())
        if of_message(fact):
            counts.count(fact)
        else:
            counts.convert(fact)
    return found


class SendTimes:
    """When messages were sent to profiles: what a profile does with a message counts at the time of its last sending before.

    Args:
        facts: The events.
    """

    def __init__(self, facts: Iterable[Fact]) -> None:
        self._sent: dict[tuple[str, str], list[int]] = {}
        for fact in facts:
            if fact.role in _SENT and fact.message_id is not None and fact.profile_id is not None:
                self._sent.setdefault((fact.message_id, fact.profile_id), []).append(fact.at)
        for times in self._sent.values():
            times.sort()

    def of(self, fact: Fact) -> int:
        """Return the time that an event counts at: its own one, if the message was never sent to the profile."""
        message_id = fact.message_id if of_message(fact) else fact.attributed.message_id if fact.attributed is not None else None
        times = self._sent.get((message_id or "", fact.profile_id or ""))
        return fact.at if times is None else times[max(0, bisect_right(times, fact.at) - 1)]


def statistics(counts: Counts) -> Mapping[str, float]:
    """Return the counts under the names of Klaviyo's reports; amounts of several currencies are added up, as Klaviyo adds what it is sent."""
    delivered_sms = counts.delivered if counts.channel == "sms" else 0
    return {
        "recipients": counts.recipients,
        "delivered": counts.delivered,
        "bounced": counts.bounced,
        "failed": counts.failed,
        "bounced_or_failed": counts.bounced + counts.failed,
        "opens": counts.opens,
        "opens_unique": len(counts.openers),
        "clicks": counts.clicks,
        "clicks_unique": len(counts.clickers),
        "unsubscribes": counts.unsubscribes,
        "unsubscribe_uniques": len(counts.leavers),
        "spam_complaints": counts.spam_complaints,
        "conversions": counts.conversions,
        "conversion_uniques": len(counts.buyers),
        "conversion_value": round(sum(counts.value.values()), 2),
        "message_segment_count_sum": delivered_sms,
        "text_message_credit_usage_amount": delivered_sms,
        "text_message_spend": round(delivered_sms * 0.01, 2),
    }

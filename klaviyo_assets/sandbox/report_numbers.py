"""The numbers of reports: a function of ids, days and the clock. They are plausible, never shrink, and grow while opens and orders come in."""

import hashlib
import math
from collections.abc import Mapping
from datetime import date, timedelta

_HALF_LIFE_HOURS = 24.0
"""Half of the opens, clicks and orders come within this time."""

_BEGIN_OF_SEGMENTS = date(2023, 6, 1)

Counts = dict[str, float]


def number(*parts: object) -> int:
    """Return a number that depends on nothing but its arguments."""
    return int.from_bytes(hashlib.blake2b("/".join(map(str, parts)).encode(), digest_size=6).digest(), "big")


def message_counts(sent: int, hours: float, metric: str, *parts: object) -> Counts:
    """Return the counts of messages that were sent some time ago.

    Args:
        sent: How many were sent.
        hours: How long ago.
        metric: The conversion metric.
        parts: What identifies the messages.
    """
    grown: float = 1 - 0.5 ** (max(0.0, hours) / _HALF_LIFE_HOURS)
    delivered = sent - sent * (number("bounced", *parts) % 5) // 100

    def share(name: str, most: int) -> int:
        return math.floor(delivered * (1 + number(name, *parts) % most) / 100 * grown)

    opens, clicks = share("opens", 50), share("clicks", 8)
    conversions = share(f"conversions {metric}", 4)
    return {
        "recipients": sent,
        "delivered": delivered,
        "bounced": sent - delivered,
        "failed": 0,
        "bounced_or_failed": sent - delivered,
        "opens": opens + opens // 3,
        "opens_unique": opens,
        "clicks": clicks + clicks // 4,
        "clicks_unique": clicks,
        "unsubscribes": share("unsubscribes", 2),
        "unsubscribe_uniques": share("unsubscribes", 2),
        "spam_complaints": 0,
        "conversions": conversions,
        "conversion_uniques": conversions,
        "conversion_value": conversions * (20 + number("value", metric, *parts) % 90) + 0.5 * conversions,
        "message_segment_count_sum": 0,
        "text_message_credit_usage_amount": 0,
        "text_message_spend": 0,
    }


def with_rates(counts: Mapping[str, float]) -> Counts:
    """Add the rates, which are fractions, to the counts of messages."""

    def of(name: str, whole: str) -> float:
        return round(counts[name] / counts[whole], 6) if counts[whole] else 0.0

    return {
        **counts,
        "delivery_rate": of("delivered", "recipients"),
        "bounce_rate": of("bounced", "recipients"),
        "failed_rate": of("failed", "recipients"),
        "bounced_or_failed_rate": of("bounced_or_failed", "recipients"),
        "open_rate": of("opens_unique", "delivered"),
        "click_rate": of("clicks_unique", "delivered"),
        "click_to_open_rate": of("clicks_unique", "opens_unique"),
        "unsubscribe_rate": of("unsubscribe_uniques", "delivered"),
        "spam_complaint_rate": of("spam_complaints", "delivered"),
        "conversion_rate": of("conversion_uniques", "delivered"),
        "average_order_value": of("conversion_value", "conversions"),
        "revenue_per_recipient": of("conversion_value", "recipients"),
        "text_message_roi": of("conversion_value", "text_message_spend"),
    }


def sent_on(day: date, *parts: object) -> int:
    """Return how many messages of a flow were sent on a day."""
    return number("sent", day, *parts) % 40


def form_counts(day: date, share_of_day: float, *parts: object) -> Counts:
    """Return the counts of a form on a day, of which a share has passed."""
    views = math.floor(number("views", day, *parts) % 200 * share_of_day)
    submits = views * (number("submits", *parts) % 30) // 100
    return {
        "viewed_form": views,
        "viewed_form_uniques": views * 9 // 10,
        "viewed_form_step": views + submits,
        "viewed_form_step_uniques": views,
        "closed_form": views - submits,
        "closed_form_uniques": (views - submits) * 9 // 10,
        "submits": submits,
        "submit_rate": round(submits / views, 6) if views else 0.0,
        "submitted_form_step": submits,
        "submitted_form_step_uniques": submits,
        "qualified_form": views + views // 2,
        "qualified_form_uniques": views,
    }


def segment_counts(day: date, share_of_day: float, *parts: object) -> Counts:
    """Return the members of a segment on a day, of which a share has passed."""
    before = _members(day - timedelta(days=1), *parts)
    change = math.floor((_members(day, *parts) - before) * share_of_day)
    removed = math.floor(number("removed", day, *parts) % 20 * share_of_day) + max(0, -change)
    return {"total_members": before + change, "members_added": removed + change, "members_removed": removed, "net_members_changed": change}


def _members(day: date, *parts: object) -> int:
    if day < _BEGIN_OF_SEGMENTS:
        return 0
    return 500 + number("members", *parts) % 1000 + number("members", day, *parts) % 200

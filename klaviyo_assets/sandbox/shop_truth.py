"""The truth about the shop of a sandbox, for comparison with what is computed from its tables.

It is counted in Python from the events that the account has now, so it follows deletions, merges, late events and the clock. Events with a time in
the future are left out. An order is an event of the metric that the account has mapped as its revenue.
"""

from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from klaviyo_assets.sandbox.generate.metric_names import Role
from klaviyo_assets.sandbox.generate.metrics import role_of_metric
from klaviyo_assets.sandbox.instants import from_micros, render
from klaviyo_assets.sandbox.ledger import Fact, ledger_of
from klaviyo_assets.sandbox.message_counts import Counts, Message, counted, statistics
from klaviyo_assets.sandbox.state import State


def shop_truth(state: State) -> dict[str, Any]:
    """Return the figures of the shop: its messages, orders, customers and cohorts.

    Args:
        state: The running sandbox.

    Returns:
        ``now``, ``timezone``, ``currency``; ``metrics``: ids by role; ``messages``: counts by message and variation over all time; ``orders`` by
        event id; ``customers`` by profile id; ``cohorts``: by month of the first order, the customers who ordered again so many months later;
        ``totals``. Amounts are by currency.
    """
    store, now = state.account.store, state.account.settle()
    facts = list(ledger_of(store).facts(now))
    (account,) = store["accounts"]
    attributes = account.attributes()
    zone = msgspec.json.decode(attributes["timezone"], type=str)
    metrics: dict[str, list[str]] = {}
    for metric in store["metrics"]:
        metrics.setdefault(role_of_metric(metric).value, []).append(metric.id)
    revenue = next(iter(metrics.get(Role.PLACED_ORDER.value, [])), None)
    orders = sorted((fact for fact in facts if fact.metric_id == revenue), key=lambda fact: (fact.at, fact.id))
    messages = counted(facts, lambda fact: fact.metric_id == revenue)
    return {
        "now": render(now),
        "timezone": zone,
        "currency": msgspec.json.decode(attributes["preferred_currency"], type=str),
        "metrics": {**metrics, "revenue": revenue},
        "messages": _messages(state, messages),
        "orders": {order.id: _order(order) for order in orders},
        "customers": _customers(orders),
        "cohorts": _cohorts(orders, ZoneInfo(zone)),
        "totals": _totals(orders, messages.values()),
    }


def _messages(state: State, messages: dict[Message, Counts]) -> list[dict[str, Any]]:
    campaigns = {
        message: (campaign.id, msgspec.json.decode(campaign.attributes()["send_time"], type=str | None))
        for campaign in state.account.store.with_deleted("campaigns")
        for message in campaign.related.get("campaign-messages", ())
    }
    found: list[dict[str, Any]] = []
    for (message_id, variation_id), counts in sorted(messages.items(), key=str):
        campaign_id, sent_at = campaigns.get(message_id, (None, None))
        found.append(
            {
                "message_id": message_id,
                "variation_id": variation_id,
                "kind": "flow" if counts.flow_id is not None else "campaign",
                "channel": counts.channel,
                "campaign_id": campaign_id,
                "flow_id": counts.flow_id,
                "sent_at": sent_at,
                **statistics(counts),
                "machine_opens": counts.machine_opens,
                "human_opens_unique": len(counts.readers),
                "conversion_value": _rounded(counts.value),
            }
        )
    return found


def _order(order: Fact) -> dict[str, Any]:
    given = order.attributed
    return {
        "profile_id": order.profile_id,
        "at": render(order.at),
        "value": order.value,
        "currency": order.currency,
        "codes": list(order.codes),
        "items": order.lines,
        "attributed_event_id": given and given.event_id,
        "message_id": given and given.message_id,
        "campaign_id": given and given.campaign_id,
        "flow_id": given and given.flow_id,
        "variation_id": given and given.variation_id,
    }


def _customers(orders: Sequence[Fact]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for order in orders:
        if order.profile_id is None:
            continue
        one = found.setdefault(order.profile_id, {"orders": 0, "value": {}, "first_order_at": render(order.at)})
        one |= {"orders": one["orders"] + 1, "last_order_at": render(order.at)}
        one["value"][order.currency] = round(one["value"].get(order.currency, 0.0) + order.value, 2)
    return found


def _cohorts(orders: Sequence[Fact], zone: ZoneInfo) -> dict[str, dict[str, int]]:
    """Return the number of customers by the month of their first order and the months since then, of those who ordered in that month."""
    first: dict[str, int] = {}
    active: set[tuple[int, int, str]] = set()
    for order in orders:
        if order.profile_id is not None:
            at = from_micros(order.at).astimezone(zone)
            month = 12 * at.year + at.month - 1
            begun = first.setdefault(order.profile_id, month)
            active.add((begun, month - begun, order.profile_id))
    found: dict[str, dict[str, int]] = {}
    for begun, later, _ in sorted(active):
        row = found.setdefault(f"{begun // 12:04d}-{begun % 12 + 1:02d}", {})
        row[str(later)] = row.get(str(later), 0) + 1
    return found


def _totals(orders: Sequence[Fact], messages: Any) -> dict[str, Any]:
    emails = [one for one in messages if one.channel == "email"]
    sent, delivered = (sum(getattr(one, name) for one in emails) for name in ("recipients", "delivered"))
    attributed = [order for order in orders if order.attributed is not None]

    def share(part: float, of: float) -> float | None:
        return round(part / of, 6) if of else None

    return {
        "orders": len(orders),
        "attributed_orders": len(attributed),
        "value": _sums(orders),
        "attributed_value": _sums(attributed),
        "attributed_share": share(len(attributed), len(orders)),
        "bounce_rate": share(sum(one.bounced for one in emails), sent),
        "open_rate": share(sum(len(one.openers) for one in emails), delivered),
        "human_open_rate": share(sum(len(one.readers) for one in emails), delivered),
        "click_rate": share(sum(len(one.clickers) for one in emails), delivered),
        "spam_rate": share(sum(one.spam_complaints for one in emails), delivered),
        "unsubscribe_rate": share(sum(one.unsubscribes for one in emails), delivered),
    }


def _sums(orders: Sequence[Fact]) -> dict[str, float]:
    found: dict[str, float] = {}
    for order in orders:
        found[order.currency or ""] = found.get(order.currency or "", 0.0) + order.value
    return _rounded(found)


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {currency: round(value, 2) for currency, value in sorted(values.items())}

"""Makes profiles."""

import random
from typing import Any

import msgspec

from klaviyo_assets.catalog import PROFILES
from klaviyo_assets.sandbox.fields import Value
from klaviyo_assets.sandbox.generate.consents import consents
from klaviyo_assets.sandbox.generate.context import GenerationContext, Lifetime
from klaviyo_assets.sandbox.generate.shop.customers import Customer
from klaviyo_assets.sandbox.generate.words import CITIES, FIRST_NAMES, LAST_NAMES, LOCALES
from klaviyo_assets.sandbox.instants import DAY, SECOND, parse, render, render_whole
from klaviyo_assets.sandbox.records import Record, build

_ODD_PROPERTIES = (
    b'{"tier":"gold","points":12345678901234567890123,"Points":1.50}',
    b'{"$source":-6,"tags":["a","\xc3\xa9",null,3],"nested":{"k":{"k":{"k":[]}}}}',
    b'{"weight":1e400,"ratio":0.10000000000000000555,"zero":-0.0}',
    b'{"Accepts-Marketing":true,"accepts-marketing":"yes","ACCEPTS-MARKETING":null}',
    b'{"emoji":"\\ud83d\\ude00 \xf0\x9f\x8f\xb3","rtl":"\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d","":0}',
)
_REASONS = ("HARD_BOUNCE", "INVALID_EMAIL", "SPAM_COMPLAINT", "UNSUBSCRIBE", "USER_SUPPRESSED")
_WITHOUT_EVENT = ("INVALID_EMAIL", "USER_SUPPRESSED")
"""Reasons of suppressions that leave no event."""


_NO_TRACKING: dict[str, Any] = {
    "consent": "NEVER_SUBSCRIBED",
    "consent_timestamp": None,
    "last_updated": None,
    "created_timestamp": None,
    "metadata": None,
    "can_receive": False,
    "valid_until": None,
}


def make_profile(
    context: GenerationContext,
    rng: random.Random,
    id: str,
    lifetime: Lifetime,
    list_ids: tuple[str, ...] = (),
    customer: Customer | None = None,
) -> Record:
    """Make a profile.

    Args:
        context: The account being generated.
        rng: Source of random numbers.
        id: Its id.
        lifetime: When it was created and last changed, and its last event.
        list_ids: Lists that it can be suppressed on.
        customer: What the profile's events say about it; None for a contact that never did anything.
    """
    first, last = rng.choice(FIRST_NAMES), rng.choice(LAST_NAMES)
    number = rng.getrandbits(30)
    domain = "mail.example" if customer is None else customer.domain
    attributes: dict[str, Any] = {
        "email": f"user{number}@{domain}" if rng.random() < 0.93 or (customer is not None and customer.email) else None,
        "phone_number": f"+1555{number % 10_000_000:07d}" if rng.random() < 0.4 or (customer is not None and customer.sms) else None,
        "external_id": str(number) if rng.random() < 0.5 else None,
        "anonymous_id": None,
        "whatsapp_bsuid": None,
        "first_name": first if rng.random() < 0.85 else None,
        "last_name": last if rng.random() < 0.8 else None,
        "organization": "Bäckerei & Söhne" if rng.random() < 0.05 else None,
        "locale": rng.choice(LOCALES),
        "title": "Dr." if rng.random() < 0.05 else None,
        "image": None,
        "created": render_whole(lifetime.created),
        "updated": render_whole(lifetime.updated),
        "last_event_date": None if lifetime.last_event is None else render(lifetime.last_event),
        "location": _location(rng),
        "properties": _properties(rng, "import" if customer is None else customer.method.lower()),
    }
    subscriptions = _subscriptions(rng, lifetime, attributes["email"] is not None, list_ids, has_events=context.options.events > 0)
    if customer is not None and customer.last_event is not None:
        subscriptions = consents(subscriptions, customer)
    return build(
        PROFILES,
        id,
        attributes,
        related={"push-tokens": (), "conversations": (f"cv{number}",) if rng.random() < 0.02 else ()},
        extras={"subscriptions": subscriptions, "predictive_analytics": _predictions(rng, customer, has_events=context.options.events > 0)},
        values=subscription_values(subscriptions),
        other_relationships=("lists", "segments"),
    )


def subscription_values(subscriptions: dict[str, Any]) -> dict[str, Value]:
    """Return the values in a profile's subscriptions to filter by."""
    marketing = subscriptions["email"]["marketing"]
    values: dict[str, Value] = {}
    for name in ("suppression", "list_suppressions"):
        for entry in marketing[name][:1]:
            values |= {f"subscriptions.email.marketing.{name}.{key}": value for key, value in entry.items()}
            values[f"subscriptions.email.marketing.{name}.timestamp"] = parse(entry["timestamp"])
    return values


def _location(rng: random.Random) -> dict[str, Any]:
    if rng.random() < 0.15:
        return dict.fromkeys(("address1", "address2", "city", "country", "latitude", "longitude", "region", "zip", "timezone", "ip"))
    city, country, region, zone, latitude, longitude = rng.choice(CITIES)
    # Klaviyo sends coordinates as numbers or as text.
    as_text = rng.random() < 0.3
    return {
        "address1": f"{rng.randrange(1, 200)} Main Street",
        "address2": None,
        "city": city,
        "country": country,
        "latitude": str(latitude) if as_text else latitude,
        "longitude": str(longitude) if as_text else longitude,
        "region": region,
        "zip": f"{rng.randrange(100_000):05d}",
        "timezone": zone,
        "ip": f"192.0.2.{rng.randrange(256)}",
    }


def _properties(rng: random.Random, source: str) -> msgspec.Raw | dict[str, Any]:
    chance = rng.random()
    if chance < 0.1:
        return {}
    if chance < 0.15:
        return msgspec.Raw(_ODD_PROPERTIES[int(chance * 1e6) % len(_ODD_PROPERTIES)])
    return {"tier": rng.choice(("gold", "silber", "bronze")), "points": rng.randrange(10_000), "$source": source, "birthday": "1990-02-28"}


def _subscriptions(rng: random.Random, lifetime: Lifetime, has_email: bool, list_ids: tuple[str, ...], *, has_events: bool) -> dict[str, Any]:
    """Return the subscriptions of a contact without events: in an account with events, they come from an import."""
    at = render(lifetime.created)
    consents = has_email and rng.random() < 0.7
    suppressed = rng.random() < 0.06
    list_suppressed = bool(list_ids) and rng.random() < 0.03
    list_reason = "USER_SUPPRESSED" if has_events else "UNSUBSCRIBE"
    when = render(lifetime.created + (lifetime.updated - lifetime.created) // 2)
    return {
        "email": {
            "marketing": {
                "can_receive_email_marketing": consents and not suppressed,
                "consent": "SUBSCRIBED" if consents else "NEVER_SUBSCRIBED",
                "consent_timestamp": at if consents else None,
                "last_updated": at if consents else None,
                "method": ("IMPORT" if has_events else "FORM") if consents else None,
                "method_detail": "",
                "custom_method_detail": None,
                "double_optin": consents and not has_events,
                "suppression": [{"reason": rng.choice(_WITHOUT_EVENT if has_events else _REASONS), "timestamp": when}] if suppressed else [],
                "list_suppressions": [{"list_id": rng.choice(list_ids), "reason": list_reason, "timestamp": when}] if list_suppressed else [],
            },
            "open_tracking": dict(_NO_TRACKING),
            "click_tracking": dict(_NO_TRACKING),
        },
        "sms": {
            "marketing": {
                "can_receive_sms_marketing": False,
                "consent": "NEVER_SUBSCRIBED",
                "consent_timestamp": None,
                "method": None,
                "method_detail": None,
                "last_updated": None,
            },
            "transactional": {
                "can_receive_sms_transactional": False,
                "consent": "NEVER_SUBSCRIBED",
                "consent_timestamp": None,
                "method": None,
                "method_detail": None,
                "last_updated": None,
            },
        },
        "mobile_push": {"marketing": {"can_receive_push_marketing": False, "consent": "NEVER_SUBSCRIBED", "consent_timestamp": None}},
        "whatsapp": None,
    }


def _predictions(rng: random.Random, customer: Customer | None, *, has_events: bool) -> dict[str, Any]:
    """Return what Klaviyo predicts; what it knows about the past are the orders until the base instant, made-up ones without events."""
    value = rng.randrange(100_000) / 100
    orders, spent = (0, 0.0) if has_events else (rng.randrange(20), value)
    if customer is not None:
        orders, spent = customer.orders, customer.cents / 100
    return {
        "historic_clv": spent,
        "predicted_clv": round(value / 3, 2),
        "total_clv": round(spent + value / 3, 2),
        "historic_number_of_orders": orders,
        "predicted_number_of_orders": rng.random() * 5,
        "average_days_between_orders": rng.random() * 100,
        "average_order_value": spent / max(1, orders),
        "churn_probability": rng.random(),
        "expected_date_of_next_order": None,
        "ranked_channel_affinity": None,
    }


def lifetimes(context: GenerationContext, rng: random.Random, count: int) -> list[Lifetime]:
    """Return the lifetimes of many profiles: some created in the same second by an import, some changed at the same time, the others spread out."""
    imported = context.base - context.history // 2
    imported -= imported % SECOND
    sent_out = context.base - min(context.history // 20, 30 * DAY)
    found: list[Lifetime] = []
    for number in range(count):
        created, updated = context.lifetime(rng)
        if number % 10 == 3:
            created, updated = imported, max(updated, imported)
        if number % 12 == 5 and created <= sent_out:
            updated = sent_out
        found.append(Lifetime(created, updated))
    return found

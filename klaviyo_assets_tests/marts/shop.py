"""A small shop: metrics with the names of Klaviyo's integrations, and events with their typed columns."""

import json
from datetime import timedelta
from typing import Any

from klaviyo_assets_tests.marts.stored import START, StoredAccount

TABLES = ("accounts", "metrics", "mapped_metrics", "profiles", "campaigns", "campaign_messages", "flows", "flow_messages", "tags")

METRICS = {
    "order": ("Placed Order", "Shopify", "eCommerce"),
    "order_of_api": ("Placed Order", "API", "API"),
    "product": ("Ordered Product", "Shopify", "eCommerce"),
    "refund": ("Refunded Order", "Shopify", "eCommerce"),
    "received": ("Received Email", "Klaviyo", "Internal"),
    "opened": ("Opened Email", "Klaviyo", "Internal"),
    "clicked": ("Clicked Email", "Klaviyo", "Internal"),
    "bounced": ("Bounced Email", "Klaviyo", "Internal"),
    "unsubscribed": ("Unsubscribed", "Klaviyo", "Internal"),
    "received_sms": ("Received SMS", "Klaviyo", "Internal"),
    "clicked_sms": ("Clicked SMS", "Klaviyo", "Internal"),
    "imported_open": ("Opened Email", "API", "API"),
    "visit": ("Active on Site", "API", "API"),
}
"""Name and integration of the metrics, by id."""


def metric_rows() -> list[dict[str, Any]]:
    return [
        {"id": id_, "name": name, "created": START, "integration": {"name": integration, "category": category}}
        for id_, (name, integration, category) in METRICS.items()
    ]


def open_shop(account: StoredAccount) -> None:
    """Store the metrics and the account."""
    account.sync(
        {
            "metrics": metric_rows(),
            "accounts": [{"id": "A", "timezone": "Europe/Berlin", "preferred_currency": "EUR"}],
        }
    )


def event(
    id_: str, metric: str, hours: float, profile: str | None = "ann", properties: dict[str, Any] | None = None, **columns: Any
) -> dict[str, Any]:
    """An event some hours before the beginning of the tests, with its columns as the load would compute them from the properties."""
    return {
        "id": id_,
        "metric_id": metric,
        "datetime": START - timedelta(hours=hours),
        "profile_id": profile,
        "event_properties": json.dumps(properties or {}),
        **columns,
    }

"""Makes what an account configures once: tracking settings, custom metrics and which metric has which meaning."""

import random

from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.catalog.types.mapped_metrics import MEANINGS
from klaviyo_assets.sandbox.generate.context import GenerationContext, Lifetime
from klaviyo_assets.sandbox.generate.generic import make_any
from klaviyo_assets.sandbox.generate.metric_names import Role
from klaviyo_assets.sandbox.generate.metrics import role_of_metric
from klaviyo_assets.sandbox.records import Record, build
from klaviyo_assets.sandbox.store import Store
from klaviyo_assets.sandbox.time_formats import written

_ROLES = {
    "added_to_cart": Role.ADDED_TO_CART,
    "ordered_product": Role.ORDERED_PRODUCT,
    "refunded_sales": Role.REFUNDED_ORDER,
    "revenue": Role.PLACED_ORDER,
    "started_checkout": Role.CHECKOUT_STARTED,
}
"""What the metric of a meaning is for."""

_HOW = {"cancelled_sales": 1, "viewed_product": 2}
"""Meanings that the account has mapped to a custom metric, or not at all; see :func:`map_metric`."""


def make_tracking_settings(context: GenerationContext, store: Store, rng: random.Random, lifetime: Lifetime, number: int) -> Record:
    """Make the tracking settings; their id is that of the account."""
    given = {
        "auto_add_parameters": False,
        "utm_source": {"flow": {"type": "static", "value": "Klaviyo"}, "campaign": {"type": "static", "value": "Klaviyo"}},
        "utm_medium": {"flow": {"type": "dynamic", "value": "message_type"}, "campaign": {"type": "dynamic", "value": "message_type"}},
        "utm_campaign": None,
        "utm_id": None,
        "utm_term": None,
        "custom_parameters": [],
    }
    id = next((record.id for record in store["accounts"]), None) if "accounts" in store.catalog else None
    return make_any(context, store, CATALOG["tracking_settings"], rng, lifetime, id=id, given=given)


def make_custom_metric(context: GenerationContext, store: Store, rng: random.Random, lifetime: Lifetime, number: int) -> Record:
    """Make a custom metric of one or two metrics."""
    known = [record.id for record in store["metrics"]] if "metrics" in store.catalog else []
    chosen = tuple(rng.sample(known, min(len(known), rng.randint(1, 2))))
    groups = [
        {
            "metric_id": id,
            "metric_filters": [{"property": "sku", "filter": {"type": "string", "operator": "starts-with", "value": "A"}}],
            "value_property": "$value",
        }
        for id in chosen
    ]
    given = {
        "name": f"Custom metric {number}",
        "definition": {"aggregation_method": rng.choice(("count", "value")), "metric_groups": groups},
    }
    return make_any(context, store, CATALOG["custom_metrics"], rng, lifetime, id=context.ids.ulid(), given=given, given_ids={"metrics": chosen})


def make_mapped_metric(context: GenerationContext, store: Store, rng: random.Random, lifetime: Lifetime, number: int) -> Record:
    """Make the row of one meaning: with the metric of the shop's integration, with a custom metric, or with none."""
    meaning = MEANINGS[number]
    metric_id = (
        next((metric.id for metric in store["metrics"] if role_of_metric(metric) is _ROLES.get(meaning)), None)
        if "metrics" in store.catalog
        else None
    )
    return map_metric(store, rng, meaning, lifetime.updated, _HOW.get(meaning, 0), metric_id)


def map_metric(store: Store, rng: random.Random, meaning: str, updated: int, number: int, metric_id: str | None = None) -> Record:
    """Return the row of a meaning that has been mapped to a metric (number 0, 3, …), to a custom metric (1, 4, …), or to none (2, 5, …).

    The metric is ``metric_id``, or else any.

    As recorded, a meaning without a metric has no member ``relationships`` at all, and its ``updated`` is the time of each response.
    """
    target = ("metric", "custom-metric", None)[number % 3]
    collection = f"{target.replace('-', '_')}s" if target else ""
    known = [record.id for record in store[collection]] if collection and collection in store.catalog else []
    if metric_id in known:
        known = [metric_id]
    related = {target: (rng.choice(known),)} if known and target else {}
    return build(
        CATALOG["mapped_metrics"],
        meaning,
        {"updated": written("mapped_metrics", updated)},
        related=related,
        volatile=() if related else ("updated",),
        includable=tuple(related),
    )

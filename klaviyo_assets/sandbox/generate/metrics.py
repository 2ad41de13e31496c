"""Makes metrics."""

import random
from typing import Any

from klaviyo_assets.catalog import METRICS as ENTRY
from klaviyo_assets.sandbox.generate.context import GenerationContext
from klaviyo_assets.sandbox.generate.words import INTEGRATIONS, METRICS
from klaviyo_assets.sandbox.instants import render_whole
from klaviyo_assets.sandbox.records import Record, build

_TEMPLATES = dict(METRICS)


def template_of(name: object) -> int:
    """Return the template of the events of the metric with this name."""
    return _TEMPLATES.get(str(name), 3)


def make_metric(context: GenerationContext, rng: random.Random, number: int, created: int, updated: int) -> Record:
    """Make a metric.

    Args:
        context: The account being generated.
        rng: Source of random numbers.
        number: Its index among the metrics: the first ones are those that every shop has.
        created: When it was created.
        updated: When it was last changed.
    """
    name = METRICS[number][0] if number < len(METRICS) else f"Custom event {number} – Größe"
    integration_id, integration, category = INTEGRATIONS[number % len(INTEGRATIONS)]
    known: dict[str, Any] = {"object": "integration", "id": integration_id, "key": integration.lower(), "name": integration, "category": category}
    attributes = {"name": name, "created": render_whole(created), "updated": render_whole(updated), "integration": known}
    return build(ENTRY, context.ids.short(), attributes, related={"flow-triggers": context.triggered_flows(rng)}, values={"name": name})

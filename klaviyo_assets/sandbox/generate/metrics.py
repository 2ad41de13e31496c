"""Makes metrics."""

import random
from typing import Any

import msgspec

from klaviyo_assets.catalog import METRICS as ENTRY
from klaviyo_assets.sandbox.generate.context import GenerationContext
from klaviyo_assets.sandbox.generate.metric_names import INTEGRATIONS, METRICS, Role, role_of
from klaviyo_assets.sandbox.instants import render_whole
from klaviyo_assets.sandbox.records import Record, build


def make_metric(context: GenerationContext, rng: random.Random, number: int, created: int, updated: int) -> Record:
    """Make a metric.

    Args:
        context: The account being generated.
        rng: Source of random numbers.
        number: Its index among the metrics: the first ones are those that every shop has.
        created: When it was created.
        updated: When it was last changed.
    """
    name, role, known = f"Custom event {number} – Größe", Role.CUSTOM, INTEGRATIONS[number % len(INTEGRATIONS)]
    if number < len(METRICS):
        name, role, known = METRICS[number]
    integration: dict[str, Any] = {"object": "integration", "id": known[0], "key": known[1].lower(), "name": known[1], "category": known[2]}
    attributes = {"name": name, "created": render_whole(created), "updated": render_whole(updated), "integration": integration}
    return build(ENTRY, context.ids.short(), attributes, related={"flow-triggers": context.triggered_flows(rng)}, values={"name": name, "role": role})


def role_of_metric(metric: Record) -> Role:
    """Return what a metric is for."""
    if "role" in metric.values:
        return Role(str(metric.values["role"]))
    integration = msgspec.json.decode(metric.attributes()["integration"])
    return role_of(metric.values["name"], integration["id"])

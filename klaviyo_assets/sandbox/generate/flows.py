"""Makes flows."""

import random

from klaviyo_assets.catalog import FLOWS
from klaviyo_assets.sandbox.generate.context import GenerationContext
from klaviyo_assets.sandbox.generate.words import FLOW_WORDS
from klaviyo_assets.sandbox.instants import render_whole
from klaviyo_assets.sandbox.records import Record, build

_TRIGGERS = {
    "Welcome series": "Added to List",
    "Birthday": "Date Based",
    "Back in stock": "Low Inventory",
    "Price drop": "Price Drop",
    "Sunset": "Unconfigured",
}
"""What starts a flow, by the word that its name begins with; a metric if none is given."""


def make_flow(context: GenerationContext, rng: random.Random, created: int, updated: int, number: int, *, archived: bool = False) -> Record:
    """Make a flow; its number says what it is for."""
    word = FLOW_WORDS[number % len(FLOW_WORDS)]
    status = "live" if number < len(FLOW_WORDS) else rng.choice(("live", "live", "manual", "draft"))
    attributes = {
        "name": f"{word} {rng.randrange(1000)}",
        "status": "draft" if archived else status,
        "archived": archived,
        "created": render_whole(created),
        "updated": render_whole(updated),
        "trigger_type": _TRIGGERS.get(word, "Metric"),
    }
    actions = tuple(context.action_id(rng) for _ in range(rng.randrange(1, 5)))
    return build(FLOWS, context.ids.short(), attributes, related={"flow-actions": actions, "tags": context.some_tags(rng)})

"""Makes flows."""

import random

from klaviyo_assets.catalog import FLOWS
from klaviyo_assets.sandbox.generate.context import GenerationContext
from klaviyo_assets.sandbox.generate.words import FLOW_WORDS
from klaviyo_assets.sandbox.instants import render_whole
from klaviyo_assets.sandbox.records import Record, build

_TRIGGERS = ("Added to List", "Date Based", "Low Inventory", "Metric", "Price Drop", "Unconfigured")


def make_flow(context: GenerationContext, rng: random.Random, created: int, updated: int, *, archived: bool = False) -> Record:
    """Make a flow."""
    attributes = {
        "name": f"{rng.choice(FLOW_WORDS)} {rng.randrange(1000)}",
        "status": "draft" if archived else rng.choice(("live", "live", "manual", "draft")),
        "archived": archived,
        "created": render_whole(created),
        "updated": render_whole(updated),
        "trigger_type": rng.choice(_TRIGGERS),
    }
    actions = tuple(str(80_000_000 + rng.getrandbits(24)) for _ in range(rng.randrange(1, 5)))
    return build(FLOWS, context.ids.short(), attributes, related={"flow-actions": tuple(dict.fromkeys(actions)), "tags": context.some_tags(rng)})

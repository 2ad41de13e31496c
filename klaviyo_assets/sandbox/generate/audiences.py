"""Makes lists and segments."""

import random
from typing import Any

from klaviyo_assets.catalog import LISTS, SEGMENTS
from klaviyo_assets.sandbox.generate.context import GenerationContext
from klaviyo_assets.sandbox.generate.words import AUDIENCE_WORDS
from klaviyo_assets.sandbox.instants import render_whole
from klaviyo_assets.sandbox.records import Record, build


def make_list(context: GenerationContext, rng: random.Random, created: int, updated: int, number: int) -> Record:
    """Make a list; its number is part of its name, which no other list has."""
    attributes = {
        "name": f"{rng.choice(AUDIENCE_WORDS)} {number}",
        "created": render_whole(created),
        "updated": render_whole(updated),
        "opt_in_process": rng.choice(("single_opt_in", "double_opt_in")),
    }
    return build(
        LISTS,
        context.ids.short(),
        attributes,
        related=_related(context, rng),
        extras={"profile_count": rng.randrange(10_000)},
        other_relationships=("profiles",),
    )


def make_segment(context: GenerationContext, rng: random.Random, created: int, updated: int) -> Record:
    """Make a segment."""
    condition: dict[str, Any] = {
        "type": "profile-property",
        "property": "properties['tier']",
        "filter": {"type": "string", "operator": "equals", "value": rng.choice(("gold", "silber", "‏זהב"))},
    }
    attributes = {
        "name": _name(rng),
        "definition": {"condition_groups": [{"conditions": [condition]}]},
        "created": render_whole(created),
        "updated": render_whole(updated),
        "is_active": rng.random() < 0.85,
        "is_processing": rng.random() < 0.05,
        "is_starred": rng.random() < 0.2,
    }
    return build(
        SEGMENTS,
        context.ids.short(),
        attributes,
        related=_related(context, rng),
        extras={"profile_count": rng.randrange(10_000)},
        other_relationships=("profiles",),
    )


def _name(rng: random.Random) -> str:
    return f"{rng.choice(AUDIENCE_WORDS)} {rng.randrange(1000)}"


def _related(context: GenerationContext, rng: random.Random) -> dict[str, tuple[str, ...]]:
    return {"tags": context.some_tags(rng), "flow-triggers": context.triggered_flows(rng)}

"""Makes campaigns."""

import random
from typing import Any

from klaviyo_assets.catalog import CAMPAIGNS
from klaviyo_assets.catalog.types.campaigns import CHANNELS
from klaviyo_assets.sandbox.generate.context import GenerationContext
from klaviyo_assets.sandbox.generate.words import CAMPAIGN_WORDS
from klaviyo_assets.sandbox.instants import DAY, HOUR, render, render_whole
from klaviyo_assets.sandbox.records import Record, build
from klaviyo_assets.sandbox.store import Store


def make_campaign(
    context: GenerationContext,
    rng: random.Random,
    created: int,
    updated: int,
    store: Store,
    *,
    channel: str | None = None,
    archived: bool = False,
) -> Record:
    """Make a campaign to lists and segments of the account; the default channel is random."""
    channel = channel or rng.choice(CHANNELS)
    sent = created + rng.randrange(HOUR, 20 * DAY)
    chance, is_over = rng.random(), sent <= max(context.base, created)
    draft = chance < 0.2
    if draft:
        status = "Draft"
    elif chance < 0.3 or not is_over:
        status = rng.choice(("Cancelled", "Cancelled: No Recipients") if is_over else ("Scheduled", "Cancelled"))
    else:
        status, updated = "Sent", max(updated, sent)
    tracking = _tracking(rng) if channel == "email" else None
    attributes: dict[str, Any] = {
        "name": f"{rng.choice(CAMPAIGN_WORDS)} {rng.randrange(10_000)}",
        "status": status,
        "archived": archived,
        "audiences": _audiences(context, store, rng),
        "send_options": {"use_smart_sending": rng.random() < 0.5, "ignore_unsubscribes": False},
        "tracking_options": tracking,
        "send_strategy": _strategy(rng, sent),
        "created_at": render(created),
        "scheduled_at": None if draft else render(created + (updated - created) // 2),
        "updated_at": render(updated),
        "send_time": None if draft else render(sent),
    }
    messages = tuple(context.ids.ulid() for _ in range(2 if rng.random() < 0.1 else 1))
    linked = {"campaign-messages": [{"type": "campaign-message", "id": id} for id in messages]}
    related = {"campaign-messages": messages, "tags": context.some_tags(rng)}
    return build(CAMPAIGNS, context.ids.ulid(), attributes, linked=linked, values={"messages.channel": channel}, related=related)


def _audiences(context: GenerationContext, store: Store, rng: random.Random) -> dict[str, list[str]]:
    """Return the audiences of a campaign: the main list, other lists or segments; of an account without any, lists that are gone by now."""
    lists, segments = (store.ids_of(name) if name in store.collections else [] for name in ("lists", "segments"))
    count = rng.randrange(1, 3)
    if not lists and not segments:
        return {"included": [context.ids.short() for _ in range(count)], "excluded": []}
    included = [lists[0] if lists and rng.random() < 0.5 else rng.choice(lists + segments) for _ in range(count)]
    return {"included": [*dict.fromkeys(included)], "excluded": []}


def _tracking(rng: random.Random) -> dict[str, Any]:
    parameters = [{"type": "static", "value": "newsletter", "name": "utm_medium"}, {"type": "dynamic", "value": "campaign_id", "name": "utm_id"}]
    return {
        "add_tracking_params": rng.random() < 0.5,
        "custom_tracking_params": parameters if rng.random() < 0.5 else None,
        "is_tracking_clicks": rng.choice((True, False, None)),
        "is_tracking_opens": True,
    }


def _strategy(rng: random.Random, sent: int) -> dict[str, Any]:
    at = render_whole(sent)
    return rng.choice(
        (
            {"method": "immediate"},
            {"method": "static", "datetime": at, "options": {"is_local": False}},
            {"method": "throttled", "datetime": at, "throttle_percentage": 20},
            {"method": "smart_send_time", "date": at[:10]},
        )
    )

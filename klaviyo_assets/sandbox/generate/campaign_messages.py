"""Makes the messages of campaigns."""

import random
from typing import Any

from klaviyo_assets.catalog.types.campaign_messages import CAMPAIGN_MESSAGES
from klaviyo_assets.sandbox.generate.context import Lifetime
from klaviyo_assets.sandbox.generate.words import CAMPAIGN_WORDS
from klaviyo_assets.sandbox.instants import render
from klaviyo_assets.sandbox.records import Record, build


def make_campaign_message(rng: random.Random, campaign: Record, id: str, lifetime: Lifetime) -> Record:
    """Make a message of a campaign, with the definition of the campaign's channel."""
    channel = str(campaign.values["messages.channel"])
    attributes = {
        "definition": _DEFINITIONS[channel](rng),
        "send_times": [{"datetime": render(lifetime.updated), "is_local": False}] if rng.random() < 0.7 else [],
        "created_at": render(lifetime.created),
        "updated_at": render(lifetime.updated),
    }
    linked = {"campaign": {"type": "campaign", "id": campaign.id}}
    return build(CAMPAIGN_MESSAGES, id, attributes, linked=linked, values={"host_id": campaign.id})


def renamed_message(definition: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a definition with another name."""
    return {**definition, "label": name} if definition["channel"] == "email" else {**definition, "kv_pairs": {"name": name}}


def _email(rng: random.Random) -> dict[str, Any]:
    content = {
        "subject": f"{rng.choice(CAMPAIGN_WORDS)} 🎉 {rng.randrange(1000)}",
        "preview_text": rng.choice(("", "Nur heute", None)),
        "from_email": "shop@example.com",
        "from_label": "Shop",
        "reply_to_email": rng.choice(("reply@example.com", None)),
        "cc_email": None,
        "bcc_email": None,
    }
    return {"channel": "email", "label": f"{rng.choice(CAMPAIGN_WORDS)} {rng.randrange(1000)}", "content": content}


def _sms(rng: random.Random) -> dict[str, Any]:
    options = {"shorten_links": True, "add_org_prefix": rng.random() < 0.5, "add_info_link": True, "add_opt_out_language": False}
    content = {"body": f"{rng.choice(CAMPAIGN_WORDS)} {rng.randrange(1000)}", "media_url": None}
    return {"channel": "sms", "content": content, "render_options": options}


def _mobile_push(rng: random.Random) -> dict[str, Any]:
    if rng.random() < 0.3:
        return {"channel": "mobile_push", "notification_type": "silent", "kv_pairs": {"big": 18446744073709551617}}
    content: dict[str, Any] = {"title": rng.choice(CAMPAIGN_WORDS), "body": "…", "dynamic_image": None, "action_buttons": []}
    options = {"on_open": {"type": "open_app"}, "badge": {"display": False}, "play_sound": True}
    return {"channel": "mobile_push", "notification_type": "standard", "content": content, "kv_pairs": None, "options": options}


_DEFINITIONS = {"email": _email, "sms": _sms, "mobile_push": _mobile_push}

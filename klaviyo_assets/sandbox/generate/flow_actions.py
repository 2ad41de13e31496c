"""Makes the actions of flows, with the messages in their definitions."""

import random
from typing import Any

from klaviyo_assets.catalog.types.flow_actions import FLOW_ACTIONS
from klaviyo_assets.sandbox.generate.context import GenerationContext, Lifetime
from klaviyo_assets.sandbox.generate.words import FLOW_WORDS
from klaviyo_assets.sandbox.instants import render_whole
from klaviyo_assets.sandbox.records import Record, build

_KINDS = ("send-email",) * 4 + ("send-sms", "send-mobile-push", "time-delay", "time-delay", "conditional-split", "ab-test", "update-profile")


def make_action(context: GenerationContext, rng: random.Random, flow: Record, id: str, lifetime: Lifetime) -> Record:
    """Make an action of a flow. Its links are set once all actions of the flow exist."""
    # Every flow begins with an e-mail that it really sends.
    is_first = flow.related["flow-actions"][-1:] == (id,)
    kind = "send-email" if is_first else rng.choice(_KINDS)
    attributes = {
        "created": render_whole(lifetime.created),
        "updated": render_whole(lifetime.updated),
        "definition": {"id": id, "type": kind, "data": _data(context, rng, kind) | ({"status": "live"} if is_first else {}), "links": None},
    }
    linked = {"flow": {"type": "flow", "id": flow.id}}
    return build(FLOW_ACTIONS, id, attributes, linked=linked, values={"host_id": flow.id})


def _data(context: GenerationContext, rng: random.Random, kind: str) -> dict[str, Any]:
    match kind:
        case "time-delay":
            return {"unit": rng.choice(("hours", "days")), "value": rng.randrange(1, 30), "secondary_value": 0, "timezone": "profile"}
        case "conditional-split":
            return {"profile_filter": {"condition_groups": [{"conditions": []}]}}
        case "update-profile":
            return {"profile_operations": [], "status": rng.choice(_STATUSES)}
        case "ab-test":
            return _test(context, rng)
        case _:
            return {"message": _MESSAGES[kind](context, rng), "status": rng.choice(_STATUSES)}


_STATUSES = ("live", "live", "manual", "draft", "disabled")


def _test(context: GenerationContext, rng: random.Random) -> dict[str, Any]:
    def part() -> dict[str, Any]:
        return {"type": "send-email", "data": {"message": _email(context, rng), "status": "draft"}, "links": {"next": None}}

    main, *variations = (part() for _ in range(3))
    return {
        "status": rng.choice(_STATUSES),
        "experiment_status": "live",
        "main_action": main,
        "current_experiment": {
            "id": context.hosted_ids.short(),
            "name": f"Test {rng.randrange(100)}",
            "variations": variations,
            "started": None,
        },
    }


def _email(context: GenerationContext, rng: random.Random) -> dict[str, Any]:
    return {
        "from_email": "shop@example.com",
        "from_label": "Shop",
        "reply_to_email": rng.choice(("reply@example.com", None)),
        "cc_email": None,
        "bcc_email": None,
        "subject_line": f"{rng.choice(FLOW_WORDS)} 💌 {rng.randrange(1000)}",
        "preview_text": rng.choice(("Noch da?", None)),
        "template_id": context.hosted_ids.short(),
        "smart_sending_enabled": rng.random() < 0.5,
        "transactional": rng.random() < 0.1,
        "add_tracking_params": False,
        "custom_tracking_params": None,
        "additional_filters": {"condition_groups": [], "big": 18446744073709551617} if rng.random() < 0.2 else None,
        "name": f"E-Mail {rng.randrange(1000)}",
        "id": context.hosted_ids.short(),
    }


def _sms(context: GenerationContext, rng: random.Random) -> dict[str, Any]:
    return {
        "body": f"{rng.choice(FLOW_WORDS)} {rng.randrange(1000)}",
        "image_id": str(rng.getrandbits(28)) if rng.random() < 0.3 else None,
        "smart_sending_enabled": True,
        "transactional": False,
        "name": f"SMS {rng.randrange(1000)}",
        "id": context.hosted_ids.short(),
    }


def _push(context: GenerationContext, rng: random.Random) -> dict[str, Any]:
    return {"title": rng.choice(FLOW_WORDS), "body": "…", "name": f"Push {rng.randrange(1000)}", "id": context.hosted_ids.short(), "kv_pairs": None}


_MESSAGES = {"send-email": _email, "send-sms": _sms, "send-mobile-push": _push}

"""Makes reviews."""

import random
from typing import Any

import msgspec

from klaviyo_assets.catalog import REVIEWS
from klaviyo_assets.sandbox.generate.context import GenerationContext, Product, Reviewer
from klaviyo_assets.sandbox.generate.words import FIRST_NAMES, REVIEW_TEXTS
from klaviyo_assets.sandbox.instants import render
from klaviyo_assets.sandbox.records import Record, build

STATUSES = ("published", "published", "published", "featured", "unpublished", "pending", "rejected")
_GONE = Product("$shopify:::$default:::1000", "1000", "Linen shirt")
"""A product that has been deleted, for an account that has none."""

_TYPES = ("review", "review", "review", "rating", "question", "store")


def make_review(
    context: GenerationContext,
    rng: random.Random,
    created: int,
    updated: int,
    event_id: str | None = None,
    product: Product | None = None,
    reviewer: Reviewer | None = None,
) -> Record:
    """Make a review of a product, by default of any that the shop sells and by anybody, with its event if it has one."""
    by_anybody = Reviewer(f"reviewer{rng.randrange(10_000)}@mail.example", rng.choice((*FIRST_NAMES, None)))
    reviewer = reviewer or by_anybody
    kind = rng.choice(_TYPES)
    product = product or rng.choice(context.products or (_GONE,))
    number = rng.randrange(100)
    attributes: dict[str, Any] = {
        "email": reviewer.email,
        "status": _status(rng.choice(STATUSES), rng),
        "verified": rng.random() < 0.7,
        "review_type": kind,
        "created": render(created),
        "updated": render(updated),
        "images": [f"https://images.example/{rng.getrandbits(32):08x}.jpg" for _ in range(rng.choice((0, 0, 0, 1, 3)))],
        "product": {
            "url": f"https://shop.example/p/{number}",
            "name": product.title,
            "image_url": None if number % 5 == 0 else f"https://images.example/p{number}.jpg",
            "external_id": product.external_id,
        },
        "rating": None if kind == "question" else rng.randrange(1, 6),
        "author": reviewer.name,
        "content": None if kind == "rating" else rng.choice(REVIEW_TEXTS),
        "title": None if kind == "rating" else rng.choice(("Nice", "Naja", "🤷", "")),
        "smart_quote": None,
    }
    if rng.random() < 0.2:
        attributes["public_reply"] = {"content": "Thank you!", "author": "Sandbox shop", "updated": render(updated)}
    return build(
        REVIEWS,
        context.ids.hexadecimal(),
        attributes,
        linked={"item": {"type": "catalog-item", "id": product.item_id}},
        related={"events": (event_id,) if event_id else ()},
        values={"item.id": product.item_id},
    )


def reviewer_of(profile: Record) -> Reviewer | None:
    """Return a profile as the writer of a review: with the first name, if it is known; None if the profile has no e-mail address."""
    attributes = profile.attributes()
    email, name = (msgspec.json.decode(attributes[one], type=str | None) for one in ("email", "first_name"))
    return None if email is None else Reviewer(email, name)


def _status(value: str, rng: random.Random) -> dict[str, Any]:
    if value != "rejected":
        return {"value": value}
    reason = {"reason": "other", "status_explanation": "Off topic – entfernt"} if rng.random() < 0.5 else {"reason": "fake"}
    return {"value": value, "rejection_reason": reason}

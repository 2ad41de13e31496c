"""Makes the product catalog: categories, items and their variants. An id consists of the integration, the catalog and the shop's own id."""

import random
from typing import Any

from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.sandbox.generate.context import GenerationContext, Lifetime
from klaviyo_assets.sandbox.generate.generic import make_any
from klaviyo_assets.sandbox.generate.words import PRODUCTS, VARIANTS
from klaviyo_assets.sandbox.records import Record
from klaviyo_assets.sandbox.store import Store

_PREFIX = "$custom:::$default:::"

_SHOP = "https://shop.example/products"

_ODD_IDS = ("{} a", "{}%2F50%", "{}?size=m#x", "größe-{}", '{}"', "{}'s", "{}:::b", "{}+c&d")
"""Forms of ids that shops use and that must be escaped in paths, queries or filters."""

_ODD_SHARE = 5


def make_category(context: GenerationContext, store: Store, rng: random.Random, lifetime: Lifetime, number: int) -> Record:
    """Make a category."""
    external_id = _external_id(context, "category", number)
    given = {"external_id": external_id, "name": f"{rng.choice(PRODUCTS)} {number}"}
    return make_any(context, store, CATALOG["catalog_categories"], rng, _in_milliseconds(lifetime), id=_PREFIX + external_id, given=given)


def make_item(context: GenerationContext, store: Store, rng: random.Random, lifetime: Lifetime, number: int) -> Record:
    """Make an item; the variants that exist belong to the items in turn."""
    external_id, items = _external_id(context, "item", number), context.options.count_of("catalog_items")
    variants = context.variant_ids[number::items] if number < items else ()
    return make_any(
        context,
        store,
        CATALOG["catalog_items"],
        rng,
        _in_milliseconds(lifetime),
        id=_PREFIX + external_id,
        given=_product(external_id, rng),
        given_ids={"variants": variants},
    )


def make_variant(context: GenerationContext, store: Store, rng: random.Random, lifetime: Lifetime, number: int) -> Record:
    """Make a variant."""
    external_id = _external_id(context, "variant", number)
    given = _product(external_id, rng) | {
        "sku": f"SKU-{number}",
        "title": f"{rng.choice(PRODUCTS)} {rng.choice(VARIANTS)}",
        "inventory_policy": rng.choice((0, 1, 2)),
        "inventory_quantity": rng.choice((0, rng.randrange(500))),
    }
    return make_any(context, store, CATALOG["catalog_variants"], rng, _in_milliseconds(lifetime), id=_PREFIX + external_id, given=given)


def _external_id(context: GenerationContext, kind: str, number: int) -> str:
    id = context.ids.of_type(f"catalog-{kind}")
    return _ODD_IDS[number // _ODD_SHARE % len(_ODD_IDS)].format(id) if number % _ODD_SHARE == 0 else id


def _product(external_id: str, rng: random.Random) -> dict[str, Any]:
    """Return the attributes that items and variants have in common. Without an image, they are empty and not null, as recorded."""
    name = external_id[:8].strip()
    has_image = rng.random() < 0.7
    return {
        "external_id": external_id,
        "title": rng.choice(PRODUCTS),
        "price": rng.choice((rng.randrange(1, 500), rng.randrange(100, 50_000) / 100, None)),
        "url": f"{_SHOP}/{name}",
        "image_full_url": f"{_SHOP}/{name}-full.jpg" if has_image else "",
        "image_thumbnail_url": f"{_SHOP}/{name}-thumb.jpg" if has_image else "",
        "images": [f"{_SHOP}/{name}-{one}.jpg" for one in range(rng.randrange(3))],
        "custom_metadata": {"colour": "blue", "weightKg": 1.25, "big": 18446744073709551617, "nothing": None},
        "published": rng.choice((True, True, True, False, None)),
    }


def _in_milliseconds(lifetime: Lifetime) -> Lifetime:
    return Lifetime(lifetime.created // 1000 * 1000, lifetime.updated // 1000 * 1000)

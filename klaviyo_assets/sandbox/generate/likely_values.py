"""Made-up values of attributes that any text would not resemble: names, URLs, tokens. By the attribute's type and path."""

import random
from collections.abc import Callable, Mapping
from typing import Any

from klaviyo_assets.sandbox.generate.words import AUDIENCE_WORDS, CAMPAIGN_WORDS, SUBJECTS

_TAGS = ("Sale", "Newsletter", "VIP", "Winter 2026", "Été", "B2B", "Test", "東京", "Win-back", "Q4")

_IMAGE_FORMATS = ("jpeg", "png", "gif")

_Maker = Callable[[random.Random], Any]


def _hexadecimal(rng: random.Random, digits: int) -> str:
    return f"{rng.getrandbits(4 * digits):0{digits}x}"


def _numbered(words: tuple[str, ...]) -> _Maker:
    return lambda rng: f"{rng.choice(words)} {rng.randrange(1000)}"


def _block(rng: random.Random) -> dict[str, Any]:
    if rng.random() < 0.2:
        return {"content_type": "section", "type": "section", "data": None}
    return {"content_type": "block", "type": "html", "data": {"content": f"<p>{rng.choice(SUBJECTS)}</p>", "display_options": {}}}


_MAKERS: Mapping[tuple[str, str], _Maker] = {
    ("coupons", "description"): lambda rng: f"{rng.choice((5, 10, 20))} % off: {rng.choice(CAMPAIGN_WORDS)}",
    ("coupons", "monitor_configuration"): lambda rng: {"low_balance_threshold": rng.choice((100, 500, 1000))},
    ("form_versions", "ab_test"): lambda rng: {"variation_name": f"Variation {rng.choice('ABC')}"},
    ("form_versions", "variation_name"): _numbered(("V", "Variation")),
    ("forms", "name"): _numbered(("Welcome popup", "Footer form", "Exit intent", "Warteliste", "SMS sign-up")),
    ("images", "format"): lambda rng: rng.choice(_IMAGE_FORMATS),
    ("images", "image_url"): lambda rng: f"https://images.example.com/company/AbCdEf/images/{_hexadecimal(rng, 32)}.{rng.choice(_IMAGE_FORMATS)}",
    ("images", "name"): _numbered(("hero", "logo", "Produktbild", "banner – été", "商品")),
    ("push_tokens", "background"): lambda rng: rng.choice(("AVAILABLE", "DENIED", "RESTRICTED")),
    ("push_tokens", "metadata.device_id"): lambda rng: _hexadecimal(rng, 32),
    ("push_tokens", "recorded_date"): lambda rng: f"2026-{rng.randrange(1, 7):02d}-{rng.randrange(1, 29):02d}T08:00:00+00:00",
    ("push_tokens", "token"): lambda rng: _hexadecimal(rng, 64),
    ("push_tokens", "vendor"): lambda rng: rng.choice(("APNs", "FCM")),
    ("tag_groups", "name"): _numbered(("Region", "Season", "Team", "Zielgruppe")),
    ("tags", "name"): _numbered(_TAGS),
    ("universal_content", "definition"): _block,
    ("universal_content", "name"): _numbered(("Header", "Footer", "Öffnungszeiten", "Social links")),
    ("universal_content", "screenshot_url"): lambda rng: f"https://screenshots.example.com/{_hexadecimal(rng, 32)}.png",
    ("web_feeds", "name"): lambda rng: f"{rng.choice(('blog', 'bestsellers', 'news', 'stock'))}_{_hexadecimal(rng, 8)}",
    ("web_feeds", "url"): lambda rng: f"https://shop.example.com/feeds/{rng.randrange(1000)}.json",
    ("webhooks", "endpoint_url"): lambda rng: "https://hooks.example.com/*****",
    ("webhooks", "name"): _numbered(AUDIENCE_WORDS),
}


def likely_value(type_name: str, path: tuple[str, ...], rng: random.Random) -> Any:
    """Return a value for an attribute, or None if any text will do.

    Args:
        type_name: Name of the resource type.
        path: Path of the attribute below ``attributes``.
        rng: Source of random numbers.
    """
    maker = _MAKERS.get((type_name, ".".join(path)))
    return None if maker is None else maker(rng)

"""What Klaviyo offers, as data: one entry per resource type.

A new resource type is one new module here and one new line in ``CATALOG``.
Facts are those of Klaviyo's OpenAPI description, revision 2026-07-15 (https://github.com/klaviyo/openapi).
"""

from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.catalog.types.accounts import ACCOUNTS
from klaviyo_assets.catalog.types.campaigns import CAMPAIGNS
from klaviyo_assets.catalog.types.events import EVENTS
from klaviyo_assets.catalog.types.flows import FLOWS
from klaviyo_assets.catalog.types.lists import LISTS
from klaviyo_assets.catalog.types.metrics import METRICS
from klaviyo_assets.catalog.types.profiles import PROFILES
from klaviyo_assets.catalog.types.reviews import REVIEWS
from klaviyo_assets.catalog.types.segments import SEGMENTS

REVISION = "2026-07-15"
"""The API revision that the catalogue describes and that every request pins."""

CATALOG: dict[str, ResourceType] = {entry.name: entry for entry in (ACCOUNTS, CAMPAIGNS, EVENTS, FLOWS, LISTS, METRICS, PROFILES, REVIEWS, SEGMENTS)}
"""All resource types by name."""

__all__ = [
    "ACCOUNTS",
    "CAMPAIGNS",
    "CATALOG",
    "EVENTS",
    "FLOWS",
    "LISTS",
    "METRICS",
    "PROFILES",
    "REVIEWS",
    "REVISION",
    "SEGMENTS",
    "ResourceType",
]

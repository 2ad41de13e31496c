"""Klaviyo's resource types as data, one object each.

To add a resource type, add a module in ``catalog/types/``. No other code changes, with one exception: if the API counts how many children a parent
has, the parent's module gets the field with that count. CONTRIBUTING.md has the steps.

The names in ``__all__`` are public: with them, code from outside this package adds types (``CATALOG.with_(MY_TYPE)``). The types among them are those
that such code refers to, for example as parents; a new type is not added to them.

The facts come from Klaviyo's OpenAPI description, revision 2026-07-15 (https://github.com/klaviyo/openapi).
"""

from klaviyo_assets.catalog.catalog import Catalog
from klaviyo_assets.catalog.catalog_errors import CatalogError, UnknownResourceType
from klaviyo_assets.catalog.columns import (
    Column,
    ColumnType,
    all_included,
    attribute,
    from_first_included,
    from_subset,
    parent_id,
    record_id,
    removal,
    to_many,
    to_one,
    within,
)
from klaviyo_assets.catalog.discovery import discover
from klaviyo_assets.catalog.endpoint import (
    ANY,
    CONTAINS,
    EQUALS,
    EQUALS_ANY,
    GREATER_ONLY,
    HAS,
    INCLUSIVE,
    RANGE,
    STRICT,
    TIER_L,
    TIER_M,
    TIER_S,
    TIER_XL,
    TIER_XS,
    Endpoint,
    Include,
    PageSize,
    Query,
    RateLimit,
    ReducedLimit,
)
from klaviyo_assets.catalog.parent_groups import ParentGroups
from klaviyo_assets.catalog.replication import CountCheck, FullTable, Included, Incremental, NewestFirst, PerParent, Replication
from klaviyo_assets.catalog.resource_type import Host, HostRecord, Parent, ResourceType, Subset
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
"""The API revision that the catalog describes and that every request pins."""

CATALOG = Catalog(discover())
"""All resource types of this package; the default of every ``catalog=``."""


def is_built_in(entry: ResourceType) -> bool:
    """Return whether a resource type is one of this package, unchanged; otherwise its user can correct it."""
    return CATALOG.get(entry.name) == entry


__all__ = [
    "ACCOUNTS",
    "ANY",
    "CAMPAIGNS",
    "CATALOG",
    "CONTAINS",
    "EQUALS",
    "EQUALS_ANY",
    "EVENTS",
    "FLOWS",
    "GREATER_ONLY",
    "HAS",
    "INCLUSIVE",
    "LISTS",
    "METRICS",
    "PROFILES",
    "RANGE",
    "REVIEWS",
    "REVISION",
    "SEGMENTS",
    "STRICT",
    "TIER_L",
    "TIER_M",
    "TIER_S",
    "TIER_XL",
    "TIER_XS",
    "Catalog",
    "CatalogError",
    "Column",
    "ColumnType",
    "CountCheck",
    "Endpoint",
    "FullTable",
    "Host",
    "HostRecord",
    "Include",
    "Included",
    "Incremental",
    "NewestFirst",
    "PageSize",
    "Parent",
    "ParentGroups",
    "PerParent",
    "Query",
    "RateLimit",
    "ReducedLimit",
    "Replication",
    "ResourceType",
    "Subset",
    "UnknownResourceType",
    "all_included",
    "attribute",
    "from_first_included",
    "from_subset",
    "parent_id",
    "record_id",
    "removal",
    "to_many",
    "to_one",
    "within",
]

"""Groups of resource types, by which users select them: ``resource_types=["core", "messages"]``."""

from types import MappingProxyType
from typing import Final

CORE: Final = "core"
"""The group of types that name none."""

ALL: Final = "all"
"""Selects every resource type of the catalog; not the name of a group."""

DEFAULT: Final = "default"
"""Selects the types that are synced if the user selects none; not the name of a group."""

GROUPS: Final = MappingProxyType(
    {
        CORE: "The account, its profiles and what they did, and what they refer to.",
        "messages": "What was sent: the messages of campaigns and flows, templates and other content, tags.",
        "audiences": "Who is where: members of lists and segments, forms, push tokens, predictions.",
        "catalog": "What is sold: products, coupons and custom objects.",
        "reports": "Klaviyo's own reports, and the metrics that they count by.",
    }
)
"""What each group of this package's types holds. A type of your own may be in any other group."""

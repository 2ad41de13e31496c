"""Columns whose values a field rule has changed. Pure."""

from collections.abc import Iterable

from klaviyo_assets.catalog.columns import COMPUTED, WITHIN
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.privacy.rules import path_of


def columns_with_rules(entry: ResourceType, fields: Iterable[str]) -> frozenset[str]:
    """Return the columns that have a rule for the whole column or for something inside it, and those with values from inside these.

    Args:
        entry: The resource type.
        fields: Fields with rules, named by column or by Klaviyo's path.
    """
    paths = [path_of(field) for field in fields]
    with_rules = frozenset(
        column.name
        for column in entry.columns
        if column.path[0] == "attributes" and any(path[0] == column.name or path[: len(column.path) - 1] == column.path[1:] for path in paths)
    )
    return with_rules | {column.name for column in entry.columns if column.path[0] in (WITHIN, COMPUTED) and column.path[1] in with_rules}

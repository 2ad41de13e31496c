"""Selects resource types by names and groups, as users write them: ``resource_types=["core", "list_members"]``."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from klaviyo_assets.catalog.catalog import Catalog
from klaviyo_assets.catalog.catalog_errors import UnknownResourceType
from klaviyo_assets.catalog.groups import ALL, DEFAULT


def select(catalog: Catalog, names: Sequence[str]) -> Catalog:
    """Return the resource types that names and groups select, with the types that they need.

    Args:
        catalog: The resource types that exist.
        names: Names of types, names of groups, ``all`` and ``default`` (all types that are not opt-in), in any order.

    Raises:
        UnknownResourceType: If one is none of these; the text lists all of them.

    Example:
        >>> [*select(CATALOG, ["list_members"])]  # its parent is added: the sync of a child type reads the parent's table
        ['lists', 'list_members']
    """
    groups = catalog.groups
    if unknown := [name for name in names if name not in catalog and name not in groups and name not in (ALL, DEFAULT)]:
        raise UnknownResourceType(_unknown(catalog, unknown))
    found = dict.fromkeys(one for name in names for one in _named(catalog, name))
    return catalog.select([*_with_needed(catalog, found)])


def _named(catalog: Catalog, name: str) -> Iterable[str]:
    if name == ALL:
        return catalog
    if name == DEFAULT:
        return catalog.default_names
    return (name,) if name in catalog else catalog.groups[name]


def _with_needed(catalog: Catalog, names: Iterable[str]) -> dict[str, None]:
    found: dict[str, None] = {}
    left = [*names]
    while left:
        name = left.pop()
        if name not in found:
            found[name] = None
            left += catalog[name].needs
    return found


def _unknown(catalog: Catalog, names: Sequence[str]) -> str:
    known = [*catalog, *catalog.groups, ALL, DEFAULT]
    near = dict.fromkeys(one for name in names for one in get_close_matches(str(name).lower(), known, n=2))
    meant = f" Did you mean {' or '.join(near)}?" if near else ""
    return (
        f"Unknown resource types: {', '.join(map(str, names))}.{meant} Known are the types {', '.join(catalog)}; "
        f"the groups {', '.join(catalog.groups)}; {DEFAULT} and {ALL}."
    )

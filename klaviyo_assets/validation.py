"""Checks of arguments when code is loaded, so a wrong one fails there and not in every run."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

import dagster as dg

from klaviyo_assets.catalog import CatalogError
from klaviyo_assets.errors import KlaviyoAssetsError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from klaviyo_assets.catalog import Catalog


_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class InvalidDefinition(KlaviyoAssetsError, ValueError):
    """Code passes an unusable value to this package; the text names the parameter or field, its value and a valid one."""


def check_name(name: str) -> None:
    """Check an account's name, which becomes that of ops, jobs, resources and the schema.

    Raises:
        InvalidDefinition: If it cannot be one.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidDefinition(f"name={name!r} cannot be a prefix. Use letters, digits and underscores, beginning with a letter.")


def selected_types(resource_types: Iterable[str] | None, catalog: Catalog) -> Catalog:
    """Return the resource types that a user selects.

    Args:
        resource_types: Their names; None for all that are not opt-in.
        catalog: The resource types that exist.

    Raises:
        InvalidDefinition: If there are none, one is unknown or listed twice, a parent is missing, or they are given as one string.
    """
    known = f"Known are: {', '.join(catalog)}."
    if resource_types is None:
        return catalog.select(catalog.default_names)
    if isinstance(resource_types, str):
        raise InvalidDefinition(f"resource_types is a string: {resource_types!r}. Give a list, such as [{resource_types!r}]. {known}")
    names = list(resource_types)
    if not names:
        raise InvalidDefinition(f"resource_types is empty. Leave it out for all. {known}")
    if unknown := [str(one) for one in names if one not in catalog]:
        raise InvalidDefinition(f"Unknown resource types: {', '.join(unknown)}. {known}")
    if twice := [one for one, times in Counter(names).items() if times > 1]:
        raise InvalidDefinition(f"Resource types that are named twice: {', '.join(twice)}. Name each once.")
    try:
        return catalog.select(names)
    except CatalogError as error:
        raise InvalidDefinition(f"resource_types: {error}") from None


def check_keys(specs: Iterable[tuple[str, dg.AssetSpec]]) -> None:
    """Check that a translator gives each resource type a key of its own.

    Args:
        specs: Names of resource types, with the specs of their assets.

    Raises:
        InvalidDefinition: If two have the same key.
    """
    by_key: dict[dg.AssetKey, str] = {}
    for name, spec in specs:
        if other := by_key.get(spec.key):
            raise InvalidDefinition(
                f"The translator gives {other} and {name} the same asset key: {spec.key.to_user_string()}. Include the type's name in the key."
            )
        by_key[spec.key] = name

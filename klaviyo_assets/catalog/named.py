"""Finds a catalog by the name of its module and variable, for the command line."""

import importlib

from klaviyo_assets.catalog.catalog import Catalog
from klaviyo_assets.catalog.catalog_errors import CatalogError


def catalog_named(name: str) -> Catalog:
    """Return the catalog that a module holds.

    Args:
        name: Module and variable, separated by a colon.

    Raises:
        CatalogError: If the module cannot be loaded, or does not hold a catalog of that name.

    Example:
        >>> catalog_named("my_project.klaviyo:CATALOG")
    """
    module, _, variable = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), variable)
    except Exception as error:  # the module is the user's, and may raise anything
        raise CatalogError(
            f"The catalog {name!r} cannot be loaded: {error}.", "Write it as MODULE:VARIABLE, such as my_project.klaviyo:CATALOG."
        ) from error
    if not isinstance(found, Catalog):
        raise CatalogError(f"The catalog {name!r} is not a Catalog.", "Name the variable that holds CATALOG.with_(MY_TYPE).")
    return found

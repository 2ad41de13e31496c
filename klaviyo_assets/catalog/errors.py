"""Errors of a catalog."""

from klaviyo_assets.errors import KlaviyoAssetsError


class CatalogError(KlaviyoAssetsError, ValueError):
    """The resource types cannot form a catalog: a name is used twice, or a parent is missing."""


class UnknownResourceType(CatalogError, KeyError):
    """A name that is not in the catalog."""

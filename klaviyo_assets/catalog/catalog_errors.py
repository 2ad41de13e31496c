"""Errors of a catalog."""

from typing import ClassVar

from klaviyo_assets.errors import KlaviyoAssetsError


class CatalogError(KlaviyoAssetsError, ValueError):
    """The resource types cannot form a catalog: one of them cannot work, a name is used twice, a parent is missing, or there is no such catalog."""


class UnknownResourceType(CatalogError, KeyError):
    """A name that is not in the catalog."""

    longest: ClassVar[int] = 2_000
    """It lists all names."""

"""What can be wrong with a catalog."""

from klaviyo_assets.errors import KlaviyoAssetsError


class CatalogError(KlaviyoAssetsError, ValueError):
    """Resource types that do not form a catalog: a name twice, or a parent missing."""


class UnknownResourceType(CatalogError, KeyError):
    """A name that is not in the catalog."""

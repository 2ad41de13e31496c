"""What can be wrong with a catalog."""


class CatalogError(ValueError):
    """Resource types that do not form a catalog: a name twice, or a parent missing."""


class UnknownResourceType(CatalogError, KeyError):
    """A name that is not in the catalog."""

    __str__ = Exception.__str__

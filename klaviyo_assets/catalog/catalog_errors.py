"""Errors of a catalog."""

from typing import ClassVar

from klaviyo_assets.errors import KlaviyoAssetsError


class CatalogError(KlaviyoAssetsError, ValueError):
    """The resource types cannot form a catalog: one of them cannot work, a name is used twice, a parent is missing, or there is no such catalog."""


class MissingTrait(CatalogError):
    """A resource type is used in a way that needs a parent, a host or another part of its definition that it does not have.

    Args:
        name: Name of the resource type.
        trait: What it lacks: ``parent``.
        of: What has the name.
    """

    def __init__(self, name: str, trait: str, *, of: str = "resource type") -> None:
        super().__init__(
            f"The {of} {name} has no {trait}, but the code that uses it needs one.",
            f"If {name} or its strategy is your own, give it a {trait}, or another replication. Otherwise please report this.",
        )


class UnknownResourceType(CatalogError, KeyError):
    """A name that is not in the catalog."""

    longest: ClassVar[int] = 2_000
    """It lists all names."""

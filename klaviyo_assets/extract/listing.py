"""A page of a type's records, for requests that need only some members of them."""

from typing import Generic, TypeVar

import msgspec

R = TypeVar("R")


class ListingLinks(msgspec.Struct):
    """The links of a page."""

    next: str | None = None


class Listing(msgspec.Struct, Generic[R]):
    """A page of records.

    Attributes:
        data: The records; each caller decodes the members that it needs.
        links: The links, which are required: the last page is recognized by them.
    """

    data: list[R]
    links: ListingLinks

    @property
    def next_url(self) -> str | None:
        """The link to the next page."""
        return self.links.next

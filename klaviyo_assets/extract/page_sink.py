"""The destination of pages: what :class:`~klaviyo_assets.extract.fetcher.Fetcher` needs from the step after it."""

from datetime import datetime
from typing import NewType, Protocol

from klaviyo_assets.decode import Page
from klaviyo_assets.extract.chain_position import Position
from klaviyo_assets.extract.slices import AnySlice

SliceId = NewType("SliceId", int)
"""The number of a slice in its sink."""


class PageSink(Protocol):
    """Accepts the pages of slices that are read concurrently. All calls come from one thread."""

    def open(self, slice_: AnySlice, /) -> SliceId:
        """Begin a slice."""
        ...

    def add(self, slice_id: SliceId, page: Page, read_up_to: datetime | None, position: Position | None = None) -> None:
        """Accept a page of a slice.

        Args:
            slice_id: The slice.
            page: Its records, without those outside of the slice.
            read_up_to: The slice has been read completely up to this time, ties excluded; None if that is not known.
            position: The position after the page, of a chain that the next sync can continue.
        """
        ...

    def truncate(self, slice_id: SliceId, end: datetime) -> None:
        """Move the end of a slice down; the part above is now a separate slice."""
        ...

    def give_up(self, slice_id: SliceId) -> None:
        """Record that others read a slice instead."""
        ...

    def finish(self, slice_id: SliceId) -> None:
        """Record that a slice has been read to its end."""
        ...

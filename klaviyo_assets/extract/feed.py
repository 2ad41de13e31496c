"""Passes the pages of a host's read to a type with records in the same responses, so that it needs no requests.

Host and type are two syncs in one event loop, each with its own lock, staging, load and failure::

    host's Fetcher ──pages──► FeedSink ──► the host's Staging
                                  └─────► Feed ──pages──► IncludedReader ──► the type's Staging

The host begins once the type is ready or has given up. It waits if the type has fallen behind, so only a few pages are in memory.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.decode import Page
from klaviyo_assets.errors import SyncError
from klaviyo_assets.extract.chain_position import Position
from klaviyo_assets.extract.page_sink import PageSink, SliceId
from klaviyo_assets.extract.slices import AnySlice

_MAX_PAGES_WAITING = 4
"""Maximum pages in memory before the host waits."""


class HostNotRead(Exception):
    """The host's sync ended before its first request, so the type reads the host itself."""


class Feed:
    """The pages of one read of a host, for one type. All calls come from one event loop.

    Args:
        entry: The type that takes its records from the pages.
    """

    def __init__(self, entry: ResourceType) -> None:
        self.entry = entry
        self._pages: deque[Page] = deque()
        self._changed = asyncio.Event()
        self._joined = self._left = self._began = self._ended = False
        self._error: Exception | None = None

    # --- the type's side

    def join(self) -> None:
        """Say that the type is ready for pages."""
        self._joined = True
        self._notify()

    def leave(self) -> None:
        """Stop taking pages; the host continues without the type."""
        self._left = True
        self._pages.clear()
        self._notify()

    async def pages(self) -> AsyncIterator[Page]:
        """Yield the pages until the host has been read.

        Raises:
            HostNotRead: If the host's sync ended before its first request.
            Exception: The error with which the host's read failed.
        """
        while True:
            while self._pages:
                yield self._pages.popleft()
                self._notify()
            if self._error is not None:
                raise self._error
            if self._ended:
                if not self._began:
                    raise HostNotRead
                return
            await self._changed.wait()

    # --- the host's side

    async def begin(self) -> bool:
        """Wait until the type is ready or has given up; return whether it takes pages."""
        while not (self._joined or self._left):
            await self._changed.wait()
        self._began = not self._left
        return self._began

    def add(self, page: Page) -> None:
        """Pass a page on, unless the type takes no more of them (:meth:`leave`) or the feed has ended (:meth:`end`)."""
        if not (self._left or self._ended):
            self._pages.append(page)
            self._notify()

    async def drain(self) -> None:
        """Wait while the type has fallen behind."""
        while len(self._pages) >= _MAX_PAGES_WAITING and not self._left:
            await self._changed.wait()

    def end(self, error: Exception | None = None) -> None:
        """Say that the host has been read, or with which error its read failed. Only the first call counts."""
        if not self._ended:
            self._ended, self._error = True, error
            self._notify()

    def abandon(self) -> None:
        """Say that the host's sync is over. If its read was stopped, the type cannot know what is missing."""
        host = self.entry.host.entry.name if self.entry.host is not None else "its host"
        stopped = SyncError(f"{self.entry.name} comes with the responses for {host}, and that read was stopped.", "Run it again.")
        self.end(stopped if self._began else None)

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


class FeedSink:
    """A sink that also passes each page to feeds.

    Args:
        feeds: The feeds.
        sink: Accepts the host's own records; None if only the feeds want the pages.
    """

    def __init__(self, feeds: Sequence[Feed], sink: PageSink | None = None) -> None:
        self._feeds = feeds
        self._sink = sink
        self._slices = 0

    def open(self, slice_: AnySlice, /) -> SliceId:
        """Begin a slice."""
        self._slices += 1
        return self._sink.open(slice_) if self._sink is not None else SliceId(self._slices)

    def add(self, slice_id: SliceId, page: Page, read_up_to: datetime | None, position: Position | None = None) -> None:
        """Accept a page of a slice."""
        if self._sink is not None:
            self._sink.add(slice_id, page, read_up_to, position)
        for feed in self._feeds:
            feed.add(page)

    def truncate(self, slice_id: SliceId, end: datetime) -> None:
        """Move the end of a slice down."""
        if self._sink is not None:
            self._sink.truncate(slice_id, end)

    def give_up(self, slice_id: SliceId) -> None:
        """Record that others read a slice instead."""
        if self._sink is not None:
            self._sink.give_up(slice_id)

    def finish(self, slice_id: SliceId) -> None:
        """Record that a slice has been read to its end."""
        if self._sink is not None:
            self._sink.finish(slice_id)

    async def drain(self) -> None:
        """Wait while one of the types has fallen behind."""
        for feed in self._feeds:
            await feed.drain()

"""Reads the records of a type from its host's responses: those of the host's sync, or of separate requests."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from klaviyo_assets._internal.event_loop import first_error
from klaviyo_assets.api.client import KlaviyoClient
from klaviyo_assets.catalog.hosting import host_alone
from klaviyo_assets.catalog.resource_type import ResourceType, Subset
from klaviyo_assets.decode import Page
from klaviyo_assets.decode.hosted import IncludedDecoder
from klaviyo_assets.extract.error_position import locating_decode_errors
from klaviyo_assets.extract.feed import Feed, FeedSink, HostNotRead
from klaviyo_assets.extract.fetch_state import FetchState
from klaviyo_assets.extract.fetcher import Fetcher
from klaviyo_assets.extract.lookup import look_up, look_up_one
from klaviyo_assets.extract.page_sink import PageSink
from klaviyo_assets.extract.slices import AnySlice, SubsetSlice


@dataclass
class IncludedReader:
    """Reads the records of a type with a host into a sink.

    Args:
        client: The client.
        entry: The type.
        sink: Accepts the pages with its records.
        after_page: Called after each page, for writing and progress.
        state: Progress so far.
    """

    client: KlaviyoClient
    entry: ResourceType
    sink: PageSink
    after_page: Callable[[], Awaitable[None]]
    state: FetchState = field(default_factory=FetchState)
    _decoder: IncludedDecoder = field(init=False)

    def __post_init__(self) -> None:
        """Create the decoder."""
        self._decoder = IncludedDecoder(self.entry)

    async def run(self, slices: Sequence[AnySlice], feed: Feed | None) -> None:
        """Read all records.

        Args:
            slices: The host's slices, for a read with separate requests.
            feed: The pages of the host's own sync, if that is part of the step.

        Raises:
            KlaviyoError: If the host's read fails.
        """
        if feed is not None:
            feed.join()
            try:
                await self._read(feed.pages(), self.client.now())
                return
            except HostNotRead:
                pass
        await self._read_alone(slices)

    async def _read_alone(self, slices: Sequence[AnySlice]) -> None:
        feed = Feed(self.entry)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._fetch_hosts(slices, feed))
                await self._read(feed.pages(), None)
        except BaseExceptionGroup as errors:
            raise first_error(errors) from None

    async def _fetch_hosts(self, slices: Sequence[AnySlice], feed: Feed) -> None:
        feed.join()
        await feed.begin()
        sink = FeedSink([feed])
        await Fetcher(self.client, host_alone(self.entry), sink, sink.drain).run(slices)
        feed.end()

    async def _read(self, pages: AsyncIterator[Page], since: datetime | None) -> None:
        """Read pages of the host.

        Args:
            pages: The pages.
            since: When this sync was ready for them, if another client requested them: clocks of two clients differ by up to a second.
        """
        slice_id = self.sink.open(SubsetSlice(Subset()))
        async for page in pages:
            records = await self._records_of(page)
            read_at = page.synced_at
            if read_at is not None:
                records = records.stamped(max(read_at, since) if since is not None else read_at)
            self.state.records_read += records.count
            self.sink.add(slice_id, records, None)
            del page, records
            await self.after_page()
        self.sink.finish(slice_id)

    async def _records_of(self, page: Page) -> Page:
        """Return the records on a page of the host; those that the page lacks are fetched by id."""
        with locating_decode_errors():
            found = self._decoder.included(page)
            fetched = {id_: resource for id_ in found.lacking if (resource := await self._fetch(id_)) is not None}
            self.state.fetched_by_id += len(fetched)
            return self._decoder.page(found, fetched)

    async def _fetch(self, id_: str) -> bytes | None:
        """Return a resource that the host's response lacks; None if it has been deleted in the meantime."""
        response = await look_up_one(self.client, self.entry.required_host.source or self.entry, id_, {}, self._decoder.resource)
        return response.value if response is not None else None

    async def look_up(self, host_ids: Sequence[str]) -> list[Page]:
        """Request the records of some hosts.

        Raises:
            KlaviyoError: If Klaviyo refuses or fails; then no record may be marked as deleted.
        """
        pages = []
        for page in await look_up(self.client, host_alone(self.entry), host_ids):
            records = await self._records_of(page)
            if records.count and page.synced_at is not None:
                pages.append(records.stamped(page.synced_at))
        return pages

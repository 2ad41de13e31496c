"""Workers walk the cursor chains of a plan side by side and hand every page on.

A cursor chain is serial, so the records must be divided among chains; but nobody knows beforehand where they lie. A worker that has nothing to do
therefore takes over the later half of what another has left.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime

from klaviyo_assets._internal.event_loop import first_error
from klaviyo_assets.api.client import KlaviyoClient
from klaviyo_assets.api.errors import AnswerTooLarge, CursorRefused, EndlessLinks, EndlessPages, NotFound
from klaviyo_assets.catalog.resource_type import ResourceType, Subset
from klaviyo_assets.decode import PageDecoder
from klaviyo_assets.extract.error_position import saying_where
from klaviyo_assets.extract.fetch_state import FetchState
from klaviyo_assets.extract.page_sink import PageSink
from klaviyo_assets.extract.page_size import PageSize
from klaviyo_assets.extract.slice_query import slice_parameters
from klaviyo_assets.extract.slice_reader import SliceReader
from klaviyo_assets.extract.slices import AnySlice, Slice
from klaviyo_assets.state.coverage import BEGINNING

_WORTH_CUTTING = 3.0
"""Pages; a rest that is shorter is not cut, since each slice costs a request that is only partly filled."""

_WORTH_HELPING = 16.0
"""Pages; a rest that is longer gets help before an older slice is begun, so that what is newest is complete first."""

_log = logging.getLogger("klaviyo_assets")


@dataclass
class Fetcher:
    """Reads slices into a sink.

    Args:
        client: The client.
        entry: The resource type.
        sink: Accepts the pages.
        after_page: Called after each page, for writing, loading and progress.

        state: How far it is.
    """

    client: KlaviyoClient
    entry: ResourceType
    sink: PageSink
    after_page: Callable[[], Awaitable[None]]
    state: FetchState = field(default_factory=FetchState)
    _workers: int = 0
    _decoders: dict[str, PageDecoder] = field(default_factory=dict)
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _page_size: PageSize = field(init=False)

    def __post_init__(self) -> None:
        """Begin with the endpoint's largest pages."""
        size = self.entry.endpoint.page_size
        self._page_size = PageSize(size.maximum if size is not None else None)

    async def run(self, slices: Iterable[AnySlice]) -> None:
        """Read all slices.

        Raises:
            EndlessPages: If a slice's pages lead nowhere though each has a link to another one.
        KlaviyoError: The first error of a slice; the others are stopped, and what they have read stays staged.
        """
        self.state.waiting.extend(slices)
        try:
            async with asyncio.TaskGroup() as group:
                self._staff(group)
        except BaseExceptionGroup as errors:
            raise first_error(errors) from None

    def _staff(self, group: asyncio.TaskGroup) -> None:
        """Employ as many workers as it takes to keep the rate limit busy at the latency seen."""
        while (self.state.waiting or self._cuttable) and self._workers < self.client.chains_needed(self.entry):
            self._workers += 1
            group.create_task(self._work(group))

    async def _work(self, group: asyncio.TaskGroup) -> None:
        while (chain := await self._next()) is not None:
            await self._read(chain, group)
        self._workers -= 1

    async def _next(self) -> SliceReader | None:
        """Return the chain to read next, waiting while others have yet to find out how much they have left; None if this worker is not needed."""
        while self._workers <= self.client.chains_needed(self.entry):
            if (chain := self._taken_over() or self._begun()) is not None:
                self.state.readers.append(chain)
                return chain
            if not self._cuttable:
                return None
            await self._news.wait()
        return None

    @property
    def _cuttable(self) -> bool:
        return any(chain.may_be_cut for chain in self.state.readers)

    def _begun(self) -> SliceReader | None:
        if not self.state.waiting:
            return None
        part = self.state.waiting.popleft()
        return SliceReader(part, self.sink.open(part), page_size=self._page_size.copy())

    def _taken_over(self) -> SliceReader | None:
        """Cut off half of the newest slice that has much left; when all are begun, of the one that has most left."""
        if self.state.waiting:
            long = (chain for chain in self.state.readers if chain.may_be_cut and chain.pages_left >= _WORTH_HELPING)
            victim = max(long, key=_start, default=None)
        else:
            long = (chain for chain in self.state.readers if chain.may_be_cut and chain.pages_left >= _WORTH_CUTTING)
            victim = max(long, key=lambda chain: chain.pages_left, default=None)
        if victim is None or (part := victim.cut_off()) is None:
            return None
        self.sink.truncate(victim.slice_id, part.start)
        return victim.branch(part, self.sink.open(part))

    async def _read(self, chain: SliceReader, group: asyncio.TaskGroup) -> None:
        while True:
            try:
                with saying_where():
                    if await self._walk(chain, group):
                        break
                self._resize(chain, chain.page_size.grow)
            except AnswerTooLarge:
                self._resize(chain, lambda: chain.page_size.shrink(self._page_size.records))
            except (CursorRefused, EndlessLinks) as error:
                if not chain.may_begin_again:
                    raise
                _log.warning(
                    "%s: %s The slice is read again from where it was complete. What to do: nothing, unless it happens again and again.",
                    self.entry.name,
                    error.message,
                )
                chain.begin_again()
            except NotFound:
                if chain.part.parent_id is None:
                    raise
                # A parent that was deleted meanwhile is no trouble of the others.
                self.state.gone_parents.append(chain.part.parent_id)
                break
        self.sink.finish(chain.slice_id)
        self.state.readers.remove(chain)
        self._tell()

    async def _walk(self, chain: SliceReader, group: asyncio.TaskGroup) -> bool:
        """Read a chain to its end; return False where it is better to go on with pages of another size."""
        parameters = slice_parameters(self.entry, chain.rest) | chain.page_size.parameters
        decode = self._decoder(chain.part.division).linked_page
        pages = self.client.pages(self.entry, parameters, decode, most_bytes=chain.page_size.most_bytes, parent_id=chain.part.parent_id)
        async with aclosing(pages) as answers:
            async for answer in answers:
                page = chain.take(answer)
                self.state.records_read += page.count
                self.sink.add(chain.slice_id, page, chain.read_up_to)
                may_grow, is_last = chain.page_size.note(page.size), answer.value.next_url is None
                # The memory of this page is free once it is written, not when the next one has come.
                del answer, page
                self._staff(group)
                self._tell()
                await self.after_page()
                if chain.passed_the_end:
                    break
                if not is_last and (reason := chain.stall.reason) is not None:
                    raise EndlessPages(f"Klaviyo's pages do not come to an end: {reason}.", endpoint=f"GET {self.entry.endpoint.path}")
                if may_grow and not is_last and chain.has_advanced:
                    return False
        return True

    def _resize(self, chain: SliceReader, change: Callable[[], None]) -> None:
        """Go on with pages of another size where the slice is complete; slices that are begun later begin with them."""
        change()
        _log.debug("%s: %d records a page from here on", self.entry.name, chain.page_size.records)
        chain.begin_with_other_pages()
        self._page_size = chain.page_size

    def _tell(self) -> None:
        """Wake those who wait for work."""
        self._news.set()
        self._news = asyncio.Event()

    def _decoder(self, division: Subset) -> PageDecoder:
        """Return the decoder of a division, made once: it costs as much as a page."""
        if division.name not in self._decoders:
            self._decoders[division.name] = PageDecoder(self.entry, division)
        return self._decoders[division.name]


def _start(chain: SliceReader) -> datetime:
    return chain.part.start if isinstance(chain.part, Slice) else BEGINNING

"""Workers read slices concurrently and pass each page to a sink.

A cursor chain is serial, so concurrency comes from reading several slices; but how records are distributed over time is not known beforehand.
An idle worker therefore takes over the later half of what another worker has left (work stealing).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime

from klaviyo_assets._internal.event_loop import first_error
from klaviyo_assets.api.client import KlaviyoClient
from klaviyo_assets.api.klaviyo_errors import (
    AccessDenied,
    AccessRefused,
    CursorRefused,
    EndlessLinks,
    EndlessPages,
    NotFound,
    PlanGate,
    ResponseTooLarge,
    ScopeMissing,
)
from klaviyo_assets.catalog.endpoint import Include
from klaviyo_assets.catalog.hosting import optional_includes, without_includes
from klaviyo_assets.catalog.resource_type import ResourceType, Subset
from klaviyo_assets.decode import Page, PageDecoder
from klaviyo_assets.decode.report_decoder import ReportDecoder
from klaviyo_assets.extract import dividing
from klaviyo_assets.extract.error_position import locating_decode_errors
from klaviyo_assets.extract.fetch_state import FetchState
from klaviyo_assets.extract.page_sink import PageSink
from klaviyo_assets.extract.page_size import ChainPageSize
from klaviyo_assets.extract.slice_query import slice_parameters
from klaviyo_assets.extract.slice_reader import SliceReader
from klaviyo_assets.extract.slices import AnySlice, ParentGroupSlice, ReportSlice
from klaviyo_assets.state.coverage import BEGINNING

_MIN_PAGES_TO_SPLIT = 3.0
"""Pages; a slice with fewer left is not split, because each slice costs a request for a page that is only partly filled."""

_MIN_PAGES_TO_HELP = 16.0
"""Pages; a slice with more left is split before an older slice begins, so the newest data is complete first."""

_log = logging.getLogger("klaviyo_assets")

_MAY_CONCERN_AN_INCLUDE = (ScopeMissing, PlanGate, AccessRefused)
"""Refusals after which a read goes on without its includes. Any other says nothing about them, such as a firewall's: without the includes, stored
values would become null."""


class _Divided(Exception):
    """A slice has turned out to be long, and others read it instead.

    Args:
        slices: They read the same together.
    """

    def __init__(self, slices: Sequence[AnySlice]) -> None:
        super().__init__()
        self.slices = slices


@dataclass
class Fetcher:
    """Reads slices into a sink.

    Args:
        client: The client.
        entry: The resource type.
        sink: Accepts the pages.
        after_page: Called after each page, for writing, loading and progress.
        on_refused: Called once with the includes that the key may not read, and the error; the read goes on without them.

        state: Progress so far.
    """

    client: KlaviyoClient
    entry: ResourceType
    sink: PageSink
    after_page: Callable[[], Awaitable[None]]
    state: FetchState = field(default_factory=FetchState)
    on_refused: Callable[[Sequence[Include], AccessDenied], None] = lambda includes, error: None
    _workers: int = 0
    _decoders: dict[str, PageDecoder] = field(default_factory=dict)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _page_size: ChainPageSize = field(init=False)

    def __post_init__(self) -> None:
        """Start with the largest pages of the endpoint."""
        size = self.entry.endpoint.page_size
        self._page_size = ChainPageSize(size.maximum if size is not None else None)

    async def run(self, slices: Iterable[AnySlice]) -> None:
        """Read all slices.

        Raises:
            EndlessPages: If the pages of a slice make no progress although each links to another one.
            KlaviyoError: The first error of a slice; the other slices are stopped, and the pages they have read stay in the sink.
        """
        self.state.waiting.extend(slices)
        try:
            async with asyncio.TaskGroup() as group:
                self._scale_workers(group)
        except BaseExceptionGroup as errors:
            raise first_error(errors) from None

    def _scale_workers(self, group: asyncio.TaskGroup) -> None:
        """Start enough workers to saturate the rate limit at the observed latency."""
        while (self.state.waiting or self._can_steal) and self._workers < self.client.chains_needed(self.entry):
            self._workers += 1
            group.create_task(self._work(group))

    async def _work(self, group: asyncio.TaskGroup) -> None:
        while (reader := await self._next()) is not None:
            await self._read(reader, group)
        self._workers -= 1

    async def _next(self) -> SliceReader | None:
        """Return the slice to read next; wait while it is unclear how much other slices have left. None if this worker is not needed."""
        while self._workers <= self.client.chains_needed(self.entry):
            if (reader := self._steal_work() or self._next_slice()) is not None:
                self.state.readers.append(reader)
                return reader
            if not self._can_steal:
                return None
            await self._changed.wait()
        return None

    @property
    def _has_idle_workers(self) -> bool:
        """True if the rate limit allows more chains than there are slices."""
        return not self.state.waiting and len(self.state.readers) < self.client.chains_needed(self.entry)

    @property
    def _can_steal(self) -> bool:
        return any(reader.can_split for reader in self.state.readers)

    def _next_slice(self) -> SliceReader | None:
        if not self.state.waiting:
            return None
        slice_ = self.state.waiting.popleft()
        return SliceReader(slice_, self.sink.open(slice_), page_size=self._page_size.copy())

    def _steal_work(self) -> SliceReader | None:
        """Split the newest slice with many pages left; once all slices have begun, the one with the most left."""
        if self.state.waiting:
            # Of children no part is more urgent than another: large parents are split once all others have begun.
            readers = (reader for reader in self.state.readers if reader.slice.parent_id is None)
            long = (reader for reader in readers if reader.can_split and reader.pages_left >= _MIN_PAGES_TO_HELP)
            donor = max(long, key=_start, default=None)
        else:
            long = (reader for reader in self.state.readers if reader.can_split and reader.pages_left >= _MIN_PAGES_TO_SPLIT)
            donor = max(long, key=lambda reader: reader.pages_left, default=None)
        if donor is None or (split := donor.split()) is None:
            return None
        self.sink.truncate(donor.slice_id, split.start)
        return donor.spawn(split, self.sink.open(split))

    async def _read(self, reader: SliceReader, group: asyncio.TaskGroup) -> None:
        while True:
            entry = self.entry
            try:
                with locating_decode_errors():
                    if await self._read_pages(reader, group, entry):
                        break
                self._resize(reader, reader.page_size.grow)
            except AccessDenied as error:
                # Another slice may have been refused before, after this request was sent.
                if entry is self.entry and not self._drop_refused_includes(error):
                    raise
                reader.restart_with_other_pages()
            except ResponseTooLarge:
                self._resize(reader, lambda: reader.page_size.shrink(self._page_size.records))
            except (CursorRefused, EndlessLinks) as error:
                if not reader.can_restart:
                    raise
                _log.warning(
                    "%s: %s The slice continues with a new query. What to do: nothing, unless this happens repeatedly.",
                    self.entry.name,
                    error.message,
                )
                reader.restart()
            except _Divided as divided:
                self._replace(reader, divided.slices, group)
                return
            except NotFound as error:
                if error.is_about_a_record and (parts := reader.slice.by_parent()):
                    # One of the parents was deleted in the meantime; it is not said which.
                    self._replace(reader, parts, group)
                    return
                if reader.slice.parent_id is None or not error.is_about_a_record:
                    raise
                # The parent was deleted in the meantime; the children of other parents are not affected.
                self.state.gone_parents.append(reader.slice.parent_id)
                break
        self.sink.finish(reader.slice_id)
        self.state.finished.append(reader.slice)
        self.state.readers.remove(reader)
        self._notify()

    def _replace(self, reader: SliceReader, slices: Sequence[AnySlice], group: asyncio.TaskGroup) -> None:
        """Give a slice up and read others instead. Its pages stay in the sink; it adds no coverage, since it never ends."""
        self.sink.give_up(reader.slice_id)
        self.state.readers.remove(reader)
        self.state.waiting.extendleft(reversed(slices))
        self._scale_workers(group)
        self._notify()

    def _drop_refused_includes(self, error: AccessDenied) -> bool:
        """Read on without the includes that the key may not read; return False if none can be the reason of the refusal."""
        if not isinstance(error, _MAY_CONCERN_AN_INCLUDE):
            return False
        optional = optional_includes(self.entry)
        named = [one for one in optional if any(scope in (error.detail or "") for scope in one.scopes)]
        refused = named or optional
        if not refused:
            return False
        relationships = {one.relationship for one in refused}
        self.state.refused_includes |= relationships
        self.entry = without_includes(self.entry, relationships)
        self.on_refused(refused, error)
        return True

    async def _read_pages(self, reader: SliceReader, group: asyncio.TaskGroup, entry: ResourceType) -> bool:
        """Read a slice to its end; return False if it should continue with larger pages."""
        parameters = slice_parameters(entry, reader.rest) | reader.page_size.parameters
        decode: Callable[[bytes], Page] = self._decoder(reader.slice.subset).linked_page
        body: Mapping[str, object] | None = None
        if isinstance(reader.slice, ReportSlice):
            decode, body = _report_decoder(entry, decode, reader.slice).page, reader.slice.body
        pages = self.client.pages(entry, parameters, decode, max_bytes=reader.page_size.max_bytes, parent_id=reader.slice.parent_id, query=body)
        async with aclosing(pages) as responses:
            async for response in responses:
                page = reader.accept(response)
                self.state.records_read += page.count
                self.state.incomplete.update(dict.fromkeys(page.incomplete))
                self.sink.add(reader.slice_id, page, reader.read_up_to, reader.position)
                may_grow, is_last = reader.page_size.note(page.size), response.value.next_url is None
                # Free the page's memory as soon as it is written, not only when the next page arrives.
                del response, page
                self._scale_workers(group)
                self._notify()
                await self.after_page()
                if reader.passed_the_end:
                    break
                if not is_last and (reason := reader.stall.reason) is not None:
                    raise EndlessPages(f"Klaviyo's pages do not end: {reason}.", endpoint=f"GET {self.entry.endpoint.path}")
                if may_grow and not is_last and reader.has_advanced:
                    return False
                if not is_last and self._has_idle_workers and (parts := _parts_of_long(entry, reader)):
                    raise _Divided(parts)
        return True

    def _resize(self, reader: SliceReader, change: Callable[[], None]) -> None:
        """Read the rest of a slice with pages of another size; slices that begin later start with that size."""
        change()
        _log.debug("%s: %d records a page from here on", self.entry.name, reader.page_size.records)
        reader.restart_with_other_pages()
        self._page_size = reader.page_size

    def _notify(self) -> None:
        """Wake the workers that are waiting for work."""
        self._changed.set()
        self._changed = asyncio.Event()

    def _decoder(self, subset: Subset) -> PageDecoder:
        """Return the decoder of a subset, created once: creating it costs as much as decoding a page."""
        if subset.name not in self._decoders:
            self._decoders[subset.name] = PageDecoder(self.entry, subset)
        return self._decoders[subset.name]


def _report_decoder(entry: ResourceType, decode: Callable[[bytes], Page], slice_: ReportSlice) -> ReportDecoder:
    return ReportDecoder(entry, decode, None if slice_.window_values else slice_.field, slice_.first, slice_.last, slice_.window_values)


def _parts_of_long(entry: ResourceType, reader: SliceReader) -> Sequence[AnySlice]:
    """Return the slices that idle workers read instead of one that has just turned out to be long; none if it goes on."""
    if not isinstance(reader.slice, ParentGroupSlice) or reader.pages != dividing.PAGES_BEFORE:
        return ()
    return dividing.divide(entry, reader.slice, reader.seen)


def _start(reader: SliceReader) -> datetime:
    return reader.slice.bounds[0] or BEGINNING

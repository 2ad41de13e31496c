"""Workers walk the cursor chains of a plan side by side and hand every page on."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

import polars as pl

from klaviyo_assets.api.client import Answer, KlaviyoClient
from klaviyo_assets.catalog.model import Division, ResourceType
from klaviyo_assets.frames import Page, PageDecoder
from klaviyo_assets.sync.plan import Slice, slice_parameters
from klaviyo_assets.sync.staging import Staging


@dataclass
class Fetcher:
    """Reads slices into staging.

    Args:
        client: The client.
        entry: The resource type.
        staging: Takes the pages.
        workers: Slices read at once.
        after_page: Called after each page, for loading and progress.

    Attributes:
        records_read: Records received within the slices' bounds.
    """

    client: KlaviyoClient
    entry: ResourceType
    staging: Staging
    workers: int
    after_page: Callable[[], Awaitable[None]]
    records_read: int = 0
    _decoders: dict[str, PageDecoder] = field(default_factory=dict)

    async def run(self, slices: Iterable[Slice]) -> None:
        """Read all slices.

        Raises:
            KlaviyoError: The first error of a slice; the others are stopped, and what they have read stays staged.
        """
        waiting = deque(slices)

        async def work() -> None:
            while waiting:
                await self._read(waiting.popleft())

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self.workers, len(waiting))):
                    group.create_task(work())
        except BaseExceptionGroup as errors:
            raise _first(errors) from None

    async def _read(self, part: Slice) -> None:
        chain = _Chain(part)
        async for answer in self.client.pages(self.entry, slice_parameters(self.entry, part), self._decoder(part.division).page):
            frame = chain.take(answer)
            self.records_read += frame.height
            self.staging.add(part, frame, chain.upto)
            await self.after_page()
            if chain.passed_the_end:
                break
        self.staging.finish(part)

    def _decoder(self, division: Division) -> PageDecoder:
        return self._decoders.setdefault(division.name, PageDecoder(self.entry, division))


class _Chain:
    """One cursor chain on its way through a slice.

    Attributes:
        upto: The slice is read completely up to here, ties excluded; None if that is not known.
        passed_the_end: True once a record beyond the slice has been seen, when the rest of the chain lies beyond too (a bound may be ignored).
    """

    def __init__(self, part: Slice) -> None:
        self._part = part
        self._sorted = True
        self._edge: datetime | None = None
        self.upto: datetime | None = None
        self.passed_the_end = False

    def take(self, answer: Answer[Page]) -> pl.DataFrame:
        """Cut a page to the slice, and note how far it leads."""
        part, page = self._part, answer.value.stamped(answer.requested_at)
        if part.field is None:
            return page.frame
        bounds = page.bounds(part.field)
        if bounds is not None:
            self._advance(*bounds)
        return page.within(part.field, part.start, part.end)

    def _advance(self, least: datetime, greatest: datetime) -> None:
        part = self._part
        if part.descending:
            self._sorted &= self._edge is None or greatest <= self._edge
            self._edge = least
            self.passed_the_end = self._sorted and part.start is not None and least < part.start
            return
        self._sorted &= self._edge is None or least >= self._edge
        self._edge = greatest
        # Pages out of order promise nothing about what is still to come.
        end = min(greatest, part.end) if part.end is not None else greatest
        self.upto = end if self._sorted else None
        self.passed_the_end = self._sorted and part.end is not None and greatest >= part.end


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    inner = errors.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner

"""One cursor chain on its way through a slice: what is cut away, how far it has come, how much is left, and where it may be cut in two. Pure."""

import math
from dataclasses import replace
from datetime import datetime, timedelta

from klaviyo_assets.api.client import ApiResponse
from klaviyo_assets.decode import Page
from klaviyo_assets.extract.page_sink import SliceId
from klaviyo_assets.extract.page_size import PageSize
from klaviyo_assets.extract.slices import AnySlice, Slice
from klaviyo_assets.extract.stall import Stall
from klaviyo_assets.state.coverage import BEGINNING, USUAL_BEGINNING

_SECOND = timedelta(seconds=1)

_MOST_BEGINNINGS = 3
"""Times that a chain is begun again at one place."""


class SliceReader:
    """A slice while it is read.

    Args:
        part: The slice.
        slice_id: Its number in the sink.
        time_per_page: How much time a page spans here, where that is known from the chain that it was cut off.
        page_size: How many records a page is asked for.

    Attributes:
        part: The slice; it ends earlier once a part has been given away.
        slice_id: Its number in the sink.
        page_size: How many records a page is asked for.
        read_up_to: The slice is read completely up to here, ties excluded; None if that is not known.
        passed_the_end: True once a record beyond the slice has been seen, when the rest of the chain lies beyond too.
        records: Records of the slice that have been read.
        stall: Counts the pages that brought it no further.
    """

    def __init__(self, part: AnySlice, slice_id: SliceId, time_per_page: timedelta | None = None, page_size: PageSize | None = None) -> None:
        self.part = part
        self.slice_id = slice_id
        self.page_size = page_size or PageSize(None)
        self.read_up_to: datetime | None = None
        self.passed_the_end = False
        self.records = 0
        self._sorted = True
        self._first: datetime | None = None
        self._edge: datetime | None = None
        self._pages = 0
        self._time_per_page = time_per_page
        self._at_its_end = False
        self._begun_at: list[datetime | None] = []
        self._rest_from: datetime | None = None
        self._begins = True
        # The newest slice has no end: it also holds what is dated later than it covers, however much that is.
        self.stall = Stall(part.start if part.start != BEGINNING else None, part.end) if isinstance(part, Slice) else Stall()

    def take(self, answer: ApiResponse[Page]) -> Page:
        """Cut a page to the slice, and note how far it leads."""
        part, page = self.part, answer.value.stamped(answer.requested_at)
        if part.parent_id is not None:
            page = page.of_parent(part.parent_id)
        self._at_its_end = page.next_url is None
        extent = page.extent(part.field) if isinstance(part, Slice) and not part.secondary_cursors else None
        ids = (record.id for record in page.records)
        self.stall.note(ids, page.count, *((extent.least, extent.greatest) if extent is not None else (None, None)))
        if isinstance(part, Slice) and extent is not None:
            self._sorted &= extent.ascending or part.descending
            self._advance(part, extent.least, extent.greatest)
            if extent.least < part.start or (part.end is not None and extent.greatest >= part.end):
                page = page.within(part.field, part.start, part.end)
        self.records += page.count
        return page

    def _advance(self, part: Slice, least: datetime, greatest: datetime) -> None:
        follows, self._begins = not self._begins, False
        if part.descending:
            self._sorted &= not follows or self._edge is None or greatest <= self._edge
            self._edge = least
            self.passed_the_end = self._sorted and least < part.start
            return
        self._sorted &= not follows or self._edge is None or least >= self._edge
        self._measure(least, greatest)
        self._edge = greatest
        # Pages out of order promise nothing about what is still to come.
        end = min(greatest, part.end) if part.end is not None else greatest
        self.read_up_to = max(end, self.read_up_to or end) if self._sorted else None
        self.passed_the_end = self._sorted and part.end is not None and greatest >= part.end

    def _measure(self, least: datetime, greatest: datetime) -> None:
        """Learn how much time a page spans: the last one, unless it lies in a single second, which tells nothing about what comes behind."""
        self._first = self._first or least
        self._pages += 1
        last = greatest - (self._edge or least)
        average = (greatest - self._first) / self._pages
        self._time_per_page = (last if last >= _SECOND else max(last, average)) or self._time_per_page

    @property
    def span_left(self) -> timedelta:
        """Time between the last record and the end of what is covered; zero where it is not known or nothing is left."""
        part = self.part
        if not isinstance(part, Slice) or part.descending or part.secondary_cursors or self._at_its_end or self.passed_the_end:
            return timedelta()
        return max(timedelta(), part.covers_to - self._place(part))

    def _place(self, part: Slice) -> datetime:
        """Return from where on time is left to read, which is measured and cut from the usual beginning on only."""
        return max(self._edge or part.start, USUAL_BEGINNING)

    @property
    def span_read(self) -> timedelta:
        """Time between the first and the last record."""
        return self._edge - self._first if self._edge is not None and self._first is not None else timedelta()

    @property
    def density(self) -> float | None:
        """Records a second of their time, where that is known."""
        seconds = self.span_read.total_seconds()
        return self.records / seconds if seconds > 0 else None

    @property
    def pages_left(self) -> float:
        """Pages that are left, by the density seen; 0 before the first page, without an end while all that was read lies at one instant.

        What a chain has from the one that it was cut off only helps to judge its own first page: taken for granted, it would let idle workers cut
        up empty time behind a burst, a request each.
        """
        if not self._pages:
            return 0.0
        if self._time_per_page:
            return self.span_left / self._time_per_page
        return math.inf if self.span_left else 0.0

    @property
    def pages_expected(self) -> float:
        """Pages that are left, by the density seen here or in the chain that it was cut off; without an end where nothing is known."""
        if not self.span_left:
            return 0.0 if self._pages else math.inf
        return self.span_left / self._time_per_page if self._time_per_page else math.inf

    @property
    def may_be_cut(self) -> bool:
        """True if the rest of the slice could be given away, now or once more is known about it."""
        return self._sorted and self.span_left > 4 * _SECOND

    def cut_off(self) -> Slice | None:
        """Give away the later half of what is left, from a whole second on; None if it cannot be cut.

        The border stays two seconds above the last record, so that where bounds are asked for a second wider nobody reads a second full of records
        again.
        """
        part = self.part
        if not isinstance(part, Slice) or not self.may_be_cut:
            return None
        border = (self._place(part) + max(self.span_left / 2, 2 * _SECOND) + _SECOND).replace(microsecond=0)
        if border >= part.covers_to:
            return None
        self.part, above = part.cut_at(border)
        return above

    @property
    def rest(self) -> AnySlice:
        """What is to be asked for now: the slice, or what is left of it where it is begun again."""
        if not isinstance(self.part, Slice) or self._rest_from is None:
            return self.part
        # The API refuses a bound in the future, and the newest slice may have come to records that are dated there.
        return replace(self.part, start=min(self._rest_from, self.part.covers_to))

    @property
    def has_advanced(self) -> bool:
        """True if a chain that is begun again now would begin behind where this one began."""
        if not isinstance(self.part, Slice) or self.read_up_to is None:
            return False
        return min(self.read_up_to, self.part.covers_to) > (self._rest_from or self.part.start)

    @property
    def may_begin_again(self) -> bool:
        """False once it has been begun again so often at the same place that it leads nowhere."""
        return self._begun_at.count(self.read_up_to) < _MOST_BEGINNINGS

    def begin_again(self) -> None:
        """Go on with a new chain where the slice is complete, or from its start where that is not known; a record may be read twice."""
        self._begun_at.append(self.read_up_to)
        self.begin_with_other_pages()

    def begin_with_other_pages(self) -> None:
        """Do the same because pages of another size are asked for."""
        self._rest_from = self.read_up_to
        self._begins = True

    def branch(self, part: Slice, slice_id: SliceId) -> "SliceReader":
        """Return the chain of a slice that was cut off this one."""
        return SliceReader(part, slice_id, self._time_per_page, self.page_size.copy())

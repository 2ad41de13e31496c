"""The cursor chain of one slice: which records belong to it, how far it has been read, how much is left, where it can be split. Pure."""

import math
from dataclasses import replace
from datetime import datetime, timedelta

from klaviyo_assets.api.client import ApiResponse
from klaviyo_assets.decode import Page
from klaviyo_assets.extract.chain_position import Position, position_after
from klaviyo_assets.extract.page_sink import SliceId
from klaviyo_assets.extract.page_size import ChainPageSize
from klaviyo_assets.extract.slices import AnySlice, Slice
from klaviyo_assets.extract.stall import Stall
from klaviyo_assets.state.coverage import USUAL_BEGINNING, TimeWindow

_SECOND = timedelta(seconds=1)

_MAX_RESTARTS = 3
"""Maximum number of restarts at the same position."""


class SliceReader:
    """A slice that is being read.

    Args:
        slice_: The slice.
        slice_id: Its number in the sink.
        time_per_page: How much time a page covers in the slice that this one was split off; None if it is not known.
        page_size: How many records to request per page.

    Attributes:
        slice: The slice; it ends earlier once its later half has been split off.
        slice_id: Its number in the sink.
        page_size: How many records to request per page.
        read_up_to: The slice has been read completely up to this time, ties excluded; None if that is not known.
        passed_the_end: True once a record beyond the slice has been seen: all later records of the chain are beyond it too.
        records: Records of the slice that have been read.
        stall: Counts the pages without progress.
        pages: Pages that have been read since the chain began.
        seen: Of a group of parents, the range of the times of the children that have been read; None if they have none.
        position: Of a group of parents, where the next sync can continue the chain; None if that is not known.
    """

    def __init__(self, slice_: AnySlice, slice_id: SliceId, time_per_page: timedelta | None = None, page_size: ChainPageSize | None = None) -> None:
        self.slice = slice_
        self.slice_id = slice_id
        self.page_size = page_size or ChainPageSize(None)
        self.read_up_to: datetime | None = None
        self.passed_the_end = False
        self.records = 0
        self._sorted = True
        self._first: datetime | None = None
        self._edge: datetime | None = None
        self._pages = 0
        self._time_per_page = time_per_page
        self._at_its_end = False
        self._restarted_at: list[datetime | None] = []
        self._rest_from: datetime | None = None
        self._begins = True
        self.position: Position | None = slice_.continues_at
        self.pages = self.position.pages if self.position is not None else 0
        self.seen: TimeWindow | None = None
        self.stall = Stall(*slice_.bounds)

    @property
    def _window(self) -> Slice | None:
        """The slice, if it is a time window; only such a slice can be measured, split and continued in the middle."""
        return self.slice if isinstance(self.slice, Slice) else None

    def accept(self, response: ApiResponse[Page]) -> Page:
        """Return the records of a page that belong to the slice, and record how far the slice has been read."""
        slice_, window, page = self.slice, self._window, response.value.stamped(response.requested_at)
        if slice_.parent_id is not None:
            page = page.of_parent(slice_.parent_id)
        self._at_its_end = page.next_url is None
        self.pages += 1
        if slice_.measured_column is not None:
            self._note_times(page, slice_.measured_column)
            self.position = position_after(page.next_url, self.pages) or self.position
        extent = page.extent(window.field) if window is not None and not window.field_is_nested else None
        ids = (record.id for record in page.records)
        self.stall.note(ids, page.count, *((extent.least, extent.greatest) if extent is not None else (None, None)))
        if window is not None and extent is not None:
            self._sorted &= extent.ascending or window.descending
            self._advance(window, extent.least, extent.greatest)
            if extent.least < window.start or (window.end is not None and extent.greatest >= window.end):
                page = page.within(window.field, window.start, window.end)
        self.records += page.count
        return page

    def _note_times(self, page: Page, field: str) -> None:
        extent = page.extent(field)
        if extent is not None:
            before = self.seen or TimeWindow(extent.least, extent.greatest)
            self.seen = TimeWindow(min(before.start, extent.least), max(before.end, extent.greatest))

    def _advance(self, slice_: Slice, least: datetime, greatest: datetime) -> None:
        follows, self._begins = not self._begins, False
        if slice_.descending:
            self._sorted &= not follows or self._edge is None or greatest <= self._edge
            self._edge = least
            self.passed_the_end = self._sorted and least < slice_.start
            return
        self._sorted &= not follows or self._edge is None or least >= self._edge
        self._measure(least, greatest)
        self._edge = greatest
        # Pages that are out of order do not show which records are still to come.
        end = min(greatest, slice_.end) if slice_.end is not None else greatest
        self.read_up_to = max(end, self.read_up_to or end) if self._sorted else None
        self.passed_the_end = self._sorted and slice_.end is not None and greatest >= slice_.end

    def _measure(self, least: datetime, greatest: datetime) -> None:
        """Measure how much time the last page covers; if that is less than a second, which does not predict later pages, at least the average."""
        self._first = self._first or least
        self._pages += 1
        last = greatest - (self._edge or least)
        average = (greatest - self._first) / self._pages
        self._time_per_page = (last if last >= _SECOND else max(last, average)) or self._time_per_page

    @property
    def time_left(self) -> timedelta:
        """Time between the last record and the end of the covered window; zero if it is not known or nothing is left."""
        window = self._window
        if window is None or window.descending or window.field_is_nested or self._at_its_end or self.passed_the_end:
            return timedelta()
        return max(timedelta(), window.covers_to - self._position(window))

    def _position(self, slice_: Slice) -> datetime:
        """Return the start of the rest of the slice; the time before the usual beginning is neither measured nor split."""
        return max(self._edge or slice_.start, USUAL_BEGINNING)

    @property
    def time_read(self) -> timedelta:
        """Time between the first and the last record."""
        return self._edge - self._first if self._edge is not None and self._first is not None else timedelta()

    @property
    def density(self) -> float | None:
        """Records per second of the time field; None if it is not known."""
        seconds = self.time_read.total_seconds()
        return self.records / seconds if seconds > 0 else None

    @property
    def pages_left(self) -> float:
        """Pages that are left, by the density seen; 0 before the first page, infinite while all records read have the same time.

        Before the first page, the density of the slice that this one was split off does not count: relying on it would let idle workers split empty
        time after a burst, at a request each.
        """
        if not self._pages:
            return 0.0
        if self._time_per_page:
            return self.time_left / self._time_per_page
        return math.inf if self.time_left else 0.0

    @property
    def pages_expected(self) -> float:
        """Pages that are left, by the density seen here or in the slice that this one was split off; infinite if neither is known."""
        if not self.time_left:
            return 0.0 if self._pages else math.inf
        return self.time_left / self._time_per_page if self._time_per_page else math.inf

    @property
    def can_split(self) -> bool:
        """True if the rest of the slice can be split, now or once more of it has been read."""
        return self._sorted and self.time_left > 4 * _SECOND

    def split(self) -> Slice | None:
        """Split off and return the later half of the rest, from a whole second on; None if it cannot be split.

        The border stays at least two seconds above the last record: if requested bounds are a second wider, a second full of records would otherwise
        be read twice.
        """
        window = self._window
        if window is None or not self.can_split:
            return None
        # At least a second before the end of the window, since more than four are left.
        border = (self._position(window) + max(self.time_left / 2, 2 * _SECOND) + _SECOND).replace(microsecond=0)
        self.slice, above = window.cut_at(border)
        return above

    @property
    def rest(self) -> AnySlice:
        """The slice to request: all of it, or the rest of it after a restart."""
        window = self._window
        if window is None or self._rest_from is None:
            return self.slice
        # The API rejects a bound in the future, and the newest slice may have reached records with a future date.
        return replace(window, start=min(self._rest_from, window.covers_to))

    @property
    def has_advanced(self) -> bool:
        """True if a chain restarted now would begin later than the current one did."""
        window = self._window
        if window is None or self.read_up_to is None:
            return False
        return min(self.read_up_to, window.covers_to) > (self._rest_from or window.start)

    @property
    def can_restart(self) -> bool:
        """False once it has been restarted too often at the same position."""
        return self._restarted_at.count(self.read_up_to) < _MAX_RESTARTS

    def restart(self) -> None:
        """Start a new chain where the slice is complete, or at its start if that is not known; some records may be read twice."""
        self._restarted_at.append(self.read_up_to)
        self.restart_with_other_pages()

    def restart_with_other_pages(self) -> None:
        """Like :meth:`restart`, for pages of another size; does not count towards the limit of restarts."""
        self._rest_from = self.read_up_to
        self._begins, self.pages = True, 0
        self.slice = self.slice.from_the_beginning()
        # The new chain returns the last records again, one page each if the pages are small. The number of restarts is limited.
        self.stall = Stall(*self.slice.bounds)

    def spawn(self, split: Slice, slice_id: SliceId) -> "SliceReader":
        """Return the reader of a slice that was split off this one."""
        return SliceReader(split, slice_id, self._time_per_page, self.page_size.copy())

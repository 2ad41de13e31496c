"""Detects cursor chains that make no progress although each link is new: repeated records, empty pages, or records outside of the slice.

Behavior that is normal for Klaviyo is allowed: many thousands of records with the same time, empty pages in the middle of a filtered list, a
repeated page. Memory is bounded: only a sample of the ids is kept.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

MAX_IDLE_PAGES = 100
"""Maximum consecutive pages without a record, without a new one, or with only records outside of the slice."""

MAX_PAGES_AT_ONE_TIME = 1_000
"""Maximum consecutive pages of new records that do not advance in the time field: 100,000 profiles or a million events with the same time."""

MIN_RECORDS_AT_ONE_TIME = 100_000
"""As many records with the same time are allowed however small the pages are: next to a record of megabytes, a page has one record."""

_IDS_KEPT = 8_192

_NEAR = timedelta(seconds=1)
"""If the API has only strict operators, requested bounds are a second wider, so records may lie outside of the slice by this much."""


class SeenIds:
    """A sample of bounded size of the ids that were seen.

    Keeps the ids whose hash ends in n zero bits, and increments n when there are too many. Up to ``max_ids`` ids, all are kept.

    Args:
        max_ids: Maximum number of ids to keep.
    """

    def __init__(self, max_ids: int = _IDS_KEPT) -> None:
        self._max_ids = max_ids
        self._kept: set[int] = set()
        self._mask = 0

    @property
    def one_in(self) -> int:
        """Sampling rate: one id in this many belongs to the sample."""
        return self._mask + 1

    def add(self, ids: Iterable[str]) -> bool:
        """Add ids, and return whether one of them is new to the sample."""
        before = len(self._kept)
        self._kept.update(number for number in map(hash, ids) if not number & self._mask)
        is_new = len(self._kept) > before
        while len(self._kept) > self._max_ids:
            self._mask = self._mask * 2 + 1
            self._kept = {number for number in self._kept if not number & self._mask}
        return is_new


@dataclass
class Stall:
    """Counts consecutive pages without progress.

    Args:
        start: Start of the slice, None for no bound.
        end: End of the slice, None for no bound.

    Attributes:
        empty: Consecutive pages without a record.
        outside: Consecutive pages with only records outside of the slice.
        repeated: Consecutive pages without a new record.
        at_one_time: Consecutive pages that do not advance in the time field.
        records_at_one_time: Their records.
    """

    start: datetime | None = None
    end: datetime | None = None
    empty: int = 0
    outside: int = 0
    repeated: int = 0
    at_one_time: int = 0
    records_at_one_time: int = 0
    _least: datetime | None = None
    _greatest: datetime | None = None
    _seen: SeenIds = field(default_factory=SeenIds)

    def note(self, ids: Iterable[str], count: int, least: datetime | None = None, greatest: datetime | None = None) -> None:
        """Count a page.

        Args:
            ids: Ids of its records; only used if the page does not advance in the time field.
            count: Number of its records.
            least: Least value of the time field; None if the chain is not sorted by one.
            greatest: Greatest value of the time field.
        """
        self.empty = self.empty + 1 if not count else 0
        if not count:
            return
        if least is not None and greatest is not None:
            self.outside = self.outside + 1 if self._is_outside(least, greatest) else 0
            if self._advances(least, greatest):
                self.repeated = self.at_one_time = self.records_at_one_time = 0
                self._seen = SeenIds()
                return
            self.at_one_time += 1
            self.records_at_one_time += count
        self.repeated = 0 if self._seen.add(ids) else self.repeated + 1

    @property
    def reason(self) -> str | None:
        """Why the chain makes no progress, as the end of a sentence; None while it does."""
        if self.empty >= MAX_IDLE_PAGES:
            return f"the last {self.empty} pages held no record"
        if self.outside >= MAX_IDLE_PAGES:
            return f"the last {self.outside} pages held only records outside of the requested time window"
        if self.repeated >= MAX_IDLE_PAGES * self._seen.one_in:
            return f"the last {self.repeated} pages held only records that had been returned before"
        if self.at_one_time >= MAX_PAGES_AT_ONE_TIME and self.records_at_one_time >= MIN_RECORDS_AT_ONE_TIME:
            return f"the last {self.at_one_time} pages did not advance in time"
        return None

    def _is_outside(self, least: datetime, greatest: datetime) -> bool:
        return (self.start is not None and greatest < _earlier(self.start)) or (self.end is not None and least > self.end + _NEAR)

    def _advances(self, least: datetime, greatest: datetime) -> bool:
        """Return whether a page extends the time range seen so far, within the slice."""
        low = max(least, self.start) if self.start is not None else least
        high = min(greatest, self.end) if self.end is not None else greatest
        if low > high:
            return False
        advances = self._least is None or self._greatest is None or low < self._least or high > self._greatest
        self._least = low if self._least is None else min(low, self._least)
        self._greatest = high if self._greatest is None else max(high, self._greatest)
        return advances


def _earlier(instant: datetime) -> datetime:
    try:
        return instant - _NEAR
    except OverflowError:
        return instant

"""How far a long sync is, and what is left of it: an estimate as a range. Pure, but for the clock.

Klaviyo's lists do not say how many records they hold. Of events it may be asked for its own counts; else what is known is how dense records lie where
they were read, and what is left may be thinner or denser, so each number comes as a range.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from klaviyo_assets.extract.slice_reader import SliceReader
from klaviyo_assets.extract.slices import AnySlice, Slice
from klaviyo_assets.state.coverage import USUAL_BEGINNING

_SECONDS_BETWEEN = 30.0
_SECONDS_BEFORE_THE_FIRST = 10.0

_SAYS_SOMETHING = 300
"""Records of a chain, from which on its density counts."""

_COUNT_IS_OFF = 0.02
"""By how much of itself Klaviyo's count may differ from what it lists."""

_FILE_OVERHEAD = 1.6
"""How much more than its Parquet file a row may take in the DuckDB file, at most; at least it takes as much."""


@dataclass(frozen=True)
class Range:
    """From ``low`` to ``high``."""

    low: float
    high: float

    def times(self, low: float, high: float) -> "Range":
        """Return the range scaled by another."""
        return Range(self.low * low, self.high * high)


@dataclass(frozen=True)
class Estimate:
    """What is left of a sync.

    Attributes:
        records: Records left to read.
        seconds: Seconds left, at the pace so far.
        bytes: Bytes that those records will take in the database.
        complete_from: Everything from here on has been read; None if not even the newest slice is finished.
    """

    records: Range
    seconds: Range
    bytes: Range
    complete_from: datetime | None


@dataclass
class Progress:
    """Watches one sync.

    Args:
        oldest: Time of the oldest record, where it is known.

    Attributes:
        expected: Records that Klaviyo counts in what the sync reads; None if that is not known.
        rows_staged: Rows that have been written to staging.
        bytes_staged: Bytes of their files.
    """

    oldest: datetime | None = None
    expected: int | None = None
    rows_staged: int = 0
    bytes_staged: int = 0
    _began: float = field(default_factory=lambda: time.monotonic())
    _told: float | None = None
    _seen: set[SliceReader] = field(default_factory=set)

    def is_due(self) -> bool:
        """Return whether it is time to tell the user again, and take it as told."""
        now = time.monotonic()
        due = now - self._began >= _SECONDS_BEFORE_THE_FIRST if self._told is None else now - self._told >= _SECONDS_BETWEEN
        if due:
            self._told = now
        return due

    def estimate(self, records_read: int, chains: Sequence[SliceReader], waiting: Sequence[AnySlice]) -> Estimate | None:
        """Return what is left; None while too little has been read to tell, or where a type is not read along time.

        Args:
            records_read: Records read so far.
            chains: Chains that are being read.
            waiting: Slices that are not begun.
        """
        self._seen.update(chains)
        densities = sorted(chain.density for chain in self._seen if chain.density is not None and chain.records >= _SAYS_SOMETHING)
        elapsed = time.monotonic() - self._began
        to_come = [part for part in waiting if isinstance(part, Slice)]
        if not densities or not records_read or elapsed <= 0 or len(to_come) < len(waiting):
            return None
        thin, middle, dense = (densities[int(place * (len(densities) - 1))] for place in (0.1, 0.5, 0.9))
        low = high = 0.0
        for chain in chains:
            own = chain.density if chain.density is not None else dense
            seconds = chain.span_left.total_seconds()
            low, high = low + seconds * min(own, middle), high + seconds * max(own, middle)
        for part in to_come:
            seconds = self._length(part).total_seconds()
            low, high = low + seconds * thin, high + seconds * dense
        records = Range(low, high) if self.expected is None else _left(self.expected, records_read)
        per_row = self.bytes_staged / self.rows_staged if self.rows_staged else 0.0
        return Estimate(
            records=records,
            seconds=records.times(elapsed / records_read, elapsed / records_read),
            bytes=records.times(per_row, per_row * _FILE_OVERHEAD),
            complete_from=_complete_from([*(chain.part for chain in chains), *to_come]),
        )

    def _length(self, part: Slice) -> timedelta:
        start = max(part.start, self.oldest or USUAL_BEGINNING, USUAL_BEGINNING)
        return max(timedelta(), part.covers_to - start)


def _left(expected: int, records_read: int) -> Range:
    """What is left of a count that may be a little off: Klaviyo counts events that it does not list, and the other way round."""
    return Range(max(0.0, expected * (1 - _COUNT_IS_OFF) - records_read), max(0.0, expected * (1 + _COUNT_IS_OFF) - records_read))


def progress_message(name: str, records_read: int, estimate: Estimate) -> str:
    """Write an estimate for people.

    Example:
        >>> told("events", 3_150_000, estimate)
        'events: 3,150,000 records read; all from 2026-10-01 on is there. About 25 to 40 minutes and 2.1 to 5.0 GB are left.'
    """
    there = f"; all from {estimate.complete_from:%Y-%m-%d %H:%M} on is there" if estimate.complete_from else ""
    time_left = _between(estimate.seconds, _duration)
    size = f" and {_between(estimate.bytes, _size)}" if estimate.bytes.high else ""
    return f"{name}: {records_read:,} records read{there}. About {time_left}{size} left."


def _complete_from(unfinished: Sequence[AnySlice]) -> datetime | None:
    """Return from where on everything has been read; None while the newest slice, which has no end, is being read."""
    ends = [part.covers_to for part in unfinished if isinstance(part, Slice) and part.end is not None]
    return max(ends) if ends and len(ends) == len(unfinished) else None


def _between(range_: Range, write: Callable[[float], str]) -> str:
    low, high = write(range_.low), write(range_.high)
    if low == high:
        return str(high)
    number, unit = low.split(" ")
    return f"{number if unit == high.split(' ')[1] else low} to {high}"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.1f} hours"


def _size(size: float) -> str:
    unit, scale = next(((unit, scale) for unit, scale in (("GB", 1e9), ("MB", 1e6)) if size >= scale), ("kB", 1e3))
    return f"{size / scale:.1f} {unit}" if size < 10 * scale else f"{size / scale:.0f} {unit}"

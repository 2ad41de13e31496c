"""Progress reports of long syncs: records read, estimated time left, expected disk use.

Klaviyo's lists do not return how many records they have. The density of the records read so far is known, but the rest may be sparser or denser, so
each estimate is a range. Klaviyo's own counts of events would narrow it but are not requested: up to 120 requests of a shared quota are too much for
an estimate.
"""

import logging
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from klaviyo_assets.extract.fetch_state import FetchState
from klaviyo_assets.extract.slice_reader import SliceReader
from klaviyo_assets.extract.slices import AnySlice, Slice
from klaviyo_assets.staging.staging import Staging
from klaviyo_assets.state.coverage import USUAL_BEGINNING

_SECONDS_BETWEEN = 30.0
_SECONDS_BEFORE_THE_FIRST = 10.0

_MEANINGFUL = 300
"""Minimum records of a slice for its density to count."""

_FILE_OVERHEAD = 1.6
"""Maximum size of a row in the DuckDB file, as a multiple of its size in Parquet; the minimum is the same size."""


@dataclass(frozen=True)
class Range:
    """A range from ``low`` to ``high``."""

    low: float
    high: float

    def scaled(self, low: float, high: float) -> "Range":
        """Return the range multiplied by another."""
        return Range(self.low * low, self.high * high)


@dataclass(frozen=True)
class Estimate:
    """An estimate of the rest of a sync.

    Attributes:
        records: Records left to read.
        seconds: Seconds left, at the pace so far.
        bytes: Bytes that these records will need in the database.
        complete_from: Everything from this time on has been read; None if not even the newest slice is finished.
    """

    records: Range
    seconds: Range
    bytes: Range
    complete_from: datetime | None


@dataclass
class Progress:
    """Estimates the rest of one sync. Pure except for the clock.

    Args:
        oldest: Time of the oldest record; None if it is not known.

    Attributes:
        rows_staged: Rows that have been staged.
        bytes_staged: Bytes of their files.
    """

    oldest: datetime | None = None
    rows_staged: int = 0
    bytes_staged: int = 0
    _began: float = field(default_factory=lambda: time.monotonic())
    _reported: float | None = None
    _seen: set[SliceReader] = field(default_factory=set)

    def is_due(self) -> bool:
        """Return whether a report is due; if so, count it as reported."""
        now = time.monotonic()
        due = now - self._began >= _SECONDS_BEFORE_THE_FIRST if self._reported is None else now - self._reported >= _SECONDS_BETWEEN
        if due:
            self._reported = now
        return due

    def estimate(self, records_read: int, readers: Sequence[SliceReader], waiting: Sequence[AnySlice]) -> Estimate | None:
        """Estimate the rest; None while too little has been read, or if the type is not read by time.

        Args:
            records_read: Records read so far.
            readers: Slices that are being read.
            waiting: Slices that have not begun.
        """
        self._seen.update(readers)
        densities = sorted(reader.density for reader in self._seen if reader.density is not None and reader.records >= _MEANINGFUL)
        elapsed = time.monotonic() - self._began
        to_come = [slice_ for slice_ in waiting if isinstance(slice_, Slice)]
        if not densities or not records_read or elapsed <= 0 or len(to_come) < len(waiting):
            return None
        sparse, middle, dense = (densities[int(place * (len(densities) - 1))] for place in (0.1, 0.5, 0.9))
        low = high = 0.0
        for reader in readers:
            own = reader.density if reader.density is not None else dense
            seconds = reader.time_left.total_seconds()
            low, high = low + seconds * min(own, middle), high + seconds * max(own, middle)
        for slice_ in to_come:
            seconds = self._length(slice_).total_seconds()
            low, high = low + seconds * sparse, high + seconds * dense
        records = Range(low, high)
        per_row = self.bytes_staged / self.rows_staged if self.rows_staged else 0.0
        return Estimate(
            records=records,
            seconds=records.scaled(elapsed / records_read, elapsed / records_read),
            bytes=records.scaled(per_row, per_row * _FILE_OVERHEAD),
            complete_from=_complete_from([*(reader.slice for reader in readers), *to_come]),
        )

    def _length(self, slice_: Slice) -> timedelta:
        start = max(slice_.start, self.oldest or USUAL_BEGINNING, USUAL_BEGINNING)
        return max(timedelta(), slice_.covers_to - start)


@dataclass
class ProgressReporter:
    """Reports the progress of one sync.

    Args:
        name: Name of the resource type.
        state: Progress of the extraction.
        staging: The staged files.
        folder: Folder of the database, for the free disk space.
        oldest: Time of the oldest record; None if it is not known.
        log: Receives the reports.
        note: Receives messages that the user should also see after the sync.
    """

    name: str
    state: FetchState
    staging: Staging
    folder: Path
    oldest: datetime | None
    log: logging.Logger
    note: Callable[[str], None]
    _progress: Progress = field(init=False)
    _warned_about_disk: bool = False

    def __post_init__(self) -> None:
        """Start the clock."""
        self._progress = Progress(self.oldest)

    def after_page(self) -> None:
        """Report the progress if a report is due."""
        if not self._progress.is_due():
            return
        self._progress.rows_staged, self._progress.bytes_staged = self.staging.rows_written, self.staging.bytes_written
        estimate = self._progress.estimate(self.state.records_read, self.state.readers, self.state.waiting)
        if estimate is None:
            return
        self.log.info(progress_message(self.name, self.state.records_read, estimate))
        free = shutil.disk_usage(self.folder).free
        if estimate.bytes.low > free and not self._warned_about_disk:
            self._warned_about_disk = True
            self.note(f"{self.name} will need more disk space than is free ({free / 1e9:.1f} GB).")


def progress_message(name: str, records_read: int, estimate: Estimate) -> str:
    """Format an estimate.

    Example:
        >>> progress_message("events", 3_150_000, estimate)
        'events: 3,150,000 records read, complete from 2026-10-01 00:00 on. About 25 to 40 minutes and 2.1 to 5.0 GB left.'
    """
    complete = f", complete from {estimate.complete_from:%Y-%m-%d %H:%M} on" if estimate.complete_from else ""
    time_left = _between(estimate.seconds, _duration)
    size = f" and {_between(estimate.bytes, _size)}" if estimate.bytes.high else ""
    return f"{name}: {records_read:,} records read{complete}. About {time_left}{size} left."


def _complete_from(unfinished: Sequence[AnySlice]) -> datetime | None:
    """Return the time from which everything has been read; None while the newest slice, which has no end, is being read."""
    ends = [end for slice_ in unfinished if (end := slice_.complete_from) is not None]
    return max(ends) if ends and len(ends) == len(unfinished) else None


def _between(range_: Range, write: Callable[[float], str]) -> str:
    low, high = write(range_.low), write(range_.high)
    if low == high:
        return str(high)
    number, unit = low.split(" ")
    return f"{number if unit.rstrip('s') == high.split(' ')[1].rstrip('s') else low} to {high}"


def _duration(seconds: float) -> str:
    if seconds < 90:
        whole = max(1, round(seconds))
        return f"{whole} second{'' if whole == 1 else 's'}"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.1f} hours"


def _size(size: float) -> str:
    unit, scale = next(((unit, scale) for unit, scale in (("GB", 1e9), ("MB", 1e6)) if size >= scale), ("kB", 1e3))
    return f"{size / scale:.1f} {unit}" if size < 10 * scale else f"{size / scale:.0f} {unit}"

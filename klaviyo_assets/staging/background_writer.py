"""Writes and loads in background threads while pages arrive.

Frames are built, files written and loads committed while the next pages are requested, so only the rate limit determines how long a sync takes.
If the disk or the database is slower than the network, fetching waits: memory and staged files stay bounded.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from klaviyo_assets._internal.threads import in_thread
from klaviyo_assets.load.batch import Batch
from klaviyo_assets.staging.staging import Staging

ROWS_PER_LOAD = 500_000
"""Minimum rows of a regular load."""

MAX_ROWS_PER_LOAD = 1_000_000
"""Maximum rows of a load, to limit memory."""

_GROWTH = 8
"""A load scans the table's keys, so it should add at least one row for this many rows of the table."""

_MIN_ROWS_EARLY = 100_000
"""Minimum rows to load early if no more rows than these are still expected, to keep the last load small: nothing runs in parallel to it."""

_SECONDS_PER_LOAD = 20.0
"""Seconds after which even a few staged files are loaded, to show progress in the table."""

_SECONDS_PER_FILE = 1.0
"""Seconds after which even a few pages are written: after a kill, pages that were not written must be fetched again."""

_FILES_IN_MEMORY = 2.0
"""Maximum pages that wait in memory while a file is written, in files."""

_LOADS_ON_DISK = 3
"""Maximum rows that wait on disk during a load, in loads."""

_BYTES_ON_DISK = 4 * 2**30
"""Maximum bytes of these rows in memory; on disk they are compressed."""


@dataclass
class BackgroundWriter:
    """Writes staged pages to disk and loads them into the database.

    Args:
        staging: The staged pages.
        load: Loads a batch; None if nothing is loaded before the end of the sync.
        rows_known: Rows of the table at the start.
        rows_expected: Returns an estimate of the rows still to come.
    """

    staging: Staging
    load: Callable[[Batch], Awaitable[None]] | None
    rows_known: int = 0
    rows_expected: Callable[[], float] = lambda: math.inf
    _writing: asyncio.Task[None] | None = None
    _loading: asyncio.Task[None] | None = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _last_write: float = field(default_factory=lambda: time.monotonic())
    _last_load: float = field(default_factory=lambda: time.monotonic())

    async def after_page(self) -> None:
        """Start a write or a load if it is due; wait only if writing or loading has fallen behind.

        Raises:
            Exception: The error of a write or a load that has failed in the background.
        """
        self._start_due_tasks()
        while self._writing is not None and self.staging.files_in_memory >= _FILES_IN_MEMORY:
            await asyncio.shield(self._writing)
            self._start_due_tasks()
        if self._loading is not None and self._has_much_on_disk:
            await asyncio.shield(self._loading)

    def _start_due_tasks(self) -> None:
        self._writing, self._loading = _still_running(self._writing), _still_running(self._loading)
        if self._writing is None and self._file_is_due:
            self._writing = asyncio.create_task(self.write())
        if self._load_is_due and self._loading is None:
            self._loading = asyncio.create_task(self._load_staged())

    @property
    def _has_much_on_disk(self) -> bool:
        return self.staging.rows_unloaded >= _LOADS_ON_DISK * self._rows_per_load or self.staging.bytes_unloaded >= _BYTES_ON_DISK

    async def _loaded(self, batch: Batch) -> None:
        async with self._lock:
            await in_thread(self.staging.loaded, batch)

    async def finish(self) -> None:
        """Write and load everything that is left."""
        await self.settle()
        await self.write()
        if self.load is not None:
            await self._load_staged()

    async def settle(self) -> None:
        """Wait for the running write and load.

        Raises:
            Exception: The error of either.
        """
        for task in (self._writing, self._loading):
            if task is not None:
                await task
        self._writing = self._loading = None

    async def stop_and_keep_files(self) -> None:
        """After a failure, write the pages for the next sync. Errors of running tasks are ignored, since the caller reports the failure."""
        await asyncio.gather(*(task for task in (self._writing, self._loading) if task is not None), return_exceptions=True)
        await self.write()

    @property
    def _rows_per_load(self) -> int:
        return max(ROWS_PER_LOAD, min(MAX_ROWS_PER_LOAD, self.rows_known // _GROWTH))

    @property
    def _file_is_due(self) -> bool:
        files = self.staging.files_in_memory
        return files >= 1 or (files > 0 and time.monotonic() - self._last_write >= _SECONDS_PER_FILE)

    @property
    def _load_is_due(self) -> bool:
        if self.load is None:
            return False
        rows = self.staging.rows_unloaded
        if self.staging.exceeds_one_load or rows >= self._rows_per_load or (rows >= _MIN_ROWS_EARLY and rows >= self.rows_expected()):
            return True
        return rows > 0 and time.monotonic() - self._last_load >= _SECONDS_PER_LOAD

    async def write(self) -> None:
        """Write the pages in memory, once no other write is running."""
        async with self._lock:
            await in_thread(self.staging.write)
        self._last_write = time.monotonic()

    async def _load_staged(self) -> None:
        async with self._lock:
            batches = list(self.staging.batches(MAX_ROWS_PER_LOAD))
        for batch in batches:
            if self.load is not None and (batch.files or batch.covered):
                await self.load(batch)
                await self._loaded(batch)
                self.rows_known += batch.rows
                self._last_load = time.monotonic()


def _still_running(task: asyncio.Task[None] | None) -> asyncio.Task[None] | None:
    """Return the task if it is running, else None; raise its error if it has failed."""
    if task is None or not task.done():
        return task
    task.result()
    return None

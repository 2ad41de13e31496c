"""A long sync tells, while it reads, how far it is, what is left, and whether the disk will hold it."""

import asyncio
import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from klaviyo_assets.api.client import KlaviyoClient
from klaviyo_assets.api.errors import KlaviyoError
from klaviyo_assets.audit.counts import count_events
from klaviyo_assets.extract.fetcher import Fetcher
from klaviyo_assets.staging.staging import Staging
from klaviyo_assets.sync.progress import Progress, progress_message

_WORTH_A_COUNT = 120
"""Requests that a count of all events is worth, one a second: a first sync of many years and metrics is told from the density of what was read."""


@dataclass
class ProgressReporter:
    """Tells of one sync.

    Args:
        client: Asked for Klaviyo's own count.
        fetcher: What is read.
        staging: What is staged.
        folder: Where the database will grow.
        oldest: Time of the oldest record, where that is known.
        counted: The span that Klaviyo is asked to count; None if it is not to be asked.
        log: Where it is told.
        note: Takes what the user should know after the sync, too.
    """

    client: KlaviyoClient
    fetcher: Fetcher
    staging: Staging
    folder: Path
    oldest: datetime | None
    counted: tuple[datetime, datetime] | None
    log: logging.Logger
    note: Callable[[str], None]
    _progress: Progress = field(init=False)
    _counting: asyncio.Task[None] | None = None
    _warned_of_the_disk: bool = False

    def __post_init__(self) -> None:
        """Begin to watch."""
        self._progress = Progress(self.oldest)

    def after_page(self) -> None:
        """Tell, if it is time to."""
        if not self._progress.is_due():
            return
        if self._counting is None and self.counted is not None:
            self._counting = asyncio.create_task(self._count(*self.counted))
        self._tell()

    def end(self) -> None:
        """Ask for nothing any more."""
        if self._counting is not None:
            self._counting.cancel()

    async def _count(self, start: datetime, end: datetime) -> None:
        """Ask Klaviyo how many events there are, beside the reading, for a better estimate of what is left."""
        try:
            self._progress.expected = await count_events(self.client, start, end, most_requests=_WORTH_A_COUNT)
        except KlaviyoError as error:
            self.log.info("Klaviyo does not tell how many events there are (%s); what is left is told from what has been read.", error.message)

    def _tell(self) -> None:
        fetcher, name = self.fetcher, self.fetcher.entry.name
        self._progress.rows_staged, self._progress.bytes_staged = self.staging.rows_written, self.staging.bytes_written
        estimate = self._progress.estimate(fetcher.records_read, fetcher.chains, fetcher.waiting)
        if estimate is None:
            return
        self.log.info(progress_message(name, fetcher.records_read, estimate))
        free = shutil.disk_usage(self.folder).free
        if estimate.bytes.low > free and not self._warned_of_the_disk:
            self._warned_of_the_disk = True
            self.note(f"{name} will need more disk space than is free ({free / 1e9:.1f} GB).")

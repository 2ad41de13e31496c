"""Counts the requests of the last 24 hours to an endpoint with a daily limit, across processes and restarts.

Klaviyo's reports allow 225 requests a day (OpenAPI ``x-klaviyo-ratelimit``). Where the day begins is not documented, so any 24 hours count: then no
day of Klaviyo's has more. A used-up day is an error and not a wait, since nothing could be read for hours.
"""

import logging
import math
import sqlite3
import time
from datetime import UTC, datetime
from pathlib import Path

from pyrate_limiter import InMemoryBucket, Rate, RateItem, SQLiteBucket

from klaviyo_assets._internal import private_files
from klaviyo_assets.api.klaviyo_errors import QuotaUsedUp, RequestFailed
from klaviyo_assets.api.waits import duration, not_before

DAY_SECONDS = 86_400
"""Length of the window."""

_DAY_MS = 1000 * DAY_SECONDS

_MINUTE_MS = 60_000

_log = logging.getLogger("klaviyo_assets")


class DailyLimitReached(RequestFailed):
    """Our share of an endpoint's daily limit is used up; nothing was sent.

    Args:
        endpoint: The endpoint.
        limit: Requests that we may send in 24 hours.
        seconds: Seconds until one more may be sent.
        now: The time.
    """

    def __init__(self, endpoint: str, limit: int, seconds: float, now: datetime) -> None:
        super().__init__(
            f"The {limit} requests that may be sent to this endpoint in 24 hours are used up. One more may be sent in {duration(seconds)}.",
            endpoint=endpoint,
            advice=f"Nothing: what was read is kept, and the next sync continues, if it runs{not_before(seconds, now)}.",
        )
        self.retry_after = seconds


def is_daily_limit(error: Exception) -> bool:
    """Return whether an error means that a daily limit is used up, ours or Klaviyo's: a run on the same day would fail again."""
    if isinstance(error, RequestFailed):
        return isinstance(error, DailyLimitReached) or not error.may_end_soon
    return isinstance(error, QuotaUsedUp)


class DailyWindow:
    """The last 24 hours of one endpoint.

    Args:
        name: The endpoint.
        limit: Klaviyo's limit of requests a day.
        share: Share of it to use, above 0 up to 1.
        shared: File through which processes share the count; None counts the requests of this process alone.

    Example:
        >>> window = DailyWindow("/api/form-series-reports", limit=225, share=0.9, shared=None)
        >>> window.limit
        202
    """

    def __init__(self, name: str, limit: int, share: float, shared: Path | None) -> None:
        self.name = name
        self.limit = max(1, math.floor(limit * share))
        self._bucket = self._opened(shared)

    def check(self) -> None:
        """Raise :class:`DailyLimitReached` if no request may be sent now."""
        if (seconds := self._seconds_full()) > 0:
            raise DailyLimitReached(f"POST {self.name}", self.limit, seconds, datetime.now(UTC))

    def count(self) -> None:
        """Count a request that is about to be sent.

        Raises:
            DailyLimitReached: If the day is used up; then nothing is counted.
        """
        try:
            if self._bucket.put(RateItem(self.name, _now_ms())):
                return
        except (OSError, sqlite3.Error) as error:  # OSError: of the bucket's lock
            self._count_alone(error)
            return self.count()
        self.check()

    def close(self) -> None:
        """Close the file."""
        _close(self._bucket)

    def _seconds_full(self) -> float:
        """Return the seconds until the request leaves the window that is as many requests ago as the limit allows; 0 if there is none."""
        try:
            oldest = self._bucket.peek(self.limit - 1)
        except (OSError, sqlite3.Error) as error:
            self._count_alone(error)
            return self._seconds_full()
        return max(0.0, (oldest.timestamp + _DAY_MS - _now_ms()) / 1000) if oldest is not None else 0.0

    def _opened(self, shared: Path | None) -> InMemoryBucket | SQLiteBucket:
        rates = [Rate(self.limit, _DAY_MS)]
        if shared is None:
            return InMemoryBucket(rates)
        try:
            return _file_bucket(rates, shared)
        except (OSError, sqlite3.OperationalError) as error:  # such as locked by another program: the count in it is valid
            self._warn(error)
            return InMemoryBucket(rates)
        except sqlite3.DatabaseError:  # damaged by a system crash: Klaviyo's own count remains
            shared.unlink(missing_ok=True)
        return _file_bucket(rates, shared)

    def _count_alone(self, error: Exception) -> None:
        """Count the requests of this process only, since the file can no longer be used."""
        _close(self._bucket)
        self._bucket = InMemoryBucket([Rate(self.limit, _DAY_MS)])
        self._warn(error)

    def _warn(self, error: Exception) -> None:
        _log.warning("%s: the requests of the last 24 hours cannot be counted across processes, since the file cannot be used: %s", self.name, error)


def _file_bucket(rates: list[Rate], path: Path) -> SQLiteBucket:
    private_files.make_folder(path.parent)
    for one in (path, path.with_name(f"{path.name}.lock")):
        private_files.make_file(one)
    bucket = SQLiteBucket.init_from_file(rates, db_path=str(path), use_file_lock=True)
    newest = bucket.peek(0)
    if newest is not None and newest.timestamp > _now_ms() + _MINUTE_MS:
        bucket.flush()  # from before the clock was set back; it would block the endpoint for longer than a day
    bucket.leak(_now_ms())
    return bucket


def _close(bucket: InMemoryBucket | SQLiteBucket) -> None:
    """Close a bucket, also one with a lock that can no longer be acquired."""
    try:
        bucket.close()
    except (OSError, sqlite3.Error):
        if isinstance(bucket, SQLiteBucket):
            bucket.conn.close()


def _now_ms() -> int:
    return int(1000 * time.time())

"""Paces the requests to one endpoint: pyrate-limiter, configured for Klaviyo's two windows.

The limits are the tiers in ``catalog/endpoint.py``. ``fair_share`` computes the share of them; ``limiter`` passes it on.
"""

import asyncio
import hashlib
import logging
import math
import os
import re
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from filelock import FileLock, Timeout
from pyrate_limiter import GCRA, AbstractBucket, InMemoryBucket, Limiter, Rate, SQLiteBucket, StateBucket

from klaviyo_assets._internal import private_files
from klaviyo_assets.api.rate_limit.headers import BURST_SECONDS, STEADY_SECONDS, Quota
from klaviyo_assets.catalog.endpoint import RateLimit

_MINUTE_MS = 60_000

_log = logging.getLogger("klaviyo_assets")

_MAX_BURST = 10
"""Maximum requests of a burst without pacing. A small burst leaves room for the account's other integrations."""

_STALL_SECONDS = 0.3
"""A burst is large enough to send the requests that a stall of this many seconds held up."""

_CATCHING_UP = 1.02
"""Pace relative to what the minute allows, to catch up after a longer stall within the minute. The count of the minute remains exact."""

_SPARE = 0.1
"""Seconds added to the one second between requests to one-per-second endpoints."""

_MAX_SHARED_BURST = 3
"""Processes share limits of at most this many requests per second. Faster ones can absorb the few requests that several processes send at once."""

_MAX_TURN_WAIT = 180.0
"""Seconds to wait for the process that holds the turn. No response takes longer, so that process must be suspended."""

_SECONDS_BETWEEN_TRIES = 0.05

_SECONDS_FOR_OTHERS = 2 * _SECONDS_BETWEEN_TRIES
"""How long a process leaves the turn to others after its own, so that one with many requests does not keep it."""

_MAX_RESERVED_SECONDS = 300.0
"""A reservation further ahead than this is ignored: it can only mean that the clock was set back."""

MAX_PACED_SECONDS = 600
"""Longest window, in seconds, that is paced and waited for. When a longer one, such as a day, is used up, the sync fails."""

_NOT_SHARED = "The pace of requests does not consider other processes on this machine, since the folder %s cannot be used"


class Pacing(Protocol):
    """Releases requests one at a time; it has one caller at a time."""

    async def acquire_turn(self, name: str) -> None:
        """Wait until one more may be sent."""

    def end_turn(self) -> None:
        """Record that a request is finished or will not be sent."""

    def change(self, share: float, limit: RateLimit) -> None:
        """Change the share and the limit; neither may exceed its initial value."""

    def close(self) -> None:
        """Release its resources."""


def lowered(limit: RateLimit, quotas: Sequence[Quota]) -> RateLimit:
    """Return an endpoint's limit, lowered to what its responses report. Windows of an hour or a day cannot be paced and are ignored.

    Example:
        >>> lowered(RateLimit(75, 750), [Quota(1, 1), Quota(15, 60), Quota(225, 86_400)])
        RateLimit(burst=1, steady=15)
    """
    burst = min((quota.limit for quota in quotas if quota.seconds <= BURST_SECONDS), default=limit.burst)
    longer = (quota for quota in quotas if BURST_SECONDS < quota.seconds <= MAX_PACED_SECONDS)
    steady = min((quota.limit * STEADY_SECONDS // quota.seconds for quota in longer), default=limit.steady)
    return RateLimit(min(limit.burst, burst), max(1, min(limit.steady, steady)), limit.daily)


def pacing_of(limit: RateLimit, share: float, name: str, shared: Path | None) -> Pacing:
    """Return the pacing of an endpoint.

    Args:
        limit: Klaviyo's limit.
        share: Share of it to use, above 0 up to 1.
        name: The endpoint.
        shared: Folder through which processes share limits of up to three requests per second; None limits this process alone.
    """
    rates = [Rate(limit.steady, math.ceil(_MINUTE_MS / share))]
    if shared is not None and limit.burst <= _MAX_SHARED_BURST:
        try:
            return _shared_pacing(limit, rates, share, shared / f"{file_name(name)}.sqlite")
        except (OSError, sqlite3.Error) as error:
            _log.warning("%s: %s", _NOT_SHARED % shared, error)
    return _Minute(limit, share) if limit.burst > 1 else _OnePerSecond(rates, share)


def _shared_pacing(limit: RateLimit, rates: list[Rate], share: float, state: Path) -> "_SharedOnePerSecond":
    kind = _SharedSeveralPerSecond if limit.burst > 1 else _SharedOnePerSecond
    try:
        return kind(rates, share, state)
    except sqlite3.DatabaseError:  # damaged by a system crash
        state.unlink(missing_ok=True)
        return kind(rates, share, state)


def file_name(endpoint: str) -> str:
    """Return a file name for an endpoint's path, the same in all processes and different for each endpoint."""
    return re.sub(r"[^a-z0-9]+", "-", endpoint.lower()).strip("-")[:60] + "-" + hashlib.blake2b(endpoint.encode(), digest_size=4).hexdigest()


class _Minute:
    """An even pace and an exact count of the last minute.

    The pace alone (GCRA) could not catch up after a stall, or would have to be slower than the limit by its burst. The count alone (a log of the last
    minute) would send a minute's requests at once.
    """

    def __init__(self, limit: RateLimit, share: float) -> None:
        self._limit = limit
        self._share = share
        self._count = self._counted()
        self._pace = self._limiter_at(share * _CATCHING_UP)

    async def acquire_turn(self, name: str) -> None:
        """Wait for the minute's count, then for the pace."""
        _require_granted(await self._count.try_acquire_async(name))
        _require_granted(await self._pace.try_acquire_async(name))

    def end_turn(self) -> None:
        """Do nothing: several requests are in flight at once."""

    def change(self, share: float, limit: RateLimit) -> None:
        """Set another pace; only a change of the limit changes the count of the minute."""
        if limit != self._limit:
            self._limit = limit
            self._count.close()
            self._count = self._counted()
        self._pace.close()
        self._pace = self._limiter_at(share * _CATCHING_UP if share >= self._share else share)

    def close(self) -> None:
        """Stop both limiters."""
        self._count.close()
        self._pace.close()

    def _counted(self) -> Limiter:
        a_minute = self._limit.steady * self._share
        count = max(1, math.floor(a_minute))
        return Limiter(InMemoryBucket([Rate(count, math.ceil(_MINUTE_MS * max(1.0, count / a_minute)))]), buffer_ms=0)

    def _limiter_at(self, share: float) -> Limiter:
        per_second = self._limit.steady * share / 60
        burst_size = max(1, min(_MAX_BURST, math.ceil(per_second * _STALL_SECONDS), self._limit.burst - math.ceil(per_second)))
        return Limiter(StateBucket([Rate(self._limit.steady, math.ceil(_MINUTE_MS / share), burst=burst_size)], algorithm=GCRA()), buffer_ms=0)


class _OnePerSecond:
    """One request at a time, each a fixed interval after the *response* to the previous one.

    Not after the previous request, since requests may arrive closer together than they were sent. A share below 1 lengthens the interval and the
    counted window, not the number of requests per window: at 0.9 of 1/s, a request follows the previous response after about 1.2 s.
    """

    def __init__(self, rates: list[Rate], share: float, bucket: AbstractBucket | None = None) -> None:
        self._share = share
        self._seconds = self._interval = 1 / share + _SPARE
        self._steady = rates[0].limit
        self._limiter = Limiter(bucket or InMemoryBucket(rates), buffer_ms=0 if bucket is None else 5)
        self._turn = asyncio.Lock()
        self._responded_at = -math.inf

    async def acquire_turn(self, name: str) -> None:
        """Wait for the response to the previous request, then for the interval."""
        await self._turn.acquire()
        try:
            await self._acquire(name)
        except BaseException:
            self._turn.release()
            raise

    async def _acquire(self, name: str) -> None:
        await asyncio.sleep(max(0.0, self._responded_at + self._seconds - time.monotonic()))
        _require_granted(await self._limiter.try_acquire_async(name))

    def end_turn(self) -> None:
        """Record the time of the response and pass the turn on."""
        self._responded_at = time.monotonic()
        self._turn.release()

    def change(self, share: float, limit: RateLimit) -> None:
        """Spread requests over the minute if less than our share of the documented limit is left."""
        is_less = share < self._share or limit.steady < self._steady
        self._seconds = max(self._interval, STEADY_SECONDS / (limit.steady * share)) if is_less else self._interval

    def close(self) -> None:
        """Stop the limiter."""
        self._limiter.close()


class _SharedOnePerSecond(_OnePerSecond):
    """The same across processes: a lock on ``<state>.turn`` is the turn.

    The modification time of ``<state>.answered`` is when the last request was sent or answered. The limiter's lock blocks, so it is acquired in a
    thread.
    """

    def __init__(self, rates: list[Rate], share: float, state: Path) -> None:
        private_files.make_folder(state.parent)
        turn, self._last = state.with_name(f"{state.name}.turn"), state.with_name(f"{state.name}.answered")
        for path in (state, state.with_name(f"{state.name}.lock"), turn):
            private_files.make_file(path)
        bucket = SQLiteBucket.init_from_file(rates, db_path=str(state), use_file_lock=True)
        newest = bucket.peek(0)
        if newest is not None and newest.timestamp > 1000 * time.time() + _MINUTE_MS:
            bucket.flush()  # from before the clock was set back; waiting for it would look like a hang
        super().__init__(rates, share, bucket)
        self._folder = state.parent
        self._file = FileLock(turn, mode=private_files.FILE_MODE)

    async def _acquire(self, name: str) -> None:
        await asyncio.sleep(max(0.0, self._responded_at + _SECONDS_FOR_OTHERS - time.monotonic()))
        await self._acquire_lock(name)
        try:
            await asyncio.sleep(self._seconds_to_go())
            await self._count(name)
            self._note(time.time())  # in case this process is killed before the response
        except BaseException:
            self._file.release()
            raise

    async def _acquire_lock(self, name: str) -> None:
        until = time.monotonic() + _MAX_TURN_WAIT
        while not self._lock():
            if time.monotonic() > until:
                _log.warning(
                    "%s: another process on this machine has kept its turn for %.0f s; this one no longer waits for it", name, _MAX_TURN_WAIT
                )
                return
            await asyncio.sleep(_SECONDS_BETWEEN_TRIES)

    async def _count(self, name: str) -> None:
        try:
            _require_granted(await asyncio.to_thread(self._limiter.try_acquire, name))
        except sqlite3.Error as error:
            self._warn(error)

    def end_turn(self) -> None:
        """Record the time of the response for all processes, and release the turn."""
        self._note(time.time())
        self._file.release()
        super().end_turn()

    def close(self) -> None:
        """Release the turn and stop the limiter."""
        self._file.release()
        super().close()

    def _lock(self) -> bool:
        try:
            private_files.make_folder(self._folder)  # a cleanup of temporary files may have deleted it
            self._file.acquire(blocking=False)
        except Timeout:
            return False
        except OSError as error:
            self._warn(error)
        return True

    def _note(self, at: float) -> None:
        try:
            private_files.make_folder(self._folder)
            private_files.make_file(self._last)
            os.utime(self._last, (at, at))  # set, since the file system's clock may lag by a few milliseconds
        except OSError as error:
            self._warn(error)

    def _warn(self, error: Exception) -> None:
        """Log that the pace no longer considers other processes. The interval between this process's requests remains."""
        _log.warning("%s: %s", _NOT_SHARED % self._folder, error)

    def _seconds_to_go(self) -> float:
        since = time.time() - self._noted()
        return min(self._seconds, max(0.0, self._seconds - since))  # since is negative if the clock was set back

    def _noted(self) -> float:
        """Return the time that was noted last, as seconds since 1970; 0 if there is none."""
        try:
            return self._last.stat().st_mtime
        except FileNotFoundError:
            return 0.0
        except OSError as error:
            self._warn(error)
            return 0.0


class _SharedSeveralPerSecond(_SharedOnePerSecond):
    """An even pace across processes for limits of a few requests per second: a fixed interval after the previous *request*.

    The interval follows from the limit per minute, the stricter of the two. It is measured from send to send, so several requests may be in flight.
    Each process reserves the next time, the modification time of ``<state>.answered``, and waits for it without the lock. So processes take turns,
    however many requests each has.
    """

    def __init__(self, rates: list[Rate], share: float, state: Path) -> None:
        super().__init__(rates, share, state)
        self._seconds = self._interval = STEADY_SECONDS / (self._steady * share * _CATCHING_UP)

    async def acquire_turn(self, name: str) -> None:
        """Reserve the next time, and wait for it and for the minute's count."""
        await self._acquire_lock(name)
        try:
            reserved = self._next_time()
            self._note(reserved)
        finally:
            self._file.release()
        await asyncio.sleep(max(0.0, reserved - time.time()))
        await self._count(name)

    def end_turn(self) -> None:
        """Do nothing: the next time may have been reserved already."""

    def _next_time(self) -> float:
        now, noted = time.time(), self._noted()
        return max(now, noted + self._seconds) if noted < now + _MAX_RESERVED_SECONDS else now


def _require_granted(granted: object) -> None:
    if not granted:
        raise RuntimeError("the rate limiter refused to wait")

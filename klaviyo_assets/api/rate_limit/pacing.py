"""Paces the requests to one endpoint with pyrate-limiter.

Klaviyo limits the requests of a second (``burst``) and of a minute (``steady``); the limits of each endpoint are in ``catalog/types/``.
``fair_share`` computes which share of a limit this process may use, and ``limiter`` passes it on. :func:`pacing_of` chooses one of four classes:

====================  ==========================  ===========================
limit                 in this process alone       with other processes
====================  ==========================  ===========================
1 per second          :class:`_OneAtATime`        :class:`_SharedOneAtATime`
2 or 3 per second     :class:`_EvenPace`          :class:`_SharedEvenPace`
more per second       :class:`_EvenPace`
====================  ==========================  ===========================
"""

import asyncio
import hashlib
import logging
import math
import re
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from pyrate_limiter import GCRA, InMemoryBucket, Limiter, Rate, StateBucket

from klaviyo_assets.api.rate_limit.headers import BURST_SECONDS, STEADY_SECONDS, Quota
from klaviyo_assets.api.rate_limit.shared_limit import NOT_SHARED, SECONDS_BETWEEN_TRIES, SharedLimit, require_granted, shared_limit
from klaviyo_assets.catalog.endpoint import RateLimit

_MINUTE_MS = 60_000

_log = logging.getLogger("klaviyo_assets")

_MAX_BURST = 10
"""Maximum requests that may follow each other without a pause. A small burst leaves room for the account's other integrations."""

_STALL_SECONDS = 0.3
"""A burst is large enough to send the requests that a stall of this many seconds held up."""

_CATCHING_UP = 1.02
"""Pace relative to what the minute allows, to catch up after a longer stall within the minute. The limit is kept all the same, since the requests of
the last minute are counted too."""

_SPARE = 0.1
"""Seconds added to the one second between requests to one-per-second endpoints."""

_MAX_SHARED_BURST = 3
"""Processes share limits of at most this many requests per second. Faster ones can absorb the few requests that several processes send at once."""

_SECONDS_FOR_OTHERS = 2 * SECONDS_BETWEEN_TRIES
"""How long a process leaves the turn to others after its own, so that one with many requests does not keep it."""

_MAX_RESERVED_SECONDS = 300.0
"""A reservation further ahead than this is ignored: it can only mean that the clock was set back."""

MAX_PACED_SECONDS = 600
"""Longest window, in seconds, that is paced and waited for. When a longer one, such as a day, is used up, the sync fails."""


class Pacing(Protocol):
    """Releases requests one at a time; it has one caller at a time."""

    async def acquire_turn(self, name: str) -> None:
        """Wait until one more request may be sent."""

    def end_turn(self) -> None:
        """Record that a request is finished or will not be sent."""

    def change(self, share: float, limit: RateLimit) -> None:
        """Change the share and the limit: lower them, or raise them again, at most to their initial values."""

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
    if shared is not None and limit.burst <= _MAX_SHARED_BURST:
        try:
            state = shared_limit(_rates(limit, share), shared / f"{file_name(name)}.sqlite")
            return _SharedEvenPace(state, limit, share) if limit.burst > 1 else _SharedOneAtATime(state, limit, share)
        except (OSError, sqlite3.Error) as error:
            _log.warning("%s: %s", NOT_SHARED % shared, error)
    if limit.burst > 1:
        return _EvenPace(limit, share)
    return _OneAtATime(Limiter(InMemoryBucket(_rates(limit, share)), buffer_ms=0), limit, share)


def _rates(limit: RateLimit, share: float) -> list[Rate]:
    """Return the rate of a share of a minute's limit. The window is longer, not the number lower, since a share of it need not be an integer."""
    return [Rate(limit.steady, math.ceil(_MINUTE_MS / share))]


def file_name(endpoint: str) -> str:
    """Return a file name for an endpoint's path, the same in all processes and different for each endpoint."""
    return re.sub(r"[^a-z0-9]+", "-", endpoint.lower()).strip("-")[:60] + "-" + hashlib.blake2b(endpoint.encode(), digest_size=4).hexdigest()


class _EvenPace:
    """An even pace and an exact count of the last minute.

    A pace alone (GCRA, the generic cell rate algorithm) cannot catch up after a stall unless it is faster than the limit. A count of the last minute
    alone lets all of a minute's requests go at once.
    """

    def __init__(self, limit: RateLimit, share: float) -> None:
        self._limit = limit
        self._share = share
        self._count = self._minute_limiter()
        self._pace = self._pace_limiter(share * _CATCHING_UP)

    async def acquire_turn(self, name: str) -> None:
        """Wait for the minute's count, then for the pace."""
        require_granted(await self._count.try_acquire_async(name))
        require_granted(await self._pace.try_acquire_async(name))

    def end_turn(self) -> None:
        """Do nothing: several requests are in flight at once."""

    def change(self, share: float, limit: RateLimit) -> None:
        """Set another pace; only a change of the limit changes the count of the minute."""
        if limit != self._limit:
            self._limit = limit
            self._count.close()
            self._count = self._minute_limiter()
        self._pace.close()
        # Others use the account while the share is lower: then there is nothing to catch up on.
        self._pace = self._pace_limiter(share * _CATCHING_UP if share >= self._share else share)

    def close(self) -> None:
        """Stop both limiters."""
        self._count.close()
        self._pace.close()

    def _minute_limiter(self) -> Limiter:
        per_minute = self._limit.steady * self._share
        count = max(1, math.floor(per_minute))
        # If the share is less than one request per minute, the window of that one request is longer than a minute.
        milliseconds = math.ceil(_MINUTE_MS * max(1.0, count / per_minute))
        return Limiter(InMemoryBucket([Rate(count, milliseconds)]), buffer_ms=0)

    def _pace_limiter(self, share: float) -> Limiter:
        per_second = self._limit.steady * share / 60
        # The last term: a burst, and what the pace sends in the same second, must not exceed the limit per second.
        burst_size = max(1, min(_MAX_BURST, math.ceil(per_second * _STALL_SECONDS), self._limit.burst - math.ceil(per_second)))
        return Limiter(StateBucket([Rate(self._limit.steady, math.ceil(_MINUTE_MS / share), burst=burst_size)], algorithm=GCRA()), buffer_ms=0)


class _Interval:
    """Seconds between requests: longer than usual while the share or the limit is lower than at the beginning."""

    def __init__(self, usual: float, limit: RateLimit, share: float) -> None:
        self.seconds = self._usual = usual
        self._steady = limit.steady
        self._share = share

    def change(self, share: float, limit: RateLimit) -> None:
        """Spread the requests evenly over the minute if the share or the limit is lower than at the beginning."""
        is_less = share < self._share or limit.steady < self._steady
        self.seconds = max(self._usual, STEADY_SECONDS / (limit.steady * share)) if is_less else self._usual


class _OneAtATime:
    """One request at a time, each a fixed interval after the *response* to the previous one.

    Not after the previous request, since requests may arrive closer together than they were sent. A share below 1 lengthens the interval: at 0.9 of
    1/s, a request follows the previous response after about 1.2 s.
    """

    def __init__(self, limiter: Limiter, limit: RateLimit, share: float) -> None:
        self._limiter = limiter
        self._interval = _Interval(1 / share + _SPARE, limit, share)
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
        await asyncio.sleep(max(0.0, self._responded_at + self._interval.seconds - time.monotonic()))
        require_granted(await self._limiter.try_acquire_async(name))

    def end_turn(self) -> None:
        """Record the time of the response and pass the turn on."""
        self._responded_at = time.monotonic()
        self._turn.release()

    def change(self, share: float, limit: RateLimit) -> None:
        """Change the interval."""
        self._interval.change(share, limit)

    def close(self) -> None:
        """Stop the limiter."""
        self._limiter.close()


class _SharedOneAtATime(_OneAtATime):
    """One request at a time across processes: the process that sends one has the shared turn until the response."""

    def __init__(self, shared: SharedLimit, limit: RateLimit, share: float) -> None:
        super().__init__(shared.limiter, limit, share)
        self._shared = shared

    async def _acquire(self, name: str) -> None:
        await asyncio.sleep(max(0.0, self._responded_at + _SECONDS_FOR_OTHERS - time.monotonic()))
        await self._shared.acquire_turn(name)
        try:
            await asyncio.sleep(self._seconds_to_wait())
            await self._shared.count(name)
            self._shared.set_latest(time.time())  # in case this process is killed before the response
        except BaseException:
            self._shared.release_turn()
            raise

    def end_turn(self) -> None:
        """Record the time of the response for all processes, and release the turn."""
        self._shared.set_latest(time.time())
        self._shared.release_turn()
        super().end_turn()

    def close(self) -> None:
        """Release the turn and stop the limiters."""
        self._shared.close()

    def _seconds_to_wait(self) -> float:
        interval, since = self._interval.seconds, time.time() - self._shared.latest()
        return min(interval, max(0.0, interval - since))  # since is negative if the clock was set back


class _SharedEvenPace:
    """An even pace across processes for limits of a few requests per second: a fixed interval after the previous *request*.

    The interval follows from the limit per minute, the stricter of the two. It is measured from send to send, so several requests may be in flight.
    Each process has the shared turn only to reserve the next time, and waits for it without the turn. So processes take turns, however many
    requests each has.
    """

    def __init__(self, shared: SharedLimit, limit: RateLimit, share: float) -> None:
        self._shared = shared
        self._interval = _Interval(STEADY_SECONDS / (limit.steady * share * _CATCHING_UP), limit, share)

    async def acquire_turn(self, name: str) -> None:
        """Reserve the next time, and wait for it and for the minute's count."""
        await self._shared.acquire_turn(name)
        try:
            reserved = self._next_time()
            self._shared.set_latest(reserved)
        finally:
            self._shared.release_turn()
        await asyncio.sleep(max(0.0, reserved - time.time()))
        await self._shared.count(name)

    def end_turn(self) -> None:
        """Do nothing: the next time may have been reserved already."""

    def change(self, share: float, limit: RateLimit) -> None:
        """Change the interval."""
        self._interval.change(share, limit)

    def close(self) -> None:
        """Release the turn and stop the limiters."""
        self._shared.close()

    def _next_time(self) -> float:
        now, latest = time.time(), self._shared.latest()
        return max(now, latest + self._interval.seconds) if latest < now + _MAX_RESERVED_SECONDS else now

"""How fast requests to one endpoint are sent: pyrate-limiter, set up for Klaviyo's two windows."""

import asyncio
import math
import time
from pathlib import Path
from typing import Protocol

from pyrate_limiter import GCRA, InMemoryBucket, Limiter, Rate, SQLiteBucket, StateBucket

from klaviyo_assets import owner_only
from klaviyo_assets.catalog.model import RateLimit

_MINUTE_MS = 60_000

_MOST_AT_ONCE = 10
_SECONDS_AT_ONCE = 0.3
"""How many requests may be sent without pacing: as many as a stall of so many seconds holds up, which can then be made good, and never more than
ten. A small burst is gentle on the account's other integrations."""

_CATCHING_UP = 1.02
"""Pace beside what the minute allows, so that what a longer stall has cost is made good within the minute; the minute's count stays exact."""

_JITTER_MS = 250
"""Added to the interval of one-a-second endpoints, since two requests may travel at different speeds."""


class Pacing(Protocol):
    """Lets one request after the other go. One caller at a time."""

    async def take_turn(self, name: str) -> None:
        """Wait until one more may be sent."""

    def change(self, share: float) -> None:
        """Go at another share of the limit from now on, at most the one that it began with."""

    def close(self) -> None:
        """Release what it holds."""


def pacing(limit: RateLimit, share: float, shared_state: Path | None) -> Pacing:
    """Return the pacing of an endpoint.

    Args:
        limit: Klaviyo's limit.
        share: Share of it to use, above 0 up to 1.
        shared_state: SQLite file through which several processes keep one-a-second limits together; None keeps them in this process.
    """
    if limit.burst > 1:
        return _Minute(limit, share)
    rates = [Rate(1, math.ceil(1000 / share) + _JITTER_MS), Rate(limit.steady, math.ceil(_MINUTE_MS / share))]
    return _OneASecond(rates) if shared_state is None else _OneASecondForAll(rates, shared_state)


class _Minute:
    """Even pace, and an exact count of the last minute.

    The pace alone (GCRA) would either lose what a stall costs, or have to be slower than the limit by its burst; the count alone (a log of the last
    minute) would send a minute's requests at once.
    """

    def __init__(self, limit: RateLimit, share: float) -> None:
        self._limit = limit
        self._share = share
        a_minute = limit.steady * share
        count = max(1, math.floor(a_minute))
        self._count = Limiter(InMemoryBucket([Rate(count, math.ceil(_MINUTE_MS * max(1.0, count / a_minute)))]), buffer_ms=0)
        self._pace = self._paced_at(share * _CATCHING_UP)

    async def take_turn(self, name: str) -> None:
        _must(await self._count.try_acquire_async(name))
        _must(await self._pace.try_acquire_async(name))

    def change(self, share: float) -> None:
        self._pace.close()
        self._pace = self._paced_at(share * _CATCHING_UP if share >= self._share else share)

    def close(self) -> None:
        self._count.close()
        self._pace.close()

    def _paced_at(self, share: float) -> Limiter:
        per_second = self._limit.steady * share / 60
        at_once = max(1, min(_MOST_AT_ONCE, math.ceil(per_second * _SECONDS_AT_ONCE), self._limit.burst - math.ceil(per_second)))
        return Limiter(StateBucket([Rate(self._limit.steady, math.ceil(_MINUTE_MS / share), burst=at_once)], algorithm=GCRA()), buffer_ms=0)


class _OneASecond:
    """One request after the other. A share stretches the interval and leaves the count, so that 0.9 of 1/s is one every 1.1 s."""

    def __init__(self, rates: list[Rate]) -> None:
        self._limiter = Limiter(InMemoryBucket(rates), buffer_ms=0)

    async def take_turn(self, name: str) -> None:
        _must(await self._limiter.try_acquire_async(name))

    def change(self, share: float) -> None:
        """Stay: the interval is Klaviyo's, and others' requests fall between."""

    def close(self) -> None:
        self._limiter.close()


class _OneASecondForAll(_OneASecond):
    """The same through a file, for several processes. Its lock blocks, so it waits in a thread."""

    def __init__(self, rates: list[Rate], state: Path) -> None:
        owner_only.make_folder(state.parent)
        for path in (state, state.with_name(f"{state.name}.lock")):
            owner_only.make_file(path)
        bucket = SQLiteBucket.init_from_file(rates, db_path=str(state), use_file_lock=True)
        newest = bucket.peek(0)
        if newest is not None and newest.timestamp > 1000 * time.time() + _MINUTE_MS:
            bucket.flush()  # written before this machine's clock was set back; waiting for it would look like a hang
        self._limiter = Limiter(bucket, buffer_ms=5)

    async def take_turn(self, name: str) -> None:
        _must(await asyncio.to_thread(self._limiter.try_acquire, name))


def _must(granted: object) -> None:
    if not granted:
        raise RuntimeError("the rate limiter refused to wait")

"""Keeps requests to an endpoint under Klaviyo's two windows, and gives way to the account's other integrations.

The limits are the account's, not ours: https://developers.klaviyo.com/en/docs/rate_limits_and_error_handling .
"""

import asyncio
import logging
import math
import random
import time
from collections.abc import Mapping
from pathlib import Path

from pyrate_limiter import GCRA, InMemoryBucket, Limiter, Rate, SQLiteBucket, StateBucket

from klaviyo_assets import owner_only
from klaviyo_assets.api.concurrency import Concurrency
from klaviyo_assets.api.neighbours import Neighbours
from klaviyo_assets.catalog.model import RateLimit

_MOST_AT_ONCE = 10
_SECONDS_AT_ONCE = 0.3
"""How many requests may be sent without pacing: as many as a stall of so many seconds holds up, which can then be made good, and never more than
ten. A small burst is gentle on the account's other integrations."""

_WORTH_A_CHANGE = 0.02
"""Change of our share from which on the pace follows."""

_JITTER_MS = 250
"""Added to the interval of one-a-second endpoints, since two requests may travel at different speeds."""


_LONGEST_WINDOW = 60
"""Seconds of Klaviyo's longer window."""

_WORTH_SAYING = 10
"""Seconds of waiting from which on it is logged."""

_NO_LIMIT = 10**9
"""No header says more than this and means it."""

_log = logging.getLogger("klaviyo_assets")


class EndpointGate:
    """Every request to one endpoint passes here first.

    A pyrate-limiter paces requests at the configured share of the limit. On top of that the gate listens to the server: it closes for
    ``Retry-After`` on a 429, and until the window's reset when others have left us nothing.

    Args:
        name: The endpoint, for the limiter's records.
        limit: Klaviyo's limit.
        share: Share of the limit to use, above 0 up to 1.
        shared_state: SQLite file through which several processes keep one-a-second limits together; None keeps them in this process.

    Attributes:
        seconds_waited: Time that requests have waited here, in seconds.
    """

    def __init__(self, name: str, limit: RateLimit, share: float, shared_state: Path | None = None) -> None:
        self.seconds_waited = 0.0
        self._name = name
        self._in_flight = 0
        self._closed_until = 0.0
        self._limit = limit
        self._neighbours = Neighbours(share)
        self._paced_at = share
        self._concurrency = Concurrency(limit.steady / 60 * share)
        self._turn = asyncio.Lock()
        self._limiter_blocks = limit.burst == 1 and shared_state is not None
        self._limiter = _limiter(limit, share, shared_state)

    @property
    def requests_under_way(self) -> int:
        """Requests that should be under way at once to keep the limit busy."""
        return self._concurrency.size

    async def enter(self) -> None:
        """Wait until one more request may be sent."""
        began = time.monotonic()
        await self._wait_until_open()
        await self._take_turn()
        await self._wait_until_open()
        self._in_flight += 1
        self.seconds_waited += time.monotonic() - began

    def leave(self, headers: Mapping[str, str]) -> None:
        """Take note of a finished request and of what the server says is left of the minute."""
        self._in_flight -= 1
        remaining, reset = _integer(headers.get("RateLimit-Remaining")), _integer(headers.get("RateLimit-Reset"))
        if remaining is None or reset is None:
            return
        limit = _integer(headers.get("RateLimit-Limit"))
        if limit is not None:
            self._neighbours.note(limit=limit, remaining=remaining, reset=reset, now=time.monotonic())
        if remaining <= self._in_flight:
            self.close_for(min(reset, _LONGEST_WINDOW))

    def took(self, seconds: float) -> None:
        """Take note of how long an answer took, decoding included."""
        self._concurrency.note(time.monotonic(), seconds)

    def close_for(self, seconds: float) -> None:
        """Let nobody through for so many seconds (and a little more, so that all do not come at once)."""
        if seconds > _WORTH_SAYING:
            _log.warning("%s: waiting %.0f seconds, since the account's rate limit is used up", self._name, seconds)
        self._closed_until = max(self._closed_until, time.monotonic() + seconds + random.uniform(0.05, 0.25))  # noqa: S311

    def dispose(self) -> None:
        """Release the limiter's resources."""
        self._limiter.close()

    async def _take_turn(self) -> None:
        if self._limiter_blocks:
            # The store is shared through a file lock that blocks, so it waits in a thread.
            granted = await asyncio.to_thread(self._limiter.try_acquire, self._name)
        else:
            async with self._turn:
                self._give_way()
                granted = await self._limiter.try_acquire_async(self._name)
        if not granted:
            raise RuntimeError(f"the rate limiter of {self._name} refused to wait")

    def _give_way(self) -> None:
        """Pace at what the account's other integrations leave us of our share."""
        ours = self._neighbours.ours
        if self._limit.burst > 1 and (abs(ours - self._paced_at) >= _WORTH_A_CHANGE or (ours != self._paced_at and ours == self._neighbours.share)):
            _log.info("%s: others use %.0f %% of the account's rate limit, we use %.0f %%", self._name, 100 * self._neighbours.others, 100 * ours)
            self._limiter.close()
            self._limiter, self._paced_at = _limiter(self._limit, ours, None), ours
            self._concurrency.rate = self._limit.steady / 60 * ours

    async def _wait_until_open(self) -> None:
        # The gate may be closed for longer meanwhile, so look again after each sleep.
        while (seconds := self._closed_until - time.monotonic()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(seconds)


def _limiter(limit: RateLimit, share: float, shared_state: Path | None) -> Limiter:
    """Build the pacing. A share stretches the interval and leaves the count, so that 0.9 of 1/s is one every 1.1 s."""
    if limit.burst == 1:
        rates = [Rate(1, math.ceil(1000 / share) + _JITTER_MS), Rate(limit.steady, math.ceil(60_000 / share))]
        if shared_state is None:
            return Limiter(InMemoryBucket(rates), buffer_ms=0)
        owner_only.make_folder(shared_state.parent)
        for path in (shared_state, shared_state.with_name(f"{shared_state.name}.lock")):
            owner_only.make_file(path)
        bucket = SQLiteBucket.init_from_file(rates, db_path=str(shared_state), use_file_lock=True)
        newest = bucket.peek(0)
        if newest is not None and newest.timestamp > 1000 * (time.time() + _LONGEST_WINDOW):
            bucket.flush()  # written before this machine's clock was set back; waiting for it would look like a hang
        return Limiter(bucket, buffer_ms=5)
    per_second = limit.steady * share / 60
    at_once = max(1, min(_MOST_AT_ONCE, math.ceil(per_second * _SECONDS_AT_ONCE), limit.burst - math.ceil(per_second)))
    # A minute that begins with a burst must not hold more than the limit either.
    share = min(share, 1 - at_once / limit.steady)
    return Limiter(StateBucket([Rate(limit.steady, math.ceil(60_000 / share), burst=at_once)], algorithm=GCRA()), buffer_ms=0)


def _integer(text: str | None) -> int | None:
    try:
        return max(-_NO_LIMIT, min(_NO_LIMIT, int(float(text)))) if text is not None else None
    except (ValueError, OverflowError):
        return None

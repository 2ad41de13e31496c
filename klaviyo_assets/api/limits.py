"""Keeps requests to an endpoint under Klaviyo's two windows, and gives way to the account's other integrations.

The limits are the account's, not ours: https://developers.klaviyo.com/en/docs/rate_limits_and_error_handling .
"""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Mapping
from pathlib import Path

from klaviyo_assets.api.concurrency import Concurrency
from klaviyo_assets.api.neighbours import Neighbours
from klaviyo_assets.api.pacing import pacing
from klaviyo_assets.api.window import Window
from klaviyo_assets.catalog.model import RateLimit

_WORTH_A_CHANGE = 0.02
"""Change of our share from which on the pace follows."""

_WORTH_SAYING = 10
"""Seconds of waiting from which on it is logged."""

_NO_LIMIT = 10**9
"""No header says more than this and means it."""

_log = logging.getLogger("klaviyo_assets")


class EndpointGate:
    """Every request to one endpoint passes here first.

    Requests are paced at the configured share of the limit (:mod:`klaviyo_assets.api.pacing`). On top of that the gate listens to the server: it
    closes for ``Retry-After`` on a 429, and while all that is left of the server's minute is under way (:mod:`klaviyo_assets.api.window`).

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
        self._told_until = 0.0
        self._limit = limit
        self._window = Window()
        self._neighbours = Neighbours(share)
        self._paced_at = share
        self._concurrency = Concurrency(limit.steady / 60 * share)
        self._turn = asyncio.Lock()
        self._news = asyncio.Event()
        self._pacing = pacing(limit, share, shared_state)

    @property
    def requests_under_way(self) -> int:
        """Requests that should be under way at once to keep the limit busy."""
        return self._concurrency.size

    async def enter(self) -> None:
        """Wait until one more request may be sent."""
        began = time.monotonic()
        await self._wait_until_open()
        async with self._turn:
            self._give_way()
            await self._pacing.take_turn(self._name)
            try:
                # One at a time, so that all who wait for a gate that is closed now do not come at once when it opens.
                await self._wait_until_open()
            except BaseException:
                self._pacing.end_turn()
                raise
            self._in_flight += 1
        self.seconds_waited += time.monotonic() - began

    def leave(self, headers: Mapping[str, str]) -> None:
        """Take note of a finished request and of what the server says is left of the minute."""
        self._in_flight -= 1
        self._pacing.end_turn()
        remaining, reset = _integer(headers.get("RateLimit-Remaining")), _integer(headers.get("RateLimit-Reset"))
        if remaining is not None and reset is not None:
            limit, now = _integer(headers.get("RateLimit-Limit")), time.monotonic()
            if limit is not None:
                self._neighbours.note(limit=limit, remaining=remaining, reset=reset, now=now)
            self._window.note(remaining=remaining, reset=reset, now=now)
            self._tell(self._seconds_full())
        self._news.set()
        self._news = asyncio.Event()

    def took(self, seconds: float) -> None:
        """Take note of how long an answer took, decoding included."""
        self._concurrency.note(time.monotonic(), seconds)

    def close_for(self, seconds: float) -> None:
        """Let nobody through for so many seconds (and a little more, so that all do not come at once)."""
        self._tell(seconds)
        self._closed_until = max(self._closed_until, time.monotonic() + seconds + random.uniform(0.05, 0.25))  # noqa: S311

    def dispose(self) -> None:
        """Release the limiter's resources."""
        self._pacing.close()

    def _give_way(self) -> None:
        """Pace at what the account's other integrations leave us of our share."""
        ours = self._neighbours.ours
        if self._limit.burst > 1 and (abs(ours - self._paced_at) >= _WORTH_A_CHANGE or (ours != self._paced_at and ours == self._neighbours.share)):
            _log.info("%s: others use %.0f %% of the account's rate limit, we use %.0f %%", self._name, 100 * self._neighbours.others, 100 * ours)
            self._pacing.change(ours)
            self._paced_at = ours
            self._concurrency.rate = self._limit.steady / 60 * ours

    async def _wait_until_open(self) -> None:
        # The gate may be closed for longer meanwhile, or open sooner than was thought, so look again whenever something is heard.
        while (seconds := max(self._closed_until - time.monotonic(), self._seconds_full())) > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), seconds)

    def _seconds_full(self) -> float:
        others = self._neighbours.others / self._neighbours.ours
        return self._window.seconds_full(under_way=self._in_flight, others=others, now=time.monotonic())

    def _tell(self, seconds: float) -> None:
        """Log a long wait, once."""
        now = time.monotonic()
        if seconds > _WORTH_SAYING and now + seconds > self._told_until + _WORTH_SAYING:
            _log.warning("%s: waiting %.0f seconds, since the account's rate limit is used up", self._name, seconds)
            self._told_until = now + seconds


def _integer(text: str | None) -> int | None:
    try:
        return max(-_NO_LIMIT, min(_NO_LIMIT, int(float(text)))) if text is not None else None
    except (ValueError, OverflowError):
        return None

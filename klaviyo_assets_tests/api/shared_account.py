"""Simulates an account in virtual time: the sandbox's limits, our limiter, and other clients."""

import asyncio
import random
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any

from klaviyo_assets.api.rate_limit.limiter import RateLimiter
from klaviyo_assets.catalog.endpoint import TIER_XL, RateLimit
from klaviyo_assets.sandbox.errors import ApiError
from klaviyo_assets.sandbox.limits import Limits, RateLimitHeaders
from klaviyo_assets_tests.api.virtual_time import now

PATH = "/api/any"


@dataclass
class Responses:
    """Times of one client's responses, accepted and rejected (by the virtual clock)."""

    accepted: list[float] = field(default_factory=list)
    rejected: list[float] = field(default_factory=list)

    def since(self, start: float) -> tuple[int, int]:
        return sum(at >= start for at in self.accepted), sum(at >= start for at in self.rejected)


class SharedAccount:
    """One endpoint of an account.

    Args:
        limit: Its limit.
        headers: Form of its headers.
        offset: Position of the start within the server's minute, in seconds.
        latency: Seconds that a response takes.
        jitter: Maximum difference of latencies in seconds, half of it before the server counts the request.
        counts_late: True if the server counts a request when it responds, not when it arrives.
    """

    def __init__(
        self,
        limit: RateLimit = TIER_XL,
        headers: RateLimitHeaders = RateLimitHeaders.RECORDED,
        offset: float = 20.37,
        latency: float = 0.1,
        jitter: float = 0.0,
        counts_late: bool = False,
    ) -> None:
        self.limit = limit
        self.began = now()
        self.ours, self.others = Responses(), Responses()
        self._limits = Limits(lambda: now() - self.began + 6000 + offset, headers)
        self._latency, self._jitter, self._counts_late = latency, jitter, counts_late
        self._dice = random.Random(7)

    async def request(self, responses: Responses) -> tuple[dict[str, str], float | None]:
        """Send a request; return the headers of its response, and on a 429 the seconds of ``Retry-After``."""
        way = self._latency / 2 + self._dice.uniform(0, self._jitter / 2)
        back = self._latency / 2 + self._dice.uniform(0, self._jitter / 2)
        await asyncio.sleep(way + back if self._counts_late else way)
        try:
            headers, rejected_for = dict(self._limits.enter(PATH, self.limit)), None
            responses.accepted.append(now() - self.began)
        except ApiError as error:
            headers, rejected_for = error.headers, float(error.headers["Retry-After"])
            responses.rejected.append(now() - self.began)
        await asyncio.sleep(0 if self._counts_late else back)
        return headers, rejected_for

    async def sync(self, share: float, seconds: float, responses: Responses | None = None, workers: int = 30) -> None:
        """Send as fast as a limiter allows, as a sync does."""
        limiter, end = RateLimiter(PATH, self.limit, share), now() + seconds

        async def work() -> None:
            while now() < end:
                request = await limiter.acquire()
                headers, rejected_for = await self.request(responses or self.ours)
                limiter.release(headers, request, rejected_for)
                if rejected_for is not None:
                    limiter.close_for(rejected_for)

        await asyncio.gather(*(work() for _ in range(workers)))
        limiter.dispose()

    async def other(self, times: Iterable[float]) -> None:
        """Send one request at each of these times (seconds from the start), whatever the responses are."""
        tasks = []
        for at in times:
            await asyncio.sleep(max(0.0, self.began + at - now()))
            tasks.append(asyncio.create_task(self.request(self.others)))
        await asyncio.gather(*tasks)


def evenly(rate: float, begin: float, end: float) -> list[float]:
    return [begin + number / rate for number in range(int((end - begin) * rate))]


def at_random(rate: float, begin: float, end: float, seed: int = 3) -> list[float]:
    dice = random.Random(seed)
    return sorted(dice.uniform(begin, end) for _ in range(int((end - begin) * rate)))


def in_groups(rate: float, begin: float, end: float, every: float = 1.0) -> list[float]:
    return [at for number in range(int((end - begin) / every)) for at in [begin + number * every] * int(rate * every)]


Times = Callable[[float, float, float], list[float]]
Scene = Coroutine[Any, Any, SharedAccount]

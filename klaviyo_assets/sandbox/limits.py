"""Klaviyo's rate limits: two fixed windows an endpoint, aligned to the wall clock, per account."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from klaviyo_assets.catalog.model import RateLimit
from klaviyo_assets.sandbox.errors import ApiError

_BURST_SECONDS = 1
_STEADY_SECONDS = 60


@dataclass
class _Window:
    seconds: int
    allowed: int
    number: int = -1
    used: int = 0

    def roll(self, now: float) -> None:
        number = int(now) // self.seconds
        if number != self.number:
            self.number, self.used = number, 0

    @property
    def full(self) -> bool:
        return self.used >= self.allowed

    def seconds_left(self, now: float) -> int:
        # Klaviyo's Retry-After is a whole number, and a client that waits it out must find the window rolled.
        return max(1, math.ceil((self.number + 1) * self.seconds - now))


class Limits:
    """Counts the account's requests.

    Args:
        now: Real time in seconds; limits do not follow the sandbox's movable clock.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._windows: dict[tuple[str, RateLimit], tuple[_Window, _Window]] = {}

    def enter(self, endpoint: str, *limits: RateLimit) -> Mapping[str, str]:
        """Count a request and return the headers of its answer.

        Args:
            endpoint: The endpoint; a collection and the look-up of one record are two.
            limits: The limits that it counts against; the last one's steady window is told in the headers.

        Raises:
            ApiError: 429, if one of the windows is full; such a request counts against none.
        """
        now = self._now()
        pairs = [self._pair(endpoint, limit) for limit in dict.fromkeys(limits)]
        windows = [window for pair in pairs for window in pair]
        for window in windows:
            window.roll(now)
        full = [window.seconds_left(now) for window in windows if window.full]
        if full:
            raise _throttled(max(full))
        for window in windows:
            window.used += 1
        steady = pairs[-1][1]
        return {
            "RateLimit-Limit": str(steady.allowed),
            "RateLimit-Remaining": str(steady.allowed - steady.used),
            "RateLimit-Reset": str(steady.seconds_left(now)),
        }

    def _pair(self, endpoint: str, limit: RateLimit) -> tuple[_Window, _Window]:
        key = (endpoint, limit)
        if key not in self._windows:
            self._windows[key] = _Window(_BURST_SECONDS, limit.burst), _Window(_STEADY_SECONDS, limit.steady)
        return self._windows[key]


def _throttled(seconds: int) -> ApiError:
    detail = f"Request was throttled. Expected available in {seconds} second{'s' if seconds != 1 else ''}."
    return ApiError(429, "throttled", "Request was throttled.", detail, headers={"Retry-After": str(seconds)})

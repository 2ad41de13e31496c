"""Klaviyo's rate limits: two fixed windows per endpoint (some have a third, of a day), aligned to the wall clock, per account."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from klaviyo_assets.catalog.endpoint import RateLimit
from klaviyo_assets.sandbox.errors import ApiError

_BURST_SECONDS = 1
_STEADY_SECONDS = 60
_DAY_SECONDS = 86_400


class RateLimitHeaders(StrEnum):
    """Which window the ``RateLimit-*`` headers describe, and their format.

    Attributes:
        RECORDED: The window with the least remaining, then the list of all windows, as in recorded responses.
        ALWAYS_BURST: Always the one-second window, then the list.
        MINUTE: The minute, as one number, as Klaviyo documents it.
    """

    RECORDED = "recorded"
    ALWAYS_BURST = "always-burst"
    MINUTE = "minute"


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

    @property
    def remaining(self) -> int:
        return self.allowed - self.used

    def seconds_left(self, now: float) -> int:
        # Klaviyo's Retry-After is a whole number; after this time the window must be over, so round up.
        return max(1, math.ceil((self.number + 1) * self.seconds - now))


class Limits:
    """Counts the account's requests.

    Args:
        now: Real time in seconds; limits do not follow the sandbox's movable clock.
        headers: Format of the ``RateLimit-*`` headers.
        daily: Limit of requests per day and endpoint; 0 for that of the endpoint, if it has one.
    """

    def __init__(self, now: Callable[[], float] = time.time, headers: RateLimitHeaders = RateLimitHeaders.RECORDED, daily: int = 0) -> None:
        self._now = now
        self._headers = headers
        self._daily = daily
        self._windows: dict[tuple[str, RateLimit], tuple[_Window, ...]] = {}

    def enter(self, endpoint: str, *limits: RateLimit) -> Mapping[str, str]:
        """Count a request and return the headers of its response.

        Args:
            endpoint: The endpoint; a collection and the look-up of one record are different endpoints.
            limits: The limits that it counts against; the headers describe the last one.

        Raises:
            ApiError: 429, if one of the windows is full; such a request counts against no window.
        """
        now = self._now()
        windows_of_limits = [self._windows_of(endpoint, limit) for limit in dict.fromkeys(limits)]
        windows = [window for some in windows_of_limits for window in some]
        for window in windows:
            window.roll(now)
        full = [window.seconds_left(now) for window in windows if window.full]
        if full:
            raise _throttled(max(full))
        for window in windows:
            window.used += 1
        return self._report(windows_of_limits[-1], now)

    def _windows_of(self, endpoint: str, limit: RateLimit) -> tuple[_Window, ...]:
        key = (endpoint, limit)
        if key not in self._windows:
            allowed = self._daily or limit.daily
            day = (_Window(_DAY_SECONDS, allowed),) if allowed else ()
            self._windows[key] = (_Window(_BURST_SECONDS, limit.burst), _Window(_STEADY_SECONDS, limit.steady), *day)
        return self._windows[key]

    def _report(self, windows: Sequence[_Window], now: float) -> Mapping[str, str]:
        burst, steady, *_ = windows
        if self._headers is RateLimitHeaders.MINUTE:
            return _headers(str(steady.allowed), steady, steady.seconds_left(now))
        window = burst if self._headers is RateLimitHeaders.ALWAYS_BURST else min(windows, key=lambda one: one.remaining)
        listed = [f"{one.allowed};w={one.seconds}" for one in windows]
        # Recorded responses say 0 within the last second of a window: this value is rounded down, unlike Retry-After.
        return _headers(", ".join([str(window.allowed), *listed]), window, int((window.number + 1) * window.seconds - now))


def _headers(limit: str, window: _Window, reset: int) -> Mapping[str, str]:
    return {"RateLimit-Limit": limit, "RateLimit-Remaining": str(window.remaining), "RateLimit-Reset": str(reset)}


def _throttled(seconds: int) -> ApiError:
    detail = f"Request was throttled. Expected available in {seconds} second{'s' if seconds != 1 else ''}."
    return ApiError(429, "throttled", "Request was throttled.", detail, headers={"Retry-After": str(seconds)}, pointer="/data")

"""When a request is sent again after a fault, and after how long."""

import random
from dataclasses import dataclass

import tenacity

from klaviyo_assets.api.errors import RateLimited, RequestFailed
from klaviyo_assets.api.options import ClientSettings
from klaviyo_assets.api.rate_limit.limiter import RateLimiter
from klaviyo_assets.api.request_waits import RequestWait

LONGEST_BACKOFF = 60.0
"""Seconds of backoff at most."""

BACKOFF_BASE = 0.5
"""Seconds of backoff before jitter, doubled with each attempt."""


@dataclass(frozen=True)
class RetryPolicy:
    """Retries of one request: transient faults with exponential backoff, and a 429 once the rate limiter opens again.

    Args:
        settings: How often, and the longest ``Retry-After`` that is waited for.
        limiter: The endpoint's limiter; a 429 closes it for all requests.
        request: Reports what the request waits for.
    """

    settings: ClientSettings
    limiter: RateLimiter
    request: RequestWait

    def attempts(self) -> tenacity.AsyncRetrying:
        """Return the attempts; the last one raises its error."""
        return tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(self._is_worth_another_try),
            stop=self._stop,
            wait=self._wait,
            before_sleep=self._before_retry,
            reraise=True,
        )

    def _is_worth_another_try(self, error: BaseException) -> bool:
        """Return whether a fault is transient and Klaviyo does not ask to come back much later."""
        return isinstance(error, RequestFailed) and (error.retry_after or 0) <= self.settings.longest_wait

    def _stop(self, state: tenacity.RetryCallState) -> bool:
        """Return whether there were enough attempts."""
        return state.attempt_number > self._most_retries(_error(state))

    def _wait(self, state: tenacity.RetryCallState) -> float:
        """Return the seconds to wait before the next attempt; none after a 429, since the limiter is closed meanwhile."""
        error = _error(state)
        if isinstance(error, RateLimited):
            return 0.0
        requested = (error.retry_after or 0.0) if isinstance(error, RequestFailed) else 0.0
        return requested + backoff(state)

    def _before_retry(self, state: tenacity.RetryCallState) -> None:
        """Close the limiter after a 429, and report the retry."""
        error, seconds = _error(state), state.upcoming_sleep
        if isinstance(error, RateLimited):
            # All requests wait, this one included: each time longer, where Klaviyo asks for next to nothing again and again.
            self.limiter.close_for(seconds := max(error.retry_after or 0.0, backoff(state)))
        if isinstance(error, RequestFailed):
            self.request.retry(error, seconds, state.attempt_number + 1, self._most_retries(error) + 1)

    def _most_retries(self, error: BaseException | None) -> int:
        settings = self.settings
        return max(settings.max_retries, settings.max_retries_at_the_limit) if isinstance(error, RateLimited) else settings.max_retries


def backoff(state: tenacity.RetryCallState) -> float:
    """Exponential backoff with full jitter, in seconds."""
    return random.uniform(0.1, min(LONGEST_BACKOFF, BACKOFF_BASE * 2**state.attempt_number))  # noqa: S311


def _error(state: tenacity.RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None

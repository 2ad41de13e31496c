"""Retries of requests after transient errors, with exponential backoff."""

import random
from dataclasses import dataclass

import tenacity

from klaviyo_assets.api.client_settings import ClientSettings
from klaviyo_assets.api.klaviyo_errors import RateLimited, RequestFailed
from klaviyo_assets.api.rate_limit.limiter import RateLimiter
from klaviyo_assets.api.request_waits import RequestWait

LONGEST_BACKOFF = 60.0
"""Maximum backoff, in seconds."""

BACKOFF_BASE = 0.5
"""Seconds of backoff before jitter, doubled with each attempt."""


@dataclass(frozen=True)
class RequestRetries:
    """Retries of one request: after transient errors with exponential backoff, and after a 429 once the rate limiter opens again.

    Args:
        settings: The number of retries, and the longest ``Retry-After`` to wait for.
        limiter: The endpoint's limiter; a 429 closes it for all requests.
        request: Logs what the request waits for.
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
        """Return whether an error is transient and its ``Retry-After`` is not too long."""
        return isinstance(error, RequestFailed) and (error.retry_after or 0) <= self.settings.longest_wait

    def _stop(self, state: tenacity.RetryCallState) -> bool:
        """Return whether the last allowed attempt has failed."""
        return state.attempt_number > self._most_retries(_error(state))

    def _wait(self, state: tenacity.RetryCallState) -> float:
        """Return the seconds to wait before the next attempt; 0 after a 429, since the request waits for the closed limiter."""
        error = _error(state)
        if isinstance(error, RateLimited):
            return 0.0
        requested = (error.retry_after or 0.0) if isinstance(error, RequestFailed) else 0.0
        return requested + backoff(state)

    def _before_retry(self, state: tenacity.RetryCallState) -> None:
        """Close the limiter after a 429, and log the retry."""
        error, seconds = _error(state), state.upcoming_sleep
        if isinstance(error, RateLimited):
            # All requests wait, this one included. The backoff makes repeated waits longer if Klaviyo's Retry-After is short.
            self.limiter.close_for(seconds := max(error.retry_after or 0.0, backoff(state)))
        if isinstance(error, RequestFailed):
            self.request.retry(error, seconds, state.attempt_number + 1, self._most_retries(error) + 1)

    def _most_retries(self, error: BaseException | None) -> int:
        settings = self.settings
        return max(settings.max_retries, settings.max_retries_after_429) if isinstance(error, RateLimited) else settings.max_retries


def backoff(state: tenacity.RetryCallState) -> float:
    """Exponential backoff with full jitter, in seconds."""
    return random.uniform(0.1, min(LONGEST_BACKOFF, BACKOFF_BASE * 2**state.attempt_number))  # noqa: S311


def _error(state: tenacity.RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None

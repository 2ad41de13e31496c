"""Logs what a client's requests wait for: their turn under the rate limit, a response, or the next retry.

Otherwise a waiting run would look like a hanging run. Short waits are not logged. If many requests to an endpoint wait for the same thing, it is
logged once, then once a minute.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from klaviyo_assets._internal import cancellation
from klaviyo_assets.api.klaviyo_errors import KlaviyoError
from klaviyo_assets.api.waits import duration

_SHORTEST_STEP = 0.05
"""Minimum seconds between two looks at a waiting request."""

_log = logging.getLogger("klaviyo_assets")


class WaitReason(NamedTuple):
    """Why a request waits.

    Attributes:
        level: Level of the log message.
        text: The message, without the endpoint: what the request waits for, and what to do.
    """

    level: int
    text: str


class RequestWaits:
    """The waits of one client's requests.

    Example:
        >>> waits = RequestWaits()
        >>> with waits.of("GET /api/lists") as wait:
        ...     wait.begin("response", lambda: WaitReason(logging.WARNING, "no response yet"))
    """

    def __init__(self) -> None:
        self._logged: dict[tuple[str, str], float] = {}

    @contextmanager
    def of(self, endpoint: str) -> Iterator["RequestWait"]:
        """Watch one request, including its retries, until the block ends."""
        wait = RequestWait(self, endpoint)
        try:
            yield wait
        finally:
            wait.end()

    def log(self, endpoint: str, kind: str, reason: WaitReason) -> None:
        """Log why a request waits, unless the same was logged within the last minute."""
        now, key = asyncio.get_running_loop().time(), (endpoint, kind)
        if key in self._logged and now - self._logged[key] < cancellation.SECONDS_BETWEEN_LOGS:
            return
        self._logged[key] = now
        _log.log(reason.level, "%s: %s", endpoint, reason.text)


class RequestWait:
    """The waits of one request.

    Args:
        waits: The waits of its client.
        endpoint: Method and endpoint, such as ``GET /api/events``.
    """

    def __init__(self, waits: RequestWaits, endpoint: str) -> None:
        self._waits = waits
        self._endpoint = endpoint
        self._loop = asyncio.get_running_loop()
        self._began = self._phase_began = self._loop.time()
        self._kind = ""
        self._reason: Callable[[], WaitReason | None] | None = None
        self._failure: WaitReason | None = None
        self._timer = self._later()

    @property
    def seconds_in_phase(self) -> float:
        """Seconds since the current phase began."""
        return self._loop.time() - self._phase_began

    def begin(self, kind: str, reason: Callable[[], WaitReason | None] | None) -> None:
        """Begin another phase of the request.

        Args:
            kind: What the request waits for; waits of one kind are logged once a minute.
            reason: Called if the phase lasts; returns what to log, or None if it was logged elsewhere. None for a phase that is never logged here.
        """
        self._kind, self._reason = kind, reason
        self._phase_began = self._loop.time()

    def retry(self, error: KlaviyoError, seconds: float, number: int, max_attempts: int) -> None:
        """Record a failed attempt; logged at once if the wait is long, or the request has already waited long in total.

        Args:
            error: The error of the failed attempt.
            seconds: Seconds until the next attempt.
            number: Number of the next attempt.
            max_attempts: Maximum number of attempts.
        """
        text = f"{error.message} Attempt {number} of {max_attempts} begins in {duration(seconds)}."
        advice = f"What to do: nothing yet, it continues by itself. If the last attempt fails too: {error.advice}"
        self._failure = WaitReason(logging.WARNING, f"{text} {advice}")
        self.begin("retry", lambda: self._failure)
        if max(seconds, self._loop.time() - self._began) >= cancellation.SECONDS_BEFORE_FIRST_LOG:
            self._waits.log(self._endpoint, "retry", self._failure)

    def end(self) -> None:
        """Stop watching."""
        self._timer.cancel()

    def _later(self) -> asyncio.TimerHandle:
        # Half the interval of the first message, so a phase that begins just after a look is logged in time.
        return self._loop.call_later(max(_SHORTEST_STEP, cancellation.SECONDS_BEFORE_FIRST_LOG / 2), self._look)

    def _look(self) -> None:
        self._timer = self._later()
        lasts = self.seconds_in_phase >= cancellation.SECONDS_BEFORE_FIRST_LOG
        if lasts and self._reason is not None and (reason := self._reason()) is not None:
            self._waits.log(self._endpoint, self._kind, reason)
        elif self._failure is not None and self._loop.time() - self._began >= cancellation.SECONDS_BEFORE_FIRST_LOG:
            self._waits.log(self._endpoint, "retry", self._failure)

"""Logs what a client's requests wait for: their turn under the rate limit, a response, or the next try after a fault.

Without it a run that waits looks like a run that hangs. Short waits are not logged. Where many requests to an endpoint wait for the same thing, it is
logged once, then once a minute.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from klaviyo_assets._internal import cancellation
from klaviyo_assets.api.errors import KlaviyoError
from klaviyo_assets.api.waits import duration

_SHORTEST_STEP = 0.05
"""Seconds between two looks at a request that waits, at least."""

_log = logging.getLogger("klaviyo_assets")


class Obstacle(NamedTuple):
    """What a request waits for.

    Attributes:
        level: Level of the log message.
        words: The message, without the endpoint: what is waited for, and what to do.
    """

    level: int
    words: str


class RequestWaits:
    """The waits of one client's requests.

    Example:
        >>> waits = RequestWaits()
        >>> with waits.of("GET /api/lists") as wait:
        ...     wait.begin("answer", lambda: Obstacle(logging.WARNING, "no answer yet"))
    """

    def __init__(self) -> None:
        self._logged: dict[tuple[str, str], float] = {}

    @contextmanager
    def of(self, endpoint: str) -> Iterator["RequestWait"]:
        """Watch one request, all its tries included, until the block ends."""
        wait = RequestWait(self, endpoint)
        try:
            yield wait
        finally:
            wait.end()

    def log(self, endpoint: str, kind: str, obstacle: Obstacle) -> None:
        """Log what a request waits for, unless the same was logged within the last minute."""
        now, key = asyncio.get_running_loop().time(), (endpoint, kind)
        if key in self._logged and now - self._logged[key] < cancellation.SECONDS_BETWEEN_LOGS:
            return
        self._logged[key] = now
        _log.log(obstacle.level, "%s: %s", endpoint, obstacle.words)


class RequestWait:
    """What one request waits for.

    Args:
        waits: The client's.
        endpoint: Method and endpoint, such as ``GET /api/events``.
    """

    def __init__(self, waits: RequestWaits, endpoint: str) -> None:
        self._waits = waits
        self._endpoint = endpoint
        self._loop = asyncio.get_running_loop()
        self._began = self._phase_began = self._loop.time()
        self._kind = ""
        self._obstacle: Callable[[], Obstacle | None] | None = None
        self._failure: Obstacle | None = None
        self._timer = self._later()

    @property
    def seconds_in_phase(self) -> float:
        """Seconds since the present phase began."""
        return self._loop.time() - self._phase_began

    def begin(self, kind: str, obstacle: Callable[[], Obstacle | None] | None) -> None:
        """Begin another phase of the request.

        Args:
            kind: What is waited for; waits of one kind are logged once a minute.
            obstacle: Called if the phase lasts; returns what to log, None if that was logged elsewhere. None for a phase that others log.
        """
        self._kind, self._obstacle = kind, obstacle
        self._phase_began = self._loop.time()

    def retry(self, error: KlaviyoError, seconds: float, number: int, most: int) -> None:
        """Note that a try has failed; it is logged at once where the request waits long, or has waited long in all.

        Args:
            error: What the try met.
            seconds: Seconds until the next one.
            number: Number of the next one.
            most: Tries that there are at most.
        """
        words = f"{error.message} Try {number} of {most} begins in {duration(seconds)}."
        advice = f"What to do: nothing yet, it goes on by itself. If the last try fails too: {error.advice}"
        self._failure = Obstacle(logging.WARNING, f"{words} {advice}")
        self.begin("retry", lambda: self._failure)
        if max(seconds, self._loop.time() - self._began) >= cancellation.SECONDS_BEFORE_FIRST_LOG:
            self._waits.log(self._endpoint, "retry", self._failure)

    def end(self) -> None:
        """Stop watching."""
        self._timer.cancel()

    def _later(self) -> asyncio.TimerHandle:
        # Twice as often as is needed for the first message, so that a phase that begins just after a look is logged in time.
        return self._loop.call_later(max(_SHORTEST_STEP, cancellation.SECONDS_BEFORE_FIRST_LOG / 2), self._look)

    def _look(self) -> None:
        self._timer = self._later()
        lasts = self.seconds_in_phase >= cancellation.SECONDS_BEFORE_FIRST_LOG
        if lasts and self._obstacle is not None and (obstacle := self._obstacle()) is not None:
            self._waits.log(self._endpoint, self._kind, obstacle)
        elif self._failure is not None and self._loop.time() - self._began >= cancellation.SECONDS_BEFORE_FIRST_LOG:
            self._waits.log(self._endpoint, "retry", self._failure)

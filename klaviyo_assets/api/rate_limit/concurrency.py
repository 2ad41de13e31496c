"""How many requests should be under way at once to keep a rate limit busy. Pure."""

import math
from dataclasses import dataclass

_USUAL_LATENCY = 0.3
"""Seconds that a response takes, until one has been seen."""

_SPARE = 1.25
"""Requests under way per request that the latency asks for, since latency varies and a page is also decoded."""

_SECONDS_PER_LOOK = 3.0
_ANSWERS_PER_LOOK = 10

_BUSY = 0.95
"""Part of the rate from which on the limit counts as busy."""

_STEP = 1.5
_WORTH_IT = 1.1
"""More requests at once must bring so much more throughput; else the processor or the server is the bottleneck, and more only take memory."""

_SECONDS_BEFORE_ANOTHER_TRY = 30.0


@dataclass
class Concurrency:
    """Finds the number by Little's law (rate times latency), and takes a step back where more at once bring nothing.

    Args:
        rate: Requests a second that the limit allows.

    Attributes:
        size: Requests that should be under way.

    Example:
        >>> Concurrency(rate=58.3).size
        23
    """

    rate: float
    size: int = 0
    _latency: float | None = None
    _since: float | None = None
    _answers: int = 0
    _seconds: float = 0.0
    _before: tuple[int, float] | None = None
    _not_before: float = 0.0

    def __post_init__(self) -> None:
        """Begin with what the usual latency asks for."""
        self.size = self._asked_for(_USUAL_LATENCY)

    def note(self, now: float, seconds: float) -> None:
        """Record a response.

        Args:
            now: A clock that only moves forward, in seconds.
            seconds: How long the response took.
        """
        if self._since is None:
            self._since, self.size = now, self._asked_for(seconds)
        self._answers += 1
        self._seconds += seconds
        elapsed = now - self._since
        if elapsed >= _SECONDS_PER_LOOK and self._answers >= _ANSWERS_PER_LOOK:
            self._look(now, throughput=self._answers / elapsed, latency=self._seconds / self._answers)
            self._since, self._answers, self._seconds = now, 0, 0.0

    def _look(self, now: float, throughput: float, latency: float) -> None:
        before, self._before = self._before, None
        if before is not None and throughput < before[1] * _WORTH_IT and throughput < self.rate * _BUSY:
            self.size, self._not_before = before[0], now + _SECONDS_BEFORE_ANOTHER_TRY
            return
        asked_for = self._asked_for(latency)
        if throughput < self.rate * _BUSY and asked_for > self.size and now >= self._not_before:
            self._before = self.size, throughput
            self.size = min(asked_for, math.ceil(self.size * _STEP))

    def _asked_for(self, latency: float) -> int:
        return math.ceil(self.rate * latency * _SPARE) + 1

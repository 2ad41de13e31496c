"""Computes how many requests should be in flight to use the full rate limit. Pure."""

import math
from dataclasses import dataclass

_DEFAULT_LATENCY = 0.3
"""Assumed seconds per response before the first measurement."""

_HEADROOM = 1.25
"""Factor on the computed number, since latency varies and pages are also decoded."""

_LOOK_SECONDS = 3.0
_LOOK_RESPONSES = 10

_BUSY = 0.95
"""Share of the rate at which the limit counts as fully used."""

_STEP = 1.5
_MIN_GAIN = 1.1
"""Minimum gain in throughput from a step up. With less, the processor or the server is the bottleneck, and more requests only use memory."""

_SECONDS_BEFORE_NEXT_STEP = 30.0


@dataclass
class Concurrency:
    """Applies Little's law (rate times latency), and takes a step back if more concurrency does not increase throughput.

    Args:
        rate: Requests per second that the limit allows.

    Attributes:
        size: Number of requests that should be in flight.

    Example:
        >>> Concurrency(rate=58.3).size
        23
    """

    rate: float
    size: int = 0
    _latency: float | None = None
    _since: float | None = None
    _responses: int = 0
    _seconds: float = 0.0
    _before: tuple[int, float] | None = None
    _not_before: float = 0.0

    def __post_init__(self) -> None:
        """Start with the number for the default latency."""
        self.size = self._needed(_DEFAULT_LATENCY)

    def note(self, now: float, seconds: float) -> None:
        """Record a response.

        Args:
            now: The monotonic clock, in seconds.
            seconds: How long the response took.
        """
        if self._since is None:
            self._since, self.size = now, self._needed(seconds)
        self._responses += 1
        self._seconds += seconds
        elapsed = now - self._since
        if elapsed >= _LOOK_SECONDS and self._responses >= _LOOK_RESPONSES:
            self._adjust(now, throughput=self._responses / elapsed, latency=self._seconds / self._responses)
            self._since, self._responses, self._seconds = now, 0, 0.0

    def _adjust(self, now: float, throughput: float, latency: float) -> None:
        before, self._before = self._before, None
        if before is not None and throughput < before[1] * _MIN_GAIN and throughput < self.rate * _BUSY:
            self.size, self._not_before = before[0], now + _SECONDS_BEFORE_NEXT_STEP
            return
        needed = self._needed(latency)
        if throughput < self.rate * _BUSY and needed > self.size and now >= self._not_before:
            self._before = self.size, throughput
            self.size = min(needed, math.ceil(self.size * _STEP))

    def _needed(self, latency: float) -> int:
        return math.ceil(self.rate * latency * _HEADROOM) + 1

"""Tracks what is left of the server's minute window, from its headers. Pure."""

import math
from dataclasses import dataclass

_MAX_SECONDS = 60
"""Length of Klaviyo's longer window, in seconds."""

_MARGIN = 0.1
"""Seconds to wait after the reported reset."""

_ROLLED = 5
"""Minimum seconds by which the end of a window moves when a new one begins. Less is rounding, or a response that arrived out of order."""


@dataclass
class QuotaWindow:
    """Tracks ``RateLimit-Remaining`` and ``RateLimit-Reset`` of one endpoint.

    Requests in flight may or may not be included in the last reported count, so they are assumed not to be. Further responses resolve this. The first
    response of a new minute shows that it has begun; waiting for ``RateLimit-Reset``, which has whole seconds, would waste up to a second per minute.

    Example:
        >>> window = QuotaWindow()
        >>> window.note(remaining=3, reset=1, now=59.5)
        >>> window.seconds_full(in_flight=3, others=0.0, now=59.6)
        1.0
        >>> window.note(remaining=3499, reset=60, now=60.1)
        >>> window.seconds_full(in_flight=2, others=0.0, now=60.1)
        0.0
    """

    _left: int | None = None
    _ends: float = 0.0

    def note(self, *, remaining: int, reset: int, now: float) -> None:
        """Record a response.

        Args:
            remaining: ``RateLimit-Remaining``, requests left in the window.
            reset: ``RateLimit-Reset``, seconds until the window ends.
            now: The monotonic clock, in seconds.
        """
        ends = now + min(reset, _MAX_SECONDS) + _MARGIN
        if self._left is None or now >= self._ends or ends > self._ends + _ROLLED:
            self._left = remaining
        else:
            self._left = min(self._left, remaining)  # responses can arrive out of order
        self._ends = ends

    def seconds_full(self, *, in_flight: int, others: float, now: float) -> float:
        """Return for how many seconds no more requests may be sent, unless a response reports otherwise.

        Args:
            in_flight: Requests in flight.
            others: Estimated requests of the account's other integrations per request of ours; as many are kept free.
            now: The same clock.
        """
        if self._left is None or self._left > math.ceil(in_flight * (1 + others)):
            return 0.0
        return max(0.0, self._ends - now)

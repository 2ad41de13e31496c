"""What is left of the server's minute, by its own headers. Pure."""

import math
from dataclasses import dataclass

_LONGEST = 60
"""Seconds of Klaviyo's longer window."""

_MARGIN = 0.1
"""Seconds to wait beyond the reported reset."""

_ROLLED = 5
"""Seconds by which the end of a window moves when a new one begins, at least; one more or less is rounding, or a response that was overtaken."""


@dataclass
class QuotaWindow:
    """Follows ``RateLimit-Remaining`` and ``RateLimit-Reset`` of one endpoint.

    Requests under way may or may not be counted in what the server said last, so they are taken as not counted. As responses come in, that clears up,
    and the first response of a new minute shows that it has begun: ``RateLimit-Reset`` comes in whole seconds, and waiting them out would waste up to
    one in each minute.

    Example:
        >>> window = Window()
        >>> window.note(remaining=3, reset=1, now=59.5)
        >>> window.seconds_full(under_way=3, others=0.0, now=59.6)
        1.0
        >>> window.note(remaining=3499, reset=60, now=60.1)
        >>> window.seconds_full(under_way=2, others=0.0, now=60.1)
        0.0
    """

    _left: int | None = None
    _ends: float = 0.0

    def note(self, *, remaining: int, reset: int, now: float) -> None:
        """Record a response.

        Args:
            remaining: ``RateLimit-Remaining``, requests left in the window.
            reset: ``RateLimit-Reset``, seconds until the window ends.
            now: A clock that only moves forward, in seconds.
        """
        ends = now + min(reset, _LONGEST) + _MARGIN
        if self._left is None or now >= self._ends or ends > self._ends + _ROLLED:
            self._left = remaining
        else:
            self._left = min(self._left, remaining)  # responses overtake each other
        self._ends = ends

    def seconds_full(self, *, under_way: int, others: float, now: float) -> float:
        """Return for how many seconds no more may be sent, unless a response says otherwise before.

        Args:
            under_way: Requests that are not answered yet.
            others: Requests of the account's other integrations for each of ours, as last seen; as many are kept free.
            now: The same clock.
        """
        if self._left is None or self._left > math.ceil(under_way * (1 + others)):
            return 0.0
        return max(0.0, self._ends - now)

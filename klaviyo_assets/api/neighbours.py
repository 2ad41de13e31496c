"""How much of the account's rate limit others use, by what the server says is left. Pure."""

from dataclasses import dataclass

_ROLLED = 5
"""Seconds by which ``RateLimit-Reset`` jumps up when a new window begins; it comes in whole seconds, and answers overtake each other."""

_LONG_ENOUGH = 15.0
"""Seconds of a window after which its counts say something."""

_ENOUGH_TO_GUESS = 8.0
"""Seconds of a window after which what was used before our first request says something."""

_SURELY_OURS = 0.5
"""Part of our own share that is used whatever that first guess says: it may have been ourselves, in the sync before."""

_ENDING = 10
"""Seconds before the end of a window from which on what is left of it is no measure of a pace."""

_NOTHING = 0.05
"""A share of the limit that is not told from chance."""

_MARGIN = 0.02
"""Share of the limit that stays free when others are seen, since what they do next is not known."""

_LEAST = 0.1
"""Part of our own share that is used however busy others seem, so that a sync always ends."""

_STEP = 0.3
"""Part of the way to what was seen that is gone at once: two syncs that see each other settle instead of swinging."""

_EVERY = 2.0
"""Seconds between two steps."""


@dataclass
class Neighbours:
    """Watches ``RateLimit-Remaining`` and ``RateLimit-Reset`` of one endpoint.

    Args:
        share: Share of the limit that we may use when nobody else is there.

    Attributes:
        ours: Share of the limit that we may use beside the others.
        others: Share of the limit that others used, as last seen; 0 if it cannot be told from nothing.

    Example:
        >>> seen = Neighbours(share=0.9)
        >>> seen.note(limit=3500, remaining=3400, reset=58, now=2.0)
        >>> seen.ours
        0.9
    """

    share: float
    ours: float = 0.0
    others: float = 0.0
    _reset: int | None = None
    _began: float = 0.0
    _used_at_first: int = 0
    _answers: int = 0
    _next_step: float = 0.0

    def __post_init__(self) -> None:
        """Begin with all of our share."""
        self.ours = self.share

    def note(self, *, limit: int, remaining: int, reset: int, now: float) -> None:
        """Take note of an answer.

        Args:
            limit: ``RateLimit-Limit``, requests a minute.
            remaining: ``RateLimit-Remaining``, requests left in the window.
            reset: ``RateLimit-Reset``, seconds until the window ends.
            now: A clock that only moves forward, in seconds.
        """
        used = limit - remaining
        if self._reset is None:
            self._guess(used - 1, limit, reset)
        if self._reset is None or reset > self._reset + _ROLLED or used < self._used_at_first:
            self._reset, self._began, self._used_at_first, self._answers = reset, now, used, 0
            return
        self._reset = min(reset, self._reset)
        self._answers += 1
        elapsed = now - self._began
        if elapsed >= _LONG_ENOUGH and now >= self._next_step and limit > 0:
            self._next_step = now + _EVERY
            left = 1.0 if reset < _ENDING else min(1.0, remaining / limit * 60 / reset)
            self._look(max(0, used - self._used_at_first - self._answers) / elapsed * 60 / limit, left)

    def _guess(self, used: int, limit: int, reset: int) -> None:
        """Leave others what was used of the minute before our first request, until it is known what they use."""
        elapsed = 60 - reset
        others = min(1.0, used / elapsed * 60 / limit) if elapsed >= _ENOUGH_TO_GUESS and limit > 0 else 0.0
        if others > _NOTHING:
            self.others = others
            self.ours = min(self.share, max(_SURELY_OURS * self.share, 1 - others - _MARGIN))

    def _look(self, others: float, left: float) -> None:
        """Go a step towards what others leave of the limit, and of what is left of this minute: what was used too much is made good in it."""
        if others <= _NOTHING:
            self.others, self.ours = 0.0, self.share
            return
        self.others = others
        free = min(self.share, max(_LEAST * self.share, left - others - _MARGIN))
        self.ours += _STEP * (free - self.ours)
        if abs(free - self.ours) < _MARGIN / 4:
            self.ours = free

"""The sandbox's clock: real time plus an offset that only grows."""

import time
from email.utils import formatdate

from klaviyo_assets.sandbox.instants import SECOND


class Clock:
    """Returns the sandbox's time in microseconds since the epoch.

    Args:
        start: Instant that the clock shows now; real time if None.
    """

    def __init__(self, start: int | None = None) -> None:
        self._offset = 0 if start is None else start - _real()

    def now(self) -> int:
        """Return the current time."""
        return _real() + self._offset

    def advance(self, micros: int) -> None:
        """Move the clock ahead.

        Raises:
            ValueError: If it would go back: records that have arrived stay.
        """
        if micros < 0:
            raise ValueError("the clock cannot go back")
        self._offset += micros

    def set(self, instant: int) -> None:
        """Move the clock ahead to an instant.

        Raises:
            ValueError: If the instant is in the past.
        """
        self.advance(instant - self.now())

    def http_date(self, off_by: int = 0) -> str:
        """Return the current time as the value of a ``Date`` header.

        Args:
            off_by: Microseconds to add.
        """
        return formatdate((self.now() + off_by) // SECOND, usegmt=True)


def _real() -> int:
    return time.time_ns() // 1000

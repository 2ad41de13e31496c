"""Cooperative cancellation, deadlines and log messages for blocking waits."""

import asyncio
import logging
import math
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar

SECONDS_BEFORE_FIRST_LOG = 5.0
"""Seconds from the start of a wait to its first log message."""

SECONDS_BETWEEN_LOGS = 60.0
"""Seconds between further log messages of the same wait."""

_log = logging.getLogger("klaviyo_assets")

_stop: ContextVar[threading.Event | None] = ContextVar("stop", default=None)
_most_seconds: ContextVar[float] = ContextVar("most_seconds", default=math.inf)


class Interrupted(Exception):
    """A blocking wait was cancelled before its work began."""


def stop_on(stop: threading.Event) -> None:
    """End the waits of the current context once an event is set."""
    _stop.set(stop)


def raise_if_cancelled() -> None:
    """Raise if the current context was cancelled.

    Raises:
        Interrupted: If it was.
    """
    stop = _stop.get()
    if stop is not None and stop.is_set():
        raise Interrupted


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Limit every wait inside a block to this many seconds."""
    token = _most_seconds.set(seconds)
    try:
        yield
    finally:
        _most_seconds.reset(token)


def patience(seconds: float) -> float:
    """Return how many seconds a wait may take: the given number, or less inside :func:`at_most`."""
    return min(seconds, _most_seconds.get())


class Reminder:
    """Logs that a wait continues: after a few seconds, then once a minute.

    Args:
        first: Seconds after which it is logged for the first time.

    Example:
        >>> reminder = Reminder()
        >>> while not done():
        ...     reminder.log("Waiting for %s. What to do: close it there.", program)
    """

    def __init__(self, first: float = SECONDS_BEFORE_FIRST_LOG) -> None:
        self._began = time.monotonic()
        self._next = first

    @property
    def waited(self) -> float:
        """Seconds since the wait began."""
        return time.monotonic() - self._began

    def log(self, text: str, *values: object) -> None:
        """Log a warning if one is due."""
        if self.waited >= self._next:
            self._next = self.waited + SECONDS_BETWEEN_LOGS
            _log.warning(text, *values)


@asynccontextmanager
async def log_while_waiting(text: str, *values: object) -> AsyncIterator[None]:
    """Log periodically while a block waits, if the block itself cannot."""

    async def log() -> None:
        """Log periodically until cancelled."""
        await asyncio.sleep(SECONDS_BEFORE_FIRST_LOG)
        while True:
            _log.warning(text, *values)
            await asyncio.sleep(SECONDS_BETWEEN_LOGS)

    task = asyncio.create_task(log())
    try:
        yield
    finally:
        task.cancel()

"""How long blocking work may wait for its turn: not at all once its task is cancelled, and not long to write down that it was."""

import asyncio
import logging
import math
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar

FIRST_WORD = 5.0
"""Seconds of a wait after which the log says so."""

SECONDS_BETWEEN_WORDS = 60.0
"""Seconds after which the log says again that a wait goes on."""

_log = logging.getLogger("klaviyo_assets")

_stop: ContextVar[threading.Event | None] = ContextVar("stop", default=None)
_most_seconds: ContextVar[float] = ContextVar("most_seconds", default=math.inf)


class Interrupted(Exception):
    """Blocking work was told to stop while it waited for its turn; it had done nothing yet."""


def heed(stop: threading.Event) -> None:
    """Let the waits of this thread's work end once an event is set."""
    _stop.set(stop)


def check() -> None:
    """Go on waiting, unless told to stop.

    Raises:
        Interrupted: If the work was told to stop.
    """
    stop = _stop.get()
    if stop is not None and stop.is_set():
        raise Interrupted


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Let no wait of a block take longer, in seconds, whatever its own patience is."""
    token = _most_seconds.set(seconds)
    try:
        yield
    finally:
        _most_seconds.reset(token)


def patience(seconds: float) -> float:
    """Return how many seconds a wait may take that would by itself take so many."""
    return min(seconds, _most_seconds.get())


class Reminder:
    """Logs that a wait goes on: after a few seconds, then once a minute.

    Args:
        first: Seconds after which it is logged for the first time.

    Example:
        >>> reminder = Reminder()
        >>> while not done():
        ...     reminder.say("Waiting for %s. What to do: close it there.", program)
    """

    def __init__(self, first: float = FIRST_WORD) -> None:
        self._began = time.monotonic()
        self._next = first

    @property
    def waited(self) -> float:
        """Seconds since the wait began."""
        return time.monotonic() - self._began

    def say(self, words: str, *values: object) -> None:
        """Log a warning if it is time for one."""
        if self.waited >= self._next:
            self._next = self.waited + SECONDS_BETWEEN_WORDS
            _log.warning(words, *values)


@asynccontextmanager
async def saying(words: str, *values: object) -> AsyncIterator[None]:
    """Log that a wait goes on for as long as the block does, for waits that cannot be done in steps."""

    async def say() -> None:
        await asyncio.sleep(FIRST_WORD)
        while True:
            _log.warning(words, *values)
            await asyncio.sleep(SECONDS_BETWEEN_WORDS)

    task = asyncio.create_task(say())
    try:
        yield
    finally:
        task.cancel()

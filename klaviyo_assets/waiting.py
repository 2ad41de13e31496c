"""How long blocking work may wait for its turn: not at all once its task is cancelled, and not long to write down that it was."""

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

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

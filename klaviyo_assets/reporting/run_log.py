"""Forwards the log messages of the package to the log of the Dagster run that they belong to.

The library logs to ``logging.getLogger("klaviyo_assets")``, which Dagster shows on the process's standard error only. What a run waits for must be in
the run's own log, without any setting by the user.
"""

import logging
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

from klaviyo_assets._internal.redaction import redact, without_key

T = TypeVar("T")

LOGGER = logging.getLogger("klaviyo_assets")


@dataclass(frozen=True)
class _Destination:
    """The log of one run, and how to phrase messages there."""

    log: logging.Logger
    with_configured_names: Callable[[str], str]

    def pass_on(self, record: logging.LogRecord) -> None:
        """Write a record of another logger to this log, without private API keys."""
        error = record.exc_info[1] if record.exc_info else None
        shown = without_key(error) if error is not None else None
        self.log.log(record.levelno, "%s", redact(self.with_configured_names(record.getMessage())), exc_info=shown)


_destination: ContextVar[_Destination | None] = ContextVar("destination", default=None)
"""Destination of the current work; tasks and threads that it starts inherit it, so two runs in one process do not get each other's messages."""


class _ToRunLog(logging.Handler):
    """Passes records on to the log of one run, phrased for its user."""

    def __init__(self, destination: _Destination) -> None:
        super().__init__()
        self._destination = destination

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._destination.pass_on(record)
        except Exception:
            self.handleError(record)  # as the handlers of the standard library do: a log must not stop the work


def log_with_configured_names(log: logging.Logger, with_configured_names: Callable[[str], str]) -> logging.Logger:
    """Return a logger that writes to a run's log, with messages phrased for the user.

    Args:
        log: The run's log, Dagster's ``context.log``.
        with_configured_names: Rewrites a message, for example to name the user's own settings.

    Example:
        >>> log_with_configured_names(context.log, names.with_configured_names).warning("Set KLAVIYO_ACCOUNT_ID.")
        >>> # The run's log has "Set the field account_id of resource 'klaviyo'."
    """
    logger = logging.Logger("klaviyo_assets.run")  # not one of logging.getLogger: no other handler gets its messages
    logger.addHandler(_ToRunLog(_Destination(log, with_configured_names)))
    return logger


class _Forward(logging.Handler):
    """Forwards records of the library to the run that they belong to."""

    def emit(self, record: logging.LogRecord) -> None:
        destination = _destination.get()
        if destination is None or _is_managed(destination.log):
            return
        try:
            destination.pass_on(record)
        except Exception:
            self.handleError(record)  # as the handlers of the standard library do: a log must not stop the work


class _Listener:
    """Listens to the library's logger while at least one run of this process needs it."""

    def __init__(self) -> None:
        self._handler = _Forward()
        self._lock = threading.Lock()
        self._runs = 0
        self._has_set_the_level = False

    def begin(self) -> None:
        with self._lock:
            self._runs += 1
            if self._runs > 1:
                return
            LOGGER.addHandler(self._handler)
            if LOGGER.level == logging.NOTSET and LOGGER.getEffectiveLevel() > logging.INFO:
                LOGGER.setLevel(logging.INFO)
                self._has_set_the_level = True

    def end(self) -> None:
        with self._lock:
            self._runs -= 1
            if self._runs:
                return
            LOGGER.removeHandler(self._handler)
            if self._has_set_the_level:
                LOGGER.setLevel(logging.NOTSET)
                self._has_set_the_level = False


_listener = _Listener()


@contextmanager
def in_the_log_of(log: logging.Logger, with_configured_names: Callable[[str], str] = str) -> Iterator[None]:
    """Send what the library logs within the block to a run's log, at level INFO and above unless the user has set a level for the library.

    Args:
        log: The run's log, Dagster's ``context.log``.
        with_configured_names: Rewrites a message, for example to name the user's own settings.

    Example:
        >>> with in_the_log_of(context.log):
        ...     asyncio.run(sync.run())
    """
    token = _destination.set(_Destination(log, with_configured_names))
    _listener.begin()
    try:
        yield
    finally:
        _listener.end()
        _destination.reset(token)


def each_in_the_log_of(log: logging.Logger, results: Generator[T], with_configured_names: Callable[[str], str] = str) -> Iterator[T]:
    """Yield results, and send what the library logs while it makes them to a run's log.

    Not while Dagster handles a result: it may do other work in this thread then.

    Args:
        log: The run's log, Dagster's ``context.log``.
        results: What makes the results; closed at the end, also if not all are used.
        with_configured_names: Rewrites a message, for example to name the user's own settings.
    """
    with closing(results):
        while True:
            with in_the_log_of(log, with_configured_names):
                try:
                    result = next(results)
                except StopIteration:
                    return
            yield result


def _is_managed(log: logging.Logger) -> bool:
    """Whether Dagster forwards the library's log itself (``managed_python_loggers`` in dagster.yaml): then it would be logged twice."""
    kinds = tuple({type(handler) for handler in log.handlers if type(handler).__module__.startswith("dagster.")})
    logger: logging.Logger | None = LOGGER
    while logger is not None and kinds:
        if any(isinstance(handler, kinds) for handler in logger.handlers):
            return True
        logger = logger.parent if logger.propagate else None
    return False

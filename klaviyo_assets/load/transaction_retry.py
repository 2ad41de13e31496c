"""Retries transactions that conflict with another writer, in warehouses with several concurrent writers."""

import functools
import logging
import random
import time
from collections.abc import Callable
from typing import Concatenate, ParamSpec, Protocol, TypeVar

import duckdb

from klaviyo_assets._internal import cancellation
from klaviyo_assets.warehouse.interface import Warehouse

_TRIES = 20

_SECONDS = (0.05, 0.3)
"""Shortest and longest wait after the first conflict, in seconds; multiplied by the number of conflicts."""

_log = logging.getLogger("klaviyo_assets")


class Writer(Protocol):
    """An object with methods that are transactions; a failed one leaves the object unchanged."""

    @property
    def warehouse(self) -> Warehouse:
        """The database."""


P = ParamSpec("P")
R = TypeVar("R")
W = TypeVar("W", bound=Writer)


def retry_on_conflict(method: Callable[Concatenate[W, P], R]) -> Callable[Concatenate[W, P], R]:
    """Retry a method if its transaction was rolled back because another one changed the same rows.

    All syncs, audits and erasures write into the same bookkeeping tables. A warehouse with an exclusive writer has no such conflicts: the error is
    raised.
    """

    @functools.wraps(method)
    def retried(self: W, /, *arguments: P.args, **named: P.kwargs) -> R:
        """Call the method, again after a conflict."""
        for number in range(1, _TRIES):
            try:
                return method(self, *arguments, **named)
            except duckdb.TransactionException as error:
                if self.warehouse.capabilities.exclusive_writer:
                    raise
                _log.info("Another transaction has changed the same rows (%s); retrying.", error)
            cancellation.raise_if_cancelled()
            time.sleep(number * random.uniform(*_SECONDS))  # noqa: S311 (no secret)
        return method(self, *arguments, **named)

    return retried

"""Repeats transactions that conflict with another writer, in warehouses that have several at a time."""

import functools
import logging
import random
import time
from collections.abc import Callable
from typing import Concatenate, ParamSpec, Protocol, TypeVar

import duckdb

from klaviyo_assets._internal import cancellation
from klaviyo_assets.warehouse.base import Warehouse

_TRIES = 20

_SECONDS = (0.05, 0.3)
"""Least and most seconds to wait after the first conflict; after the second one it is twice as long, and so on."""

_log = logging.getLogger("klaviyo_assets")


class Writer(Protocol):
    """An object whose methods are transactions; one that fails leaves the object as it was."""

    @property
    def warehouse(self) -> Warehouse:
        """The database."""


P = ParamSpec("P")
R = TypeVar("R")
W = TypeVar("W", bound=Writer)


def repeated_on_conflict(method: Callable[Concatenate[W, P], R]) -> Callable[Concatenate[W, P], R]:
    """Repeat a method whose transaction was rolled back because another one had changed the same rows.

    All resource types write into the same bookkeeping tables. A warehouse with an exclusive writer has no such conflicts: there the error is raised.
    """

    @functools.wraps(method)
    def repeated(self: W, /, *arguments: P.args, **named: P.kwargs) -> R:
        for number in range(1, _TRIES):
            try:
                return method(self, *arguments, **named)
            except duckdb.TransactionException as error:
                if self.warehouse.capabilities.exclusive_writer:
                    raise
                _log.info("Another transaction has changed the same rows (%s); this one is repeated.", error)
            cancellation.check()
            time.sleep(number * random.uniform(*_SECONDS))  # noqa: S311 (no secret)
        return method(self, *arguments, **named)

    return repeated

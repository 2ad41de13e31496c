"""Faults on demand: failures of the network, the edge and the API."""

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any


class FaultKind(StrEnum):
    """The kind of failure."""

    ERROR_500 = "500"
    ERROR_502 = "502"
    ERROR_503 = "503"
    ERROR_504 = "504"
    THROTTLED = "429"
    THROTTLED_BARE = "429_bare"
    """429 without ``Retry-After``."""
    DROP = "drop"
    """The connection is closed before the response."""
    RESET = "reset"
    """The connection is reset in the middle of the response."""
    CUT = "cut"
    """The body ends halfway."""
    SLOW = "slow"
    """The response is delayed."""
    DRIP = "drip"
    """The body arrives in small pieces."""
    HTML_403 = "html403"
    HTML_404 = "html404"
    """404 that says nothing of the record: a page of something in front of the API."""
    HTML_502 = "html502"
    NOT_JSON = "notjson"
    """200 with an HTML page."""
    BAD_JSON = "badjson"
    """200 with JSON that is invalid at its end."""
    JSON_NULL = "json_null"
    """200 with ``null``."""
    JSON_ARRAY = "json_array"
    """200 with the records as a bare array."""
    NO_DATA = "no_data"
    """200 with a document without ``data``."""
    NO_LINKS = "no_links"
    """200 with a document without ``links``, which looks like the last page."""
    WRONG_TYPES = "wrong_types"
    """200 with an object instead of the array of records and a number instead of a link."""
    FOREIGN_NEXT = "foreign_next"
    """A page with a next link to another host."""
    REPEATED_CURSOR = "repeated_cursor"
    """A page with a next link to itself."""
    EXPIRED_CURSOR = "expired_cursor"
    """400, ``Invalid cursor provided.``; affects only requests with a cursor."""
    EMPTY_PAGE = "empty_page"
    """A page without records before the last page; affects only requests with a cursor."""
    OVERLAP = "overlap"
    """The next page starts with the last records of this one."""
    DATE_BACK = "date_back"
    """The ``Date`` header is three hours behind."""
    DATE_AHEAD = "date_ahead"
    """The ``Date`` header is three hours ahead."""
    NO_DATE = "no_date"
    """There is no ``Date`` header."""
    RETIRED = "retired"


NEEDS_CURSOR = frozenset({FaultKind.EXPIRED_CURSOR, FaultKind.EMPTY_PAGE})
"""Kinds that can occur only after the first page."""


EVERYWHERE = "*"
"""Path of a fault that affects every endpoint."""


@dataclass(frozen=True)
class Fault:
    """A fault that applies to future requests.

    Attributes:
        kind: The kind of failure.
        path: The affected endpoint: a collection (``/api/events``), a look-up (``/api/events/{id}``) or ``*``.
        times: How many more requests it affects; None for all.
        after: How many requests succeed first.
        rate: Share of the requests that it affects, 0 to 1.
        seconds: The delay of a slow or dripping response, or the ``Retry-After`` of a 429.
    """

    kind: FaultKind
    path: str = EVERYWHERE
    times: int | None = 1
    after: int = 0
    rate: float = 1.0
    seconds: float = 1.0

    @classmethod
    def from_mapping(cls, given: Mapping[str, Any]) -> "Fault":
        """Return the fault that a JSON object describes.

        Raises:
            ValueError: If the object does not describe a fault.
        """
        unknown = set(given) - {one.name for one in fields(cls)}
        if unknown or "kind" not in given:
            raise ValueError(f"a fault has kind, path, times, after, rate and seconds; given: {', '.join(sorted(given))}")
        return cls(**{**given, "kind": FaultKind(str(given["kind"]))})


class Faults:
    """The pending faults.

    Args:
        seed: Seed for faults with a rate.

    Attributes:
        applied: How often each kind was applied.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - made-up data
        self._pending: list[Fault] = []
        self.applied: Counter[FaultKind] = Counter()

    @property
    def pending(self) -> tuple[Fault, ...]:
        """The faults that can still apply."""
        return tuple(self._pending)

    def add(self, fault: Fault) -> None:
        """Add a fault after the others."""
        self._pending.append(fault)

    def clear(self) -> None:
        """Remove every fault but keep the counts."""
        self._pending.clear()

    def next_for(self, endpoint: str, *, has_cursor: bool = False) -> Fault | None:
        """Return the fault that applies to a request, if any: the first one that matches.

        Args:
            endpoint: The requested endpoint.
            has_cursor: True if the request has a cursor.
        """
        for index, fault in enumerate(self._pending):
            if fault.path not in {EVERYWHERE, endpoint} or (fault.kind in NEEDS_CURSOR and not has_cursor):
                continue
            if fault.after > 0:
                self._pending[index] = replace(fault, after=fault.after - 1)
            elif self._random.random() < fault.rate:
                self._consume(index, fault)
                self.applied[fault.kind] += 1
                return fault
        return None

    def _consume(self, index: int, fault: Fault) -> None:
        if fault.times is None:
            return
        if fault.times > 1:
            self._pending[index] = replace(fault, times=fault.times - 1)
        else:
            del self._pending[index]

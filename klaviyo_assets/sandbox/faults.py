"""Faults on demand: what the network, the edge and the API do on a bad day."""

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any


class FaultKind(StrEnum):
    """What goes wrong."""

    ERROR_500 = "500"
    ERROR_502 = "502"
    ERROR_503 = "503"
    ERROR_504 = "504"
    THROTTLED = "429"
    THROTTLED_BARE = "429_bare"
    """429 without ``Retry-After``."""
    DROP = "drop"
    """The connection is closed before the answer."""
    RESET = "reset"
    """The connection is reset in the middle of the answer."""
    CUT = "cut"
    """The body ends half-way."""
    SLOW = "slow"
    """The answer waits."""
    DRIP = "drip"
    """The body comes in small pieces."""
    HTML_403 = "html403"
    HTML_502 = "html502"
    NOT_JSON = "notjson"
    """200 with an HTML page."""
    BAD_JSON = "badjson"
    """200 with JSON that is broken at its end."""
    JSON_NULL = "json_null"
    """200 with ``null``."""
    JSON_ARRAY = "json_array"
    """200 with the records as a bare array."""
    NO_DATA = "no_data"
    """200 with a document without ``data``."""
    NO_LINKS = "no_links"
    """200 with a document without ``links``, so that it looks like the last page."""
    WRONG_TYPES = "wrong_types"
    """200 with an object where the array of records belongs, and a number for a link."""
    FOREIGN_NEXT = "foreign_next"
    """A page whose next link leads to another host."""
    REPEATED_CURSOR = "repeated_cursor"
    """A page whose next link leads to the page itself."""
    EXPIRED_CURSOR = "expired_cursor"
    """400, ``Invalid cursor provided.``; strikes requests with a cursor only."""
    EMPTY_PAGE = "empty_page"
    """A page without records in the middle of a chain; strikes requests with a cursor only."""
    OVERLAP = "overlap"
    """A page whose last records are the first of the next one again."""
    DATE_BACK = "date_back"
    """``Date`` is three hours behind."""
    DATE_AHEAD = "date_ahead"
    """``Date`` is three hours ahead."""
    NO_DATE = "no_date"
    """There is no ``Date``."""
    RETIRED = "retired"


IN_A_CHAIN = frozenset({FaultKind.EXPIRED_CURSOR, FaultKind.EMPTY_PAGE})
"""What can only go wrong behind the first page."""


EVERYWHERE = "*"
"""Path of a fault that strikes every endpoint."""


@dataclass(frozen=True)
class Fault:
    """A fault that waits for its requests.

    Attributes:
        kind: What goes wrong.
        path: Endpoint that it strikes: a collection (``/api/events``), a look-up (``/api/events/{id}``) or ``*``.
        times: How many more requests it strikes; None for all.
        after: How many requests it lets pass first.
        rate: Share of the requests that it strikes, 0 to 1.
        seconds: How long a slow or dripping answer takes more, or what a 429 asks to wait.
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
            ValueError: If it describes none.
        """
        unknown = set(given) - {one.name for one in fields(cls)}
        if unknown or "kind" not in given:
            raise ValueError(f"a fault has kind, path, times, after, rate and seconds; given: {', '.join(sorted(given))}")
        return cls(**{**given, "kind": FaultKind(str(given["kind"]))})


class Faults:
    """The faults in wait.

    Args:
        seed: Makes the strikes of faults with a rate the same each time.

    Attributes:
        struck: How often each kind has struck.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - made-up data
        self._waiting: list[Fault] = []
        self.struck: Counter[FaultKind] = Counter()

    @property
    def waiting(self) -> tuple[Fault, ...]:
        """The faults that have not struck for the last time."""
        return tuple(self._waiting)

    def add(self, fault: Fault) -> None:
        """Put a fault in wait, behind the others."""
        self._waiting.append(fault)

    def clear(self) -> None:
        """Remove every fault; what has struck stays counted."""
        self._waiting.clear()

    def strike(self, endpoint: str, *, in_a_chain: bool = False) -> Fault | None:
        """Return the fault that a request meets, if it meets one; the first that is ready wins.

        Args:
            endpoint: The endpoint that is asked.
            in_a_chain: True if the request carries a cursor.
        """
        for index, fault in enumerate(self._waiting):
            if fault.path not in {EVERYWHERE, endpoint} or (fault.kind in IN_A_CHAIN and not in_a_chain):
                continue
            if fault.after > 0:
                self._waiting[index] = replace(fault, after=fault.after - 1)
            elif self._random.random() < fault.rate:
                self._use_up(index, fault)
                self.struck[fault.kind] += 1
                return fault
        return None

    def _use_up(self, index: int, fault: Fault) -> None:
        if fault.times is None:
            return
        if fault.times > 1:
            self._waiting[index] = replace(fault, times=fault.times - 1)
        else:
            del self._waiting[index]

"""Faults on demand: what the network, the edge and the API do on a bad day."""

import random
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
    DROP = "drop"
    CUT = "cut"
    SLOW = "slow"
    HTML_403 = "html403"
    HTML_502 = "html502"
    NOT_JSON = "notjson"
    BAD_JSON = "badjson"
    FOREIGN_NEXT = "foreign_next"
    RETIRED = "retired"


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
        seconds: How long a slow answer takes more, or what a 429 asks to wait.
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
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - made-up data
        self._waiting: list[Fault] = []

    @property
    def waiting(self) -> tuple[Fault, ...]:
        """The faults that have not struck for the last time."""
        return tuple(self._waiting)

    def add(self, fault: Fault) -> None:
        """Put a fault in wait, behind the others."""
        self._waiting.append(fault)

    def clear(self) -> None:
        """Remove every fault."""
        self._waiting.clear()

    def strike(self, endpoint: str) -> Fault | None:
        """Return the fault that a request meets, if it meets one; the first that is ready wins."""
        for index, fault in enumerate(self._waiting):
            if fault.path not in {EVERYWHERE, endpoint}:
                continue
            if fault.after > 0:
                self._waiting[index] = replace(fault, after=fault.after - 1)
            elif self._random.random() < fault.rate:
                self._use_up(index, fault)
                return fault
        return None

    def _use_up(self, index: int, fault: Fault) -> None:
        if fault.times is None:
            return
        if fault.times > 1:
            self._waiting[index] = replace(fault, times=fault.times - 1)
        else:
            del self._waiting[index]

"""Parts of one parent's children: those in one state, or with a time in one window. Pure.

A read of a large parent is divided into parts. While it is not complete, ``_coverage`` has a row for each part that has been read, with
:attr:`ChildPart.name` as its subset, so the next sync reads only the others.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from klaviyo_assets.state.coverage import BEGINNING, TimeWindow, minus

END = datetime.max.replace(tzinfo=UTC)
"""The end of a window without an upper bound. It is never sent in a filter."""

EVERYTHING = TimeWindow(BEGINNING, END)

_ANY, _OPEN = "any state", "…"


@dataclass(frozen=True)
class ChildPart:
    """A part of the children of a parent.

    Attributes:
        state: Their state; None for children in any state.
        window: Their times; unbounded, it also includes children without a time.
    """

    state: str | None = None
    window: TimeWindow = EVERYTHING

    @property
    def name(self) -> str:
        """Text for coverage and logs.

        Example:
            >>> ChildPart("UNASSIGNED", TimeWindow(BEGINNING, datetime(2026, 1, 1, tzinfo=UTC))).name
            'UNASSIGNED from … to 2026-01-01T00:00:00+00:00'
        """
        start = _OPEN if self.window.start == BEGINNING else self.window.start.isoformat()
        end = _OPEN if self.window.end == END else self.window.end.isoformat()
        return f"{self.state or _ANY} from {start} to {end}"

    @staticmethod
    def parse(name: str) -> "ChildPart | None":
        """Return the part with a name; None if no part has it."""
        state, separator, times = name.rpartition(" from ")
        start, to, end = times.partition(" to ")
        if not separator or not to:
            return None
        try:
            window = TimeWindow(BEGINNING if start == _OPEN else datetime.fromisoformat(start), END if end == _OPEN else datetime.fromisoformat(end))
        except ValueError:
            return None
        return ChildPart(None if state == _ANY else state, window)

    def without(self, done: Iterable["ChildPart"]) -> list["ChildPart"]:
        """Return what is left of it when other parts have been read, ascending."""
        left = [self.window]
        for one in done:
            if one.state is None or one.state == self.state:
                left = [piece for window in left for piece in minus(window, one.window)]
        return [replace(self, window=window) for window in sorted(left)]

"""Divides a part of parents' children that turns out to be large, so that several chains read it. Pure.

The endpoint does not sort, so a chain cannot be continued by another one: what it has read is read again by the parts. So it is divided early, and
only if workers would be idle otherwise.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.extract.slices import ParentGroupSlice
from klaviyo_assets.state.child_parts import END
from klaviyo_assets.state.coverage import BEGINNING, TimeWindow

PAGES_BEFORE = 32
"""Pages of a chain after which it is divided: enough to be sure that it is long, few enough to read them again."""

_INTO = 8
"""Parts into which a group of parents or a window with two bounds is divided."""

_SECOND, _YEAR = timedelta(seconds=1), timedelta(days=365)

_AROUND_NOW = tuple(timedelta(days=days) for days in (-365, -182, 0, 91, 182, 365))
"""Borders of a window without bounds: a code expires a year after its creation unless the shop says otherwise (OpenAPI ``expires_at``)."""

_YEARS = (1, 2, 4, 8)
"""Years between the only bound of a window and its borders."""


def divide(entry: ResourceType, slice_: ParentGroupSlice, seen: TimeWindow | None) -> list[ParentGroupSlice]:
    """Return slices that together read what a slice does; none if it cannot be divided.

    Args:
        entry: The resource type.
        slice_: The slice.
        seen: The times of the children that it has read so far.
    """
    slice_ = slice_.from_the_beginning()
    if len(slice_.parents) > 1:
        size = -(-len(slice_.parents) // _INTO)
        return [replace(slice_, parents=slice_.parents[first : first + size]) for first in range(0, len(slice_.parents), size)]
    window, part = slice_.part.window, slice_.part
    borders = _borders(window, slice_.covers_to, seen)
    if borders:
        times = [window.start, *borders, window.end]
        return [replace(slice_, part=replace(part, window=TimeWindow(*pair))) for pair in pairwise(times)]
    if part.state is None and window.end - window.start <= _SECOND:
        return [replace(slice_, part=replace(part, state=state)) for state in _states(entry)]
    return []


def _states(entry: ResourceType) -> tuple[str, ...]:
    state = entry.required_groups.state
    return next(column.values for column in entry.columns if column.name == state)


def _borders(window: TimeWindow, now: datetime, seen: TimeWindow | None) -> list[datetime]:
    """Return the whole seconds at which a window is divided, ascending: evenly, and around the times that have been seen."""
    start, end = window.start, window.end
    if start == BEGINNING and end == END:
        wanted = [now + age for age in _AROUND_NOW]
    elif end == END:
        wanted = [start + years * _YEAR for years in _YEARS]
    elif start == BEGINNING:
        wanted = [end - years * _YEAR for years in _YEARS]
    else:
        wanted = [start + (end - start) * number / _INTO for number in range(1, _INTO)]
    if seen is not None:
        wanted += [seen.start, seen.end + _SECOND]
    return sorted({border for one in wanted if start < (border := one.replace(microsecond=0)) < end})

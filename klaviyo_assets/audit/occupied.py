"""Finds the years that hold events, so that an audit asks for counts of those alone: one event dated year 1 must not cost 2,000 requests a metric."""

from bisect import bisect_right
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import date, datetime

from klaviyo_assets.state.coverage import TimeWindow
from klaviyo_assets.state.days import midnight


async def occupied(
    pieces: Sequence[TimeWindow], known: Iterable[date], newest_before: Callable[[datetime], Awaitable[datetime | None]]
) -> list[TimeWindow]:
    """Return the pieces of a history that hold events, here or in Klaviyo, newest first.

    The search goes from the newest piece to the oldest. A piece with a known day needs no request. Before each other piece one request is sent;
    its response skips all empty pieces down to the next event: there are at most two requests for each piece that is returned, and one more.

    Args:
        pieces: Spans without gaps between them, ascending.
        known: Days of which the table holds rows, or which differed before.
        newest_before: Returns the time of Klaviyo's newest event before an instant, None if there is none.
    """
    starts = [piece.start for piece in pieces]
    found = {place for day in known if (place := _place(pieces, starts, midnight(day))) is not None}
    place = len(pieces) - 1
    here = frozenset(found)
    while place >= 0:
        if place not in here:
            newest = await newest_before(pieces[place].end)
            if newest is None or newest < starts[0]:
                break
            # A server that returns a later event than requested must not keep the search from ending.
            place = min(place, bisect_right(starts, newest) - 1)
            found.add(place)
        place -= 1
    return [pieces[one] for one in sorted(found, reverse=True)]


def _place(pieces: Sequence[TimeWindow], starts: Sequence[datetime], moment: datetime) -> int | None:
    """Return the index of the piece that an instant lies in; None if it lies in none."""
    place = bisect_right(starts, moment) - 1
    return place if place >= 0 and moment < pieces[place].end else None

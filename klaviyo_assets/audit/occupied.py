"""Finds the years with events, so an audit requests only their counts: one event dated year 1 must not cost 2,000 requests per metric."""

from bisect import bisect_right
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import date, datetime

from klaviyo_assets.state.coverage import TimeWindow
from klaviyo_assets.state.days import midnight


async def occupied(
    pieces: Sequence[TimeWindow], known: Iterable[date], newest_before: Callable[[datetime], Awaitable[datetime | None]]
) -> list[TimeWindow]:
    """Return the parts of a history with events, in the table or in Klaviyo, newest first.

    The search goes from the newest part to the oldest. A part with a known day needs no request. For any other part, one request finds the next older
    event and skips the empty parts in between. So there are at most two requests for each part returned, plus one.

    Args:
        pieces: Adjacent windows, ascending.
        known: Days with rows in the table or with earlier differences.
        newest_before: Returns the time of Klaviyo's newest event before an instant, None if there is none.
    """
    starts = [piece.start for piece in pieces]
    found = {place for day in known if (place := _place(pieces, starts, midnight(day))) is not None}
    place = len(pieces) - 1
    without_request = frozenset(found)
    while place >= 0:
        if place not in without_request:
            newest = await newest_before(pieces[place].end)
            if newest is None or newest < starts[0]:
                break
            # Guarantees progress even if the server returns a later event than requested.
            place = min(place, bisect_right(starts, newest) - 1)
            found.add(place)
        place -= 1
    return [pieces[one] for one in sorted(found, reverse=True)]


def _place(pieces: Sequence[TimeWindow], starts: Sequence[datetime], moment: datetime) -> int | None:
    """Return the index of the piece that contains an instant; None if there is none."""
    place = bisect_right(starts, moment) - 1
    return place if place >= 0 and moment < pieces[place].end else None

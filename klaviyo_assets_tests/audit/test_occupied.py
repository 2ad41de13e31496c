"""The years that hold events are found with few questions, however long the history is."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klaviyo_assets.audit.counts import years
from klaviyo_assets.audit.occupied import occupied
from klaviyo_assets.state.coverage import TimeWindow
from klaviyo_assets.state.days import midnight

TODAY = datetime(2026, 11, 20, tzinfo=UTC)
FIRST = datetime(1, 1, 1, tzinfo=UTC)


class Server:
    """Events of a server, and the questions that it was asked."""

    def __init__(self, events: Iterable[datetime]) -> None:
        self.events = sorted(events)
        self.asked: list[datetime] = []

    async def newest_before(self, end: datetime) -> datetime | None:
        self.asked.append(end)
        return max((moment for moment in self.events if moment < end), default=None)


def pieces_since(start: datetime) -> list[TimeWindow]:
    return [TimeWindow(*bounds) for bounds in years(start, TODAY)]


def found(pieces: list[TimeWindow], known: Iterable[date], server: Server) -> list[TimeWindow]:
    return asyncio.run(occupied(pieces, known, server.newest_before))


@pytest.mark.parametrize("oldest", [FIRST, datetime(1582, 10, 4, tzinfo=UTC), datetime(1966, 5, 1, 12, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)])
@pytest.mark.parametrize("is_known", [True, False])
def test_one_old_event_costs_one_piece_and_few_questions(oldest: datetime, is_known: bool) -> None:
    recent = TODAY - timedelta(days=30)
    server = Server([oldest, recent])
    pieces = pieces_since(midnight(oldest.date()))

    spans = found(pieces, {recent.date(), *([oldest.date()] if is_known else [])}, server)

    assert {span for span in pieces if any(span.start <= moment < span.end for moment in server.events)} == set(spans)
    assert spans == sorted(spans, reverse=True)
    assert len(server.asked) <= 2


def test_what_only_klaviyo_has_is_found_in_every_gap() -> None:
    theirs = [datetime(year, 3, 1, tzinfo=UTC) for year in (3, 1200, 1201, 1966, 2026)]
    server = Server(theirs)

    spans = found(pieces_since(FIRST), {date(1900, 1, 1), date(2020, 1, 1)}, server)

    assert len(spans) == 7
    assert all(any(span.start <= moment < span.end for span in spans) for moment in theirs)
    assert len(server.asked) <= 2 * len(spans) + 1


def test_a_server_that_answers_with_later_events_does_not_keep_the_search_going() -> None:
    async def always_the_newest(_: datetime) -> datetime:
        return TODAY - timedelta(days=1)

    assert len(asyncio.run(occupied(pieces_since(datetime(2020, 1, 1, tzinfo=UTC)), (), always_the_newest))) == 7


def test_days_outside_of_the_history_are_ignored() -> None:
    assert found(pieces_since(datetime(2020, 1, 1, tzinfo=UTC)), {date(1, 1, 1), date(9999, 12, 31)}, Server([])) == []
    assert found([], {date(2020, 1, 1)}, Server([])) == []


@given(
    ours=st.sets(st.dates(date(1900, 1, 1), TODAY.date() - timedelta(days=1))),
    theirs=st.sets(st.dates(date(1900, 1, 1), TODAY.date() - timedelta(days=1))),
)
def test_exactly_the_pieces_with_events_are_returned(ours: set[date], theirs: set[date]) -> None:
    server, pieces = Server(map(midnight, theirs)), pieces_since(datetime(1900, 1, 1, tzinfo=UTC))

    spans = found(pieces, ours, server)

    assert set(spans) == {span for span in pieces if any(span.start <= midnight(day) < span.end for day in ours | theirs)}
    assert len(server.asked) <= 2 * len(spans) + 1

"""The years with events are found with few requests, however long the history is."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klaviyo_assets.audit.event_counts import years
from klaviyo_assets.audit.occupied import occupied
from klaviyo_assets.state.coverage import TimeWindow
from klaviyo_assets.state.days import midnight

TODAY = datetime(2026, 11, 20, tzinfo=UTC)
FIRST = datetime(1, 1, 1, tzinfo=UTC)


class Server:
    """The events of a server, and the requests that it received."""

    def __init__(self, events: Iterable[datetime]) -> None:
        self.events = sorted(events)
        self.requests: list[datetime] = []

    async def newest_before(self, end: datetime) -> datetime | None:
        self.requests.append(end)
        return max((moment for moment in self.events if moment < end), default=None)


def pieces_since(start: datetime) -> list[TimeWindow]:
    return [TimeWindow(*bounds) for bounds in years(start, TODAY)]


def found(pieces: list[TimeWindow], known: Iterable[date], server: Server) -> list[TimeWindow]:
    return asyncio.run(occupied(pieces, known, server.newest_before))


@pytest.mark.parametrize("oldest", [FIRST, datetime(1582, 10, 4, tzinfo=UTC), datetime(1966, 5, 1, 12, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)])
@pytest.mark.parametrize("is_known", [True, False])
def test_one_old_event_costs_one_piece_and_few_requests(oldest: datetime, is_known: bool) -> None:
    recent = TODAY - timedelta(days=30)
    server = Server([oldest, recent])
    pieces = pieces_since(midnight(oldest.date()))

    windows = found(pieces, {recent.date(), *([oldest.date()] if is_known else [])}, server)

    assert {window for window in pieces if any(window.start <= moment < window.end for moment in server.events)} == set(windows)
    assert windows == sorted(windows, reverse=True)
    assert len(server.requests) <= 2


def test_events_that_only_klaviyo_has_are_found_in_every_gap() -> None:
    klaviyo_days = [datetime(year, 3, 1, tzinfo=UTC) for year in (3, 1200, 1201, 1966, 2026)]
    server = Server(klaviyo_days)

    windows = found(pieces_since(FIRST), {date(1900, 1, 1), date(2020, 1, 1)}, server)

    assert len(windows) == 7
    assert all(any(window.start <= moment < window.end for window in windows) for moment in klaviyo_days)
    assert len(server.requests) <= 2 * len(windows) + 1


def test_the_search_ends_even_if_the_server_returns_later_events() -> None:
    async def return_the_newest(_: datetime) -> datetime:
        return TODAY - timedelta(days=1)

    assert len(asyncio.run(occupied(pieces_since(datetime(2020, 1, 1, tzinfo=UTC)), (), return_the_newest))) == 7


def test_days_outside_of_the_history_are_ignored() -> None:
    assert found(pieces_since(datetime(2020, 1, 1, tzinfo=UTC)), {date(1, 1, 1), date(9999, 12, 31)}, Server([])) == []
    assert found([], {date(2020, 1, 1)}, Server([])) == []


@given(
    table_days=st.sets(st.dates(date(1900, 1, 1), TODAY.date() - timedelta(days=1))),
    klaviyo_days=st.sets(st.dates(date(1900, 1, 1), TODAY.date() - timedelta(days=1))),
)
def test_exactly_the_pieces_with_events_are_returned(table_days: set[date], klaviyo_days: set[date]) -> None:
    server, pieces = Server(map(midnight, klaviyo_days)), pieces_since(datetime(1900, 1, 1, tzinfo=UTC))

    windows = found(pieces, table_days, server)

    assert set(windows) == {window for window in pieces if any(window.start <= midnight(day) < window.end for day in table_days | klaviyo_days)}
    assert len(server.requests) <= 2 * len(windows) + 1

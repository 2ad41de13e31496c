"""Which days are compared, and what a difference comes to."""

import itertools
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klaviyo_assets.audit.compare import Difference, differences
from klaviyo_assets.audit.counts import years
from klaviyo_assets.state.coverage import CoverageRow, TimeWindow, without
from klaviyo_assets.state.days import DAY, midnight, spans_of, whole_days
from klaviyo_assets.state.rereads import State

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = st.sets(st.dates(date(2020, 1, 1), date(2020, 3, 1)))


def covered(start: datetime, end: datetime) -> CoverageRow:
    return CoverageRow("all", "datetime", start, end, end, "f", settled=True)


def test_a_day_counts_when_it_is_covered_from_its_beginning_to_its_end() -> None:
    rows = [covered(NEW_YEAR + timedelta(hours=1), NEW_YEAR + timedelta(days=2, hours=23)), covered(NEW_YEAR + timedelta(days=4), NEW_YEAR + 6 * DAY)]

    found = list(whole_days(rows, TimeWindow(NEW_YEAR - DAY, NEW_YEAR + timedelta(days=5, hours=12))))

    assert found == [date(2026, 1, 2), date(2026, 1, 5)]


def test_a_day_that_two_rows_cover_together_counts() -> None:
    noon = NEW_YEAR + timedelta(hours=12)

    assert list(whole_days([covered(noon, NEW_YEAR + DAY), covered(NEW_YEAR, noon)], TimeWindow(NEW_YEAR, NEW_YEAR + DAY))) == [date(2026, 1, 1)]


@given(DAYS)
def test_days_and_spans_say_the_same(days: set[date]) -> None:
    spans = spans_of(days)

    assert {day for span in spans for day in whole_days([covered(span.start, span.end)], span)} == days
    assert all(earlier.end < later.start for earlier, later in itertools.pairwise(spans))


@given(DAYS)
def test_what_is_struck_is_covered_no_more_and_nothing_else_changes(days: set[date]) -> None:
    row = covered(midnight(date(2019, 12, 1)), midnight(date(2020, 4, 1)))
    span = TimeWindow(row.start, row.end)

    left = set(whole_days(without([row], spans_of(days)), span))

    assert left == set(whole_days([row], span)) - days


@pytest.mark.parametrize(
    ("state", "read_again", "counts_before", "expected"),
    [
        (None, False, (5, 3), State.DIFFERS),
        (State.DIFFERS, False, (5, 3), State.DIFFERS),
        (State.STRUCK, False, (5, 3), State.STRUCK),
        (State.STRUCK, False, (4, 3), State.STRUCK),
        (State.STRUCK, True, (5, 3), State.CONFIRMED),
        (State.STRUCK, True, (5, 2), State.CONFIRMED),
        (State.STRUCK, True, (4, 3), State.DIFFERS),
        (State.CONFIRMED, True, (5, 3), State.CONFIRMED),
        (State.CONFIRMED, True, (5, 2), State.DIFFERS),
        (State.CONFIRMED, True, (4, 3), State.DIFFERS),
        (State.CONFIRMED, False, (5, 3), State.DIFFERS),
    ],
)
def test_what_a_difference_comes_to(state: State | None, read_again: bool, counts_before: tuple[int, int], expected: State) -> None:
    day, read_again_at = date(2026, 1, 1), NEW_YEAR if read_again else None
    before = [Difference(day, "M", *counts_before, state, read_again_at)] if state else []

    expected_at = read_again_at if expected is State.CONFIRMED else None
    assert differences({("M", day): 5}, {("M", day): 3}, before) == [Difference(day, "M", 5, 3, expected, expected_at)]


def test_days_that_agree_are_forgotten_and_days_that_were_not_compared_are_kept() -> None:
    struck = Difference(date(2026, 1, 1), "M", 5, 3, State.STRUCK)
    mended = Difference(date(2026, 1, 2), "M", 5, 3, State.STRUCK)

    assert differences({("M", mended.day): 5}, {("M", mended.day): 5}, [struck, mended]) == [struck]


def test_a_day_without_rows_counts_as_none() -> None:
    assert differences({("M", date(2026, 1, 1)): 2}, {}, []) == [Difference(date(2026, 1, 1), "M", 2, 0)]


@given(st.integers(0, 4000), st.integers(1, 4000))
def test_years_join_to_the_span_and_none_is_longer_than_may_be_asked(start: int, length: int) -> None:
    span = TimeWindow(midnight(date(2010, 1, 1)) + start * DAY, midnight(date(2010, 1, 1)) + (start + length) * DAY)

    pieces = [TimeWindow(*piece) for piece in years(span.start, span.end)]

    assert (pieces[0].start, pieces[-1].end) == (span.start, span.end)
    assert all(earlier.end == later.start for earlier, later in itertools.pairwise(pieces))
    assert all(timedelta() < piece.end - piece.start <= 365 * DAY for piece in pieces)

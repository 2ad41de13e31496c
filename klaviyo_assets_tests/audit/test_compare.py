"""Which days are compared, and the state of each difference."""

import itertools
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klaviyo_assets.audit.compare import Difference, DifferenceState, differences
from klaviyo_assets.audit.event_counts import years
from klaviyo_assets.state.coverage import CoverageRow, TimeWindow, without
from klaviyo_assets.state.days import DAY, midnight, whole_days, windows_of_days

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = st.sets(st.dates(date(2020, 1, 1), date(2020, 3, 1)))


def covered(start: datetime, end: datetime) -> CoverageRow:
    return CoverageRow("all", "datetime", start, end, end, "f", final=True)


def test_a_day_counts_only_if_it_is_completely_covered() -> None:
    rows = [covered(NEW_YEAR + timedelta(hours=1), NEW_YEAR + timedelta(days=2, hours=23)), covered(NEW_YEAR + timedelta(days=4), NEW_YEAR + 6 * DAY)]

    found = list(whole_days(rows, TimeWindow(NEW_YEAR - DAY, NEW_YEAR + timedelta(days=5, hours=12))))

    assert found == [date(2026, 1, 2), date(2026, 1, 5)]


def test_a_day_covered_by_two_rows_together_counts() -> None:
    noon = NEW_YEAR + timedelta(hours=12)

    assert list(whole_days([covered(noon, NEW_YEAR + DAY), covered(NEW_YEAR, noon)], TimeWindow(NEW_YEAR, NEW_YEAR + DAY))) == [date(2026, 1, 1)]


@given(DAYS)
def test_days_and_windows_are_equivalent(days: set[date]) -> None:
    windows = windows_of_days(days)

    assert {day for window in windows for day in whole_days([covered(window.start, window.end)], window)} == days
    assert all(earlier.end < later.start for earlier, later in itertools.pairwise(windows))


@given(DAYS)
def test_windows_to_reread_are_not_covered_and_nothing_else_changes(days: set[date]) -> None:
    row = covered(midnight(date(2019, 12, 1)), midnight(date(2020, 4, 1)))
    window = TimeWindow(row.start, row.end)

    remaining = set(whole_days(without([row], windows_of_days(days)), window))

    assert remaining == set(whole_days([row], window)) - days


@pytest.mark.parametrize(
    ("state", "reread", "counts_before", "expected"),
    [
        (None, False, (5, 3), DifferenceState.MISMATCH),
        (DifferenceState.MISMATCH, False, (5, 3), DifferenceState.MISMATCH),
        (DifferenceState.REREAD_PENDING, False, (5, 3), DifferenceState.REREAD_PENDING),
        (DifferenceState.REREAD_PENDING, False, (4, 3), DifferenceState.REREAD_PENDING),
        (DifferenceState.REREAD_PENDING, True, (5, 3), DifferenceState.UNRESOLVED),
        (DifferenceState.REREAD_PENDING, True, (5, 2), DifferenceState.UNRESOLVED),
        (DifferenceState.REREAD_PENDING, True, (4, 3), DifferenceState.MISMATCH),
        (DifferenceState.UNRESOLVED, True, (5, 3), DifferenceState.UNRESOLVED),
        (DifferenceState.UNRESOLVED, True, (5, 2), DifferenceState.MISMATCH),
        (DifferenceState.UNRESOLVED, True, (4, 3), DifferenceState.MISMATCH),
        (DifferenceState.UNRESOLVED, False, (5, 3), DifferenceState.MISMATCH),
    ],
)
def test_state_of_a_difference(state: DifferenceState | None, reread: bool, counts_before: tuple[int, int], expected: DifferenceState) -> None:
    day, reread_at = date(2026, 1, 1), NEW_YEAR if reread else None
    before = [Difference(day, "M", *counts_before, state, reread_at)] if state else []

    expected_at = reread_at if expected is DifferenceState.UNRESOLVED else None
    assert differences({("M", day): 5}, {("M", day): 3}, before) == [Difference(day, "M", 5, 3, expected, expected_at)]


def test_matching_days_are_dropped_and_days_that_were_not_compared_are_kept() -> None:
    not_compared = Difference(date(2026, 1, 1), "M", 5, 3, DifferenceState.REREAD_PENDING)
    matching = Difference(date(2026, 1, 2), "M", 5, 3, DifferenceState.REREAD_PENDING)

    assert differences({("M", matching.day): 5}, {("M", matching.day): 5}, [not_compared, matching]) == [not_compared]


def test_a_day_without_rows_counts_as_none() -> None:
    assert differences({("M", date(2026, 1, 1)): 2}, {}, []) == [Difference(date(2026, 1, 1), "M", 2, 0)]


@given(st.integers(0, 4000), st.integers(1, 4000))
def test_years_add_up_to_the_window_and_none_exceeds_one_request(start: int, length: int) -> None:
    window = TimeWindow(midnight(date(2010, 1, 1)) + start * DAY, midnight(date(2010, 1, 1)) + (start + length) * DAY)

    pieces = [TimeWindow(*piece) for piece in years(window.start, window.end)]

    assert (pieces[0].start, pieces[-1].end) == (window.start, window.end)
    assert all(earlier.end == later.start for earlier, later in itertools.pairwise(pieces))
    assert all(timedelta() < piece.end - piece.start <= 365 * DAY for piece in pieces)

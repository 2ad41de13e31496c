"""Parts of a long chain of parents' children: together they read what the chain reads, without overlap."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.extract.chain_position import Position
from klaviyo_assets.extract.dividing import divide
from klaviyo_assets.extract.slices import ParentGroupSlice
from klaviyo_assets.state.child_parts import END, EVERYTHING, ChildPart
from klaviyo_assets.state.coverage import BEGINNING, TimeWindow

CODES = CATALOG["coupon_codes"]
NOW = datetime(2026, 3, 10, 12, 0, 0, 250_000, tzinfo=UTC)
DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
STATES = ("ASSIGNED_TO_PROFILE", "DELETING", "PROCESSING", "UNASSIGNED", "USED", "VERSION_NOT_ACTIVE")


def group(window: TimeWindow = EVERYTHING, parents: tuple[str, ...] = ("A",), state: str | None = None) -> ParentGroupSlice:
    """Return a slice that continues an earlier chain."""
    return ParentGroupSlice(CODES.subsets[0], parents, "coupon_id", NOW, "expires_at", ChildPart(state, window), Position("x", 40), NOW - DAY)


def windows(parts: Sequence[ParentGroupSlice]) -> list[TimeWindow]:
    return [part.part.window for part in parts]


def assert_complete(parts: Sequence[ParentGroupSlice], window: TimeWindow) -> None:
    """Assert that windows follow each other from the first bound to the last."""
    found = windows(parts)
    assert (found[0].start, found[-1].end) == (window.start, window.end)
    assert all(before.end == after.start for before, after in pairwise(found))
    assert all(one.start < one.end for one in found)
    assert all(part.position is None and part.since is None for part in parts), "each is read from its beginning"


@given(count=st.integers(2, 50))
def test_a_group_of_parents_is_divided_into_at_most_eight_smaller_groups(count: int) -> None:
    parents = tuple(f"C{number}" for number in range(count))

    parts = divide(CODES, group(parents=parents), TimeWindow(NOW, NOW))

    assert 2 <= len(parts) <= 8
    assert tuple(id_ for part in parts for id_ in part.parents) == parents
    assert {part.part for part in parts} == {ChildPart()}
    assert all(part.position is None for part in parts)


@pytest.mark.parametrize(
    ("window", "borders"),
    [
        (EVERYTHING, [NOW + age * DAY for age in (-365, -182, 0, 91, 182, 365)]),
        (TimeWindow(NOW, END), [NOW + years * 365 * DAY for years in (1, 2, 4, 8)]),
        (TimeWindow(BEGINNING, NOW), [NOW - years * 365 * DAY for years in (8, 4, 2, 1)]),
        (TimeWindow(NOW, NOW + 8 * DAY), [NOW + days * DAY for days in range(1, 8)]),
    ],
    ids=["unbounded", "no end", "no start", "both"],
)
@pytest.mark.parametrize("state", [None, "UNASSIGNED"])
def test_a_window_is_divided_at_whole_seconds(window: TimeWindow, borders: list[datetime], state: str | None) -> None:
    parts = divide(CODES, group(window, state=state), None)

    assert_complete(parts, window)
    assert [one.start for one in windows(parts)[1:]] == [border.replace(microsecond=0) for border in borders]
    assert {part.part.state for part in parts} == {state}


def test_a_window_is_also_divided_around_the_times_that_were_seen() -> None:
    seen = TimeWindow(NOW + 10 * DAY, NOW + 20 * DAY)

    parts = divide(CODES, group(), seen)

    assert_complete(parts, EVERYTHING)
    assert TimeWindow(seen.start.replace(microsecond=0), seen.end.replace(microsecond=0) + SECOND) in windows(parts)


@given(
    start=st.just(BEGINNING) | st.datetimes(datetime(2000, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),
    seconds=st.none() | st.floats(0.001, 10**8),
    seen=st.none() | st.datetimes(datetime(2000, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),
)
def test_the_parts_of_any_window_leave_no_gap(start: datetime, seconds: float | None, seen: datetime | None) -> None:
    window = TimeWindow(start, END if seconds is None or start == BEGINNING else start + timedelta(seconds=seconds))

    parts = divide(CODES, group(window), TimeWindow(seen, seen + DAY) if seen is not None else None)

    if parts and parts[0].part.state is None:
        assert len(parts) > 1
        assert_complete(parts, window)


def test_the_children_of_one_second_are_divided_by_their_state_and_then_no_more() -> None:
    window = TimeWindow(NOW.replace(microsecond=0), NOW.replace(microsecond=0) + SECOND)

    parts = divide(CODES, group(window), None)

    assert [part.part for part in parts] == [ChildPart(state, window) for state in STATES]
    assert divide(CODES, parts[0], TimeWindow(NOW, NOW)) == []

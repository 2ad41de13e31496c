"""Compares coverage with a model that tracks each minute separately."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from klaviyo_assets.state.coverage import CoverageRow, TimeWindow, merge_coverage, windows_to_read

ZERO = datetime(2026, 3, 1, tzinfo=UTC)
HORIZON = 24
"""Minutes of the model; reads may be later."""

Read = tuple[int, int, int, str]
"""Start, end and time of a read in minutes, and its fingerprint."""

AGES = st.sampled_from([(), (0,), (3,), (2, 5), (1, 4, 9), (0, 6, 12, 13)])
MINUTES = st.integers(0, HORIZON)
READS = st.lists(st.tuples(MINUTES, MINUTES, st.integers(0, HORIZON + 20), st.sampled_from("ab")), max_size=6)


def at(minute: int) -> datetime:
    return ZERO + timedelta(minutes=minute)


def ages(minutes: Sequence[int]) -> tuple[timedelta, ...]:
    return tuple(timedelta(minutes=minute) for minute in minutes)


def covered(read: Read) -> CoverageRow:
    start, end, read_at, fingerprint = read
    return CoverageRow("all", "datetime", at(start), at(end), at(read_at), fingerprint)


def minutes_of(windows: Iterable[TimeWindow]) -> list[int]:
    return [
        minute
        for window in windows
        for minute in range(round((window.start - ZERO) / timedelta(minutes=1)), round((window.end - ZERO) / timedelta(minutes=1)))
    ]


def is_good(minute: int, read_times: Iterable[int], lookback_ages: Sequence[int], now: int) -> bool:
    """The rule as documented: the minute ends at ``minute + 1``, and this moment determines its age."""
    times = list(read_times)
    if not lookback_ages:
        return bool(times)
    reached = [age for age in lookback_ages if minute + 1 + age <= now]
    return bool(reached) and all(any(time >= minute + 1 + age for time in times) for age in reached)


@settings(max_examples=300)
@given(reads=READS, lookback_ages=AGES, wanted=st.tuples(MINUTES, MINUTES), now=st.integers(0, HORIZON + 30))
@example(reads=[(0, 24, 24, "a")], lookback_ages=(1, 4, 9), wanted=(0, 24), now=24)
@example(reads=[(0, 24, 24, "a")], lookback_ages=(1, 4, 9), wanted=(0, 24), now=30)
def test_windows_to_read_follow_the_rule(reads: list[Read], lookback_ages: Sequence[int], wanted: tuple[int, int], now: int) -> None:
    reads = [read for read in reads if read[2] <= now]

    windows = windows_to_read(TimeWindow(at(wanted[0]), at(wanted[1])), [covered(read) for read in reads], ages(lookback_ages), at(now))

    expected = [
        minute
        for minute in range(*wanted)
        # Different reads may have fulfilled the ages, but a read that fulfils one age fulfils all lower ones too.
        if not is_good(minute, [read_at for start, end, read_at, _ in reads if start <= minute < end], lookback_ages, now)
    ]
    assert minutes_of(windows) == expected
    assert all(window.start < window.end for window in windows)
    assert all(before.end <= after.start for before, after in pairwise(windows))


@settings(max_examples=300)
@given(reads=READS, lookback_ages=AGES)
def test_merged_coverage_has_the_last_read_of_each_minute(reads: list[Read], lookback_ages: Sequence[int]) -> None:
    rows: list[CoverageRow] = []
    last: dict[int, Read] = {}
    for read in reads:
        rows = merge_coverage(rows, [covered(read)], ages(lookback_ages))
        last |= dict.fromkeys(range(read[0], read[1]), read)

    assert all(row.start < row.end for row in rows)
    assert all(before.end <= after.start for before, after in pairwise(rows))
    assert minutes_of(TimeWindow(row.start, row.end) for row in rows) == sorted(last)
    for row in rows:
        mine = [last[minute] for minute in minutes_of([TimeWindow(row.start, row.end)])]
        assert {fingerprint for *_, fingerprint in mine} == {row.fingerprint}
        assert row.read_at <= min(at(read_at) for *_, read_at, _ in mine)
        assert row.final or {at(read_at) for *_, read_at, _ in mine} == {row.read_at}


@pytest.mark.long
@settings(max_examples=400)
@given(reads=READS, lookback_ages=AGES, later=st.integers(0, 40))
@example(reads=[(0, 10, 20, "a"), (10, 20, 40, "a")], lookback_ages=(2, 5), later=0)
def test_merging_and_splitting_rows_does_not_change_the_windows_to_read(reads: list[Read], lookback_ages: Sequence[int], later: int) -> None:
    reads = sorted(((start, end, read_at, "a") for start, end, read_at, _ in reads), key=lambda read: read[2])
    now = max([read_at for *_, read_at, _ in reads], default=0) + later
    rows: list[CoverageRow] = []
    last: dict[int, int] = {}
    for read in reads:
        rows = merge_coverage(rows, [covered(read)], ages(lookback_ages))
        last |= dict.fromkeys(range(read[0], read[1]), read[2])

    windows = windows_to_read(TimeWindow(at(0), at(HORIZON)), rows, ages(lookback_ages), at(now))

    good = [minute for minute, read_at in last.items() if is_good(minute, [read_at], lookback_ages, now)]
    assert minutes_of(windows) == sorted(set(range(HORIZON)) - set(good))


@given(reads=READS, lookback_ages=AGES)
def test_rows_added_together_or_one_by_one_give_the_same_coverage(reads: list[Read], lookback_ages: Sequence[int]) -> None:
    rows: list[CoverageRow] = []
    for read in reads:
        rows = merge_coverage(rows, [covered(read)], ages(lookback_ages))

    together = merge_coverage([], [covered(read) for read in reads], ages(lookback_ages))

    once = [(row.start, row.end, row.fingerprint, row.final) for row in merge_coverage(rows, [], ages(lookback_ages))]
    assert once == [(row.start, row.end, row.fingerprint, row.final) for row in together]


def test_a_final_row_never_needs_another_read() -> None:
    lookback_ages = ages((2, 5))
    rows = merge_coverage([], [covered((0, 10, 15, "a"))], lookback_ages)
    assert [row.final for row in rows] == [True]

    rows = merge_coverage(rows, [covered((10, 20, 25, "a"))], lookback_ages)

    assert [(row.start, row.end, row.final, row.read_at) for row in rows] == [(at(0), at(20), True, at(15))]
    assert windows_to_read(TimeWindow(at(0), at(20)), rows, lookback_ages, at(10_000)) == []


def test_rows_that_are_not_final_are_merged_only_with_rows_of_the_same_read() -> None:
    lookback_ages = ages((5,))
    rows = merge_coverage([], [covered((0, 10, 12, "a")), covered((10, 14, 12, "a")), covered((14, 16, 16, "a"))], lookback_ages)

    assert [(row.start, row.end, row.read_at) for row in rows] == [(at(0), at(14), at(12)), (at(14), at(16), at(16))]


def test_a_read_with_another_fingerprint_replaces_what_it_overlaps_and_is_not_merged() -> None:
    rows = merge_coverage([covered((0, 10, 20, "old"))], [covered((4, 6, 30, "new"))], ())

    assert [(row.start, row.end, row.fingerprint) for row in rows] == [(at(0), at(4), "old"), (at(4), at(6), "new"), (at(6), at(10), "old")]


@pytest.mark.parametrize("wanted", [(5, 5), (7, 5)], ids=["empty", "inverted"])
def test_an_empty_window_needs_nothing_and_covers_nothing(wanted: tuple[int, int]) -> None:
    assert windows_to_read(TimeWindow(at(wanted[0]), at(wanted[1])), [], (), at(20)) == []
    assert merge_coverage([], [covered((*wanted, 20, "a"))], ()) == []


def test_the_newest_part_is_read_at_every_sync() -> None:
    rows = merge_coverage([], [covered((0, 20, 20, "a"))], ages((3,)))

    assert windows_to_read(TimeWindow(at(0), at(20)), rows, ages((3,)), at(20)) == [TimeWindow(at(17), at(20))]


def test_a_window_is_read_once_more_at_each_lookback_age_and_then_never_again() -> None:
    lookback_ages = ages((1, 4, 9))
    rows: list[CoverageRow] = []
    reads = []
    for now in range(1, 60):
        windows = windows_to_read(TimeWindow(at(0), at(now)), rows, lookback_ages, at(now))
        reads += [now for window in windows if window.start <= at(10) < window.end]
        rows = merge_coverage(rows, [CoverageRow("all", "datetime", window.start, window.end, at(now), "a") for window in windows], lookback_ages)

    assert reads == [11, 12, 15, 20]
    assert next((row.final, row.start) for row in rows) == (True, at(0))


@pytest.mark.parametrize("lookback_ages", [(), (1,), (3,), (1, 4, 9)], ids=["once", "one", "three", "several"])
@pytest.mark.parametrize("every", [1, 2, 5])
def test_the_number_of_rows_stays_low_however_often_syncs_run(lookback_ages: Sequence[int], every: int) -> None:
    rows: list[CoverageRow] = []
    for now in range(1, 400, every):
        windows = windows_to_read(TimeWindow(at(0), at(now)), rows, ages(lookback_ages), at(now))
        new = [CoverageRow("all", "datetime", window.start, window.end, at(now), "a") for window in windows]
        rows = merge_coverage(rows, new, ages(lookback_ages))

    assert len(rows) <= 2 + max(lookback_ages, default=0)


@pytest.mark.parametrize("step", [2, 3, 6])
def test_with_a_step_each_lookback_age_is_read_within_the_step_and_in_fewer_reads(step: int) -> None:
    lookback_ages = (1, 4, 9)
    rows: list[CoverageRow] = []
    windows_read = 0
    reads: dict[int, list[int]] = {minute: [] for minute in range(40)}
    for now in range(1, 60):
        windows = windows_to_read(TimeWindow(at(0), at(now)), rows, ages(lookback_ages), at(now), timedelta(minutes=step))
        windows_read += len(windows)
        for minute in minutes_of(windows):
            reads.setdefault(minute, []).append(now)
        new = [CoverageRow("all", "datetime", window.start, window.end, at(now), "a") for window in windows]
        rows = merge_coverage(rows, new, ages(lookback_ages))

    for minute in range(40):
        for age in lookback_ages:
            assert any(minute + 1 + age <= time < minute + 1 + age + step for time in reads[minute])
    assert windows_read < 60 + 2 * 60 / step

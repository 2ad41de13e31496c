"""Chains without progress are detected; slow but legitimate ones are read to their end."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count, islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from klaviyo_assets.extract.stall import MAX_IDLE_PAGES, MAX_PAGES_AT_ONE_TIME, SeenIds, Stall

START, END = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)

Page = tuple[list[str], datetime | None, datetime | None]


def pages_until_stalled(pages: Iterator[Page], *, max_pages: int = 20_000, bounded: bool = True) -> tuple[int, str] | None:
    """Pass pages to a stall detector; return after how many pages it reports a stall, and why; None if it does not."""
    stall = Stall(START, END) if bounded else Stall()
    for number, (ids, least, greatest) in enumerate(islice(pages, max_pages), 1):
        stall.note(ids, len(ids), least, greatest)
        if stall.reason is not None:
            return number, stall.reason
    return None


def names(first: int, size: int = 100) -> list[str]:
    return [f"id-{number}" for number in range(first, first + size)]


STALLED: dict[str, tuple[Callable[[], Iterator[Page]], str, int]] = {
    "empty": (lambda: (([], None, None) for _ in count()), "held no record", MAX_IDLE_PAGES),
    "one page": (lambda: ((names(0), START, START + SECOND) for _ in count()), "had been returned before", MAX_IDLE_PAGES + 2),
    "ten pages": (
        lambda: ((names(n % 10 * 100), START + n % 10 * SECOND, START + (n % 10 + 1) * SECOND) for n in count()),
        "had been returned before",
        MAX_IDLE_PAGES + 21,
    ),
    "without times": (lambda: ((names(n % 7 * 100), None, None) for n in count()), "had been returned before", MAX_IDLE_PAGES + 8),
    "before the slice": (lambda: ((names(n * 100), *2 * [START - 2 * SECOND - n * SECOND]) for n in count()), "outside", MAX_IDLE_PAGES),
    "slowly approaching the slice": (
        lambda: ((names(n * 100), *2 * [START - timedelta(days=900) + n * timedelta(microseconds=1)]) for n in count()),
        "outside",
        MAX_IDLE_PAGES,
    ),
    "after the slice": (lambda: ((names(n * 100), *2 * [END + 2 * SECOND + n * SECOND]) for n in count()), "outside", MAX_IDLE_PAGES),
    "just before the slice": (lambda: ((names(n * 100), *2 * [START - SECOND / 2]) for n in count()), "advance in time", MAX_PAGES_AT_ONE_TIME),
    "new records with one time": (lambda: ((names(n * 100), START, START) for n in count()), "advance in time", MAX_PAGES_AT_ONE_TIME + 1),
    "empty after a good beginning": (
        lambda: ((names(n * 100), *2 * [START + n * SECOND]) if n < 50 else ([], None, None) for n in count()),
        "held no record",
        MAX_IDLE_PAGES + 50,
    ),
    "alternately repeated and empty": (
        lambda: ((names(0), START, START) if n % 2 else ([], None, None) for n in count()),
        "had been returned before",
        2 * MAX_IDLE_PAGES + 4,
    ),
}


@pytest.mark.parametrize(("pages", "reason", "max_pages"), STALLED.values(), ids=STALLED)
def test_a_chain_without_progress_is_detected_soon(pages: Callable[[], Iterator[Page]], reason: str, max_pages: int) -> None:
    found = pages_until_stalled(pages())

    assert found is not None
    assert reason in found[1]
    assert found[0] <= max_pages


LEGITIMATE: dict[str, Callable[[], Iterator[Page]]] = {
    "50,000 records with one time": lambda: ((names(n * 100), START, START) for n in range(500)),
    "many records of each of many seconds": lambda: ((names(n * 100), *2 * [START + n // 400 * SECOND]) for n in range(8_000)),
    "gaps of empty pages": lambda: ((names(n * 100), *2 * [START + n * SECOND]) if n % 99 == 0 else ([], None, None) for n in range(5_000)),
    "newest first": lambda: ((names(n * 100), *2 * [END - n * SECOND]) for n in range(5_000)),
    "records without times": lambda: ((names(n * 100), None, None) for n in range(5_000)),
    "every page twice": lambda: ((names(n // 2 * 100), *2 * [START + n // 2 * SECOND]) for n in range(5_000)),
    "the wider bounds of strict operators": lambda: ((names(n * 100), *2 * [START - SECOND / 2 + n * SECOND / 600]) for n in range(900)),
}


@pytest.mark.parametrize("pages", LEGITIMATE.values(), ids=LEGITIMATE)
def test_a_chain_that_advances_is_read_to_its_end(pages: Callable[[], Iterator[Page]]) -> None:
    assert pages_until_stalled(pages()) is None


def test_a_slice_without_bounds_has_no_outside_records() -> None:
    pages = ((names(n * 100), *2 * [datetime(1800, 1, 1, tzinfo=UTC) + n * timedelta(days=1)]) for n in range(3_000))

    assert pages_until_stalled(pages, bounded=False) is None


def test_a_million_repeated_records_are_detected_with_a_small_sample() -> None:
    stall, size = Stall(), 1_000
    for number in range(1_000):
        stall.note(names(number * size, size), size)
        assert stall.reason is None
    for number in count(1):
        stall.note(names(number % 10, 1), 1)
        if stall.reason is not None:
            break
    assert number <= MAX_IDLE_PAGES * 256, "only few records of a page belong to the sample, so detection takes more pages"
    assert len(stall._seen._kept) <= 8_192


@settings(max_examples=30)
@given(ids=st.lists(st.text(max_size=3), max_size=300), max_ids=st.integers(1, 50))
def test_a_sample_is_bounded_and_recognizes_ids_that_were_seen(ids: list[str], max_ids: int) -> None:
    seen = SeenIds(max_ids)
    for id_ in ids:
        seen.add([id_])
    assert len(seen._kept) <= max_ids
    assert not seen.add(ids), "all of them have been seen"

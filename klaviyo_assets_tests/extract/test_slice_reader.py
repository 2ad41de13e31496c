"""Slice readers: which records they drop, how far they have read, and where they can be split."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from klaviyo_assets.api.client import ApiResponse
from klaviyo_assets.catalog import EVENTS
from klaviyo_assets.catalog.resource_type import Subset
from klaviyo_assets.decode import Page, PageDecoder
from klaviyo_assets.extract.page_sink import SliceId
from klaviyo_assets.extract.slice_reader import SliceReader
from klaviyo_assets.extract.slices import AnySlice, Slice, SubsetSlice
from klaviyo_assets.state.coverage import BEGINNING

START = datetime(2026, 3, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
DECODER = PageDecoder(EVENTS)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def window_slice(end: float, *, start: datetime = START, newest: bool = False) -> Slice:
    return Slice(Subset(), "datetime", start=start, end=None if newest else at(end), covers_to=at(end))


def newest_first_slice(end: float) -> Slice:
    return Slice(Subset(), "datetime", START, None, at(end), descending=True)


def reader_of(part: AnySlice) -> SliceReader:
    return SliceReader(part, SliceId(0))


def accept(reader: SliceReader, *seconds: float, last: bool = False) -> list[datetime | None]:
    """Let a reader accept a page of records at these seconds; return the times of the records that it keeps."""
    return accepted(reader, [at(second) for second in seconds], last=last).times("datetime")


def accepted(reader: SliceReader, times: Sequence[datetime | None], *, last: bool = False) -> Page:
    data = [{"id": str(id_), "attributes": {"datetime": time.isoformat()} if time else {}} for id_, time in enumerate(times)]
    document = {"data": data, "links": {"next": None if last else "/more"}}
    return reader.accept(ApiResponse(DECODER.page(msgspec.json.encode(document)), START))


# --- records that are kept


def test_records_outside_of_the_slice_are_dropped() -> None:
    reader = reader_of(window_slice(100))

    assert accept(reader, -1, 0, 50, 99.999999) == [at(0), at(50), at(99.999999)]
    assert not reader.passed_the_end
    assert accept(reader, 99.999999, 100, 101) == [at(99.999999)]
    assert reader.passed_the_end
    assert reader.records == 4


def test_the_newest_slice_keeps_records_after_its_covered_window() -> None:
    reader = reader_of(window_slice(100, newest=True))

    assert accept(reader, 50, 100, 10_000) == [at(50), at(100), at(10_000)]
    assert not reader.passed_the_end


def test_a_record_without_a_time_is_kept_and_does_not_advance_read_up_to() -> None:
    reader = reader_of(window_slice(100))

    assert accepted(reader, [None, None]).count == 2
    assert reader.read_up_to is None
    assert accepted(reader, [None, at(5), at(200)]).count == 2
    assert reader.read_up_to == at(100)


def test_pages_carry_the_time_of_their_request() -> None:
    assert accepted(reader_of(window_slice(100)), [at(1)]).synced_at == START


def test_a_newest_first_slice_ends_below_its_start() -> None:
    reader = reader_of(newest_first_slice(100))

    assert accept(reader, 200, 100, 50) == [at(200), at(100), at(50)]
    assert not reader.passed_the_end
    assert accept(reader, 1, 0, -1) == [at(1), at(0)]
    assert reader.passed_the_end
    assert reader.read_up_to is None


# --- how far the slice has been read


def test_read_up_to_is_the_last_record_but_never_after_the_end() -> None:
    reader = reader_of(window_slice(100))
    assert reader.read_up_to is None
    accept(reader, 1, 2, 2)
    assert reader.read_up_to == at(2)
    accept(reader, 2, 60)
    assert reader.read_up_to == at(60)
    accept(reader, 60, 500)
    assert reader.read_up_to == at(100)


@pytest.mark.parametrize("page", [(5, 4, 6), (1, 7)], ids=["within a page", "from page to page"])
def test_records_out_of_order_reset_read_up_to_for_good(page: tuple[float, ...]) -> None:
    reader = reader_of(window_slice(100))
    accept(reader, 1, 2, 3)
    assert reader.read_up_to == at(3)

    accept(reader, *page)
    assert reader.read_up_to is None
    assert not reader.can_split

    accept(reader, 50, 60)
    assert (reader.read_up_to, reader.passed_the_end) == (None, False)
    accept(reader, 99, 101)
    assert (reader.read_up_to, reader.passed_the_end) == (None, False), "more records of the slice may follow"


def test_a_newest_first_slice_out_of_order_does_not_end_early() -> None:
    reader = reader_of(newest_first_slice(100))
    accept(reader, 50, 40)
    accept(reader, 60, 30)
    accept(reader, 20, -5)

    assert not reader.passed_the_end


# --- the rest of the slice


def test_pages_left_are_estimated_from_the_time_that_the_last_page_covers() -> None:
    reader = reader_of(window_slice(1000))
    assert reader.pages_left == 0
    accept(reader, 0, 5, 10)
    assert reader.pages_left == pytest.approx(99)
    accept(reader, 10, 50, 110)
    assert reader.pages_left == pytest.approx(8.9)


def test_a_second_full_of_records_has_little_influence_on_the_estimate() -> None:
    reader = reader_of(window_slice(1000))
    accept(reader, 0, 10)
    accept(reader, 10, 10)
    accept(reader, 10, 10)

    assert reader.pages_left == pytest.approx(990 / (10 / 3))


def test_remaining_work_is_unknown_while_all_records_have_one_time() -> None:
    reader = reader_of(window_slice(1000))
    accept(reader, 3, 3, 3)

    assert math.isinf(reader.pages_left)
    assert reader.split() is not None


@pytest.mark.parametrize("newest", [True, False])
def test_no_pages_are_left_on_the_last_page_or_after_the_covered_window(newest: bool) -> None:
    ended, passed = reader_of(window_slice(1000, newest=newest)), reader_of(window_slice(1000, newest=newest))
    accept(ended, 0, 10, last=True)
    accept(passed, 0, 2000)

    for reader in (ended, passed):
        assert (reader.pages_left, reader.can_split, reader.split()) == (0, False, None)


def test_the_density_of_the_original_slice_counts_only_for_the_first_page() -> None:
    reader = reader_of(window_slice(1000))
    accept(reader, 0, 10)
    above = reader.split()
    assert above is not None

    spawned = reader.spawn(above, SliceId(1))

    assert (spawned.pages_left, spawned.read_up_to) == (0.0, None)
    assert above.start is not None
    accepted(spawned, [above.start] * 3)  # all at one time, so they have no density of their own
    assert spawned.pages_left == pytest.approx(reader.pages_left, rel=0.05)


# --- splitting


@given(
    end=st.floats(0.5, 10**7),
    read=st.lists(st.floats(0, 10**7), max_size=3),
    newest=st.booleans(),
    begun=st.sampled_from([START, START + timedelta(microseconds=123_457), BEGINNING]),
)
def test_a_split_leaves_no_gap_and_keeps_a_distance_from_the_last_record(end: float, read: list[float], newest: bool, begun: datetime) -> None:
    part = window_slice(end, start=begun, newest=newest)
    reader = reader_of(part)
    if read:
        accept(reader, *sorted(read))
    place = at(max(read)) if read else begun
    assert part.covers_to is not None

    above = reader.split()

    if above is None:
        assert part.covers_to - place <= 4 * SECOND
        assert reader.slice == part
        return
    below = reader.slice
    border = above.start
    assert border is not None
    assert border.microsecond == 0
    assert place + 2 * SECOND <= border < part.covers_to
    assert (below.start, below.end, below.covers_to) == (part.start, border, border)
    assert (above.end, above.covers_to) == (part.end, part.covers_to)
    assert reader.read_up_to is None or reader.read_up_to <= border


def test_an_estimate_of_the_pages_to_come_exists_once_the_density_is_known() -> None:
    reader = reader_of(window_slice(10_000))
    assert reader.pages_expected == math.inf
    accept(reader, 0, 1000)
    assert reader.pages_expected == pytest.approx(9)
    above = reader.split()
    assert above is not None

    assert reader.spawn(above, SliceId(1)).pages_expected == pytest.approx(4.5, rel=0.01), "that of the slice that it was split off"
    accept(reader, 1000, 1500, last=True)
    assert reader.pages_expected == 0


@pytest.mark.parametrize("part", [SubsetSlice(Subset("live")), newest_first_slice(10_000)], ids=["whole", "newest first"])
def test_the_pages_to_come_of_a_slice_that_cannot_be_measured_are_unknown_before_the_first(part: AnySlice) -> None:
    assert reader_of(part).pages_expected == math.inf


def test_only_a_chain_that_would_begin_later_is_worth_a_restart() -> None:
    by_time, whole, out_of_order = reader_of(window_slice(100)), reader_of(SubsetSlice(Subset("live"))), reader_of(window_slice(100))
    assert not by_time.has_advanced
    accept(by_time, 0, 5)
    accept(whole, 0, 5)
    accept(out_of_order, 5, 0, 7)

    assert (by_time.has_advanced, whole.has_advanced, out_of_order.has_advanced) == (True, False, False)
    by_time.restart()
    assert not by_time.has_advanced


@pytest.mark.parametrize("part", [newest_first_slice(10_000), SubsetSlice(Subset("live"))], ids=["newest first", "whole"])
def test_some_slices_are_never_split(part: AnySlice) -> None:
    reader = reader_of(part)
    assert not reader.can_split
    accept(reader, 9000, 8000)

    assert (reader.can_split, reader.pages_left, reader.split()) == (False, 0, None)


def test_a_slice_can_be_split_until_too_little_is_left() -> None:
    reader, borders = reader_of(window_slice(10**8)), list[datetime | None]()
    accept(reader, 0, 1)
    while (above := reader.split()) is not None:
        borders.append(above.start)

    assert 10 < len(borders) < 30
    assert reader.time_left <= 4 * SECOND


def test_a_split_gives_the_open_end_of_the_newest_slice_to_the_later_half() -> None:
    reader = reader_of(window_slice(1000, newest=True))
    accept(reader, 0, 10)

    above = reader.split()

    assert above is not None
    assert reader.slice.end == reader.slice.covers_to == above.start
    assert (above.end, above.covers_to) == (None, at(1000))


def test_a_split_slice_stops_at_its_new_end() -> None:
    """The running query still has the old end."""
    reader = reader_of(window_slice(1000))
    accept(reader, 0, 10)
    above = reader.split()
    assert above is not None
    border = (above.start - START).total_seconds() if above.start else 0

    kept = accept(reader, 10, border - 1, border, border + 5)

    assert kept == [at(10), at(border - 1)]
    assert (reader.passed_the_end, reader.read_up_to) == (True, above.start)

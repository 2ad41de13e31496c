"""Chains: what they cut away, how far they promise to have read, and where they may be cut in two."""

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


def span(end: float, *, start: datetime = START, newest: bool = False) -> Slice:
    return Slice(Subset(), "datetime", start=start, end=None if newest else at(end), covers_to=at(end))


def walk(end: float) -> Slice:
    return Slice(Subset(), "datetime", START, None, at(end), descending=True)


def chain_of(part: AnySlice) -> SliceReader:
    return SliceReader(part, SliceId(0))


def take(chain: SliceReader, *seconds: float, last: bool = False) -> list[datetime | None]:
    """Let a chain take a page of records at so many seconds; return the times of those that it keeps."""
    return taken(chain, [at(second) for second in seconds], last=last).times("datetime")


def taken(chain: SliceReader, times: Sequence[datetime | None], *, last: bool = False) -> Page:
    data = [{"id": str(id_), "attributes": {"datetime": time.isoformat()} if time else {}} for id_, time in enumerate(times)]
    document = {"data": data, "links": {"next": None if last else "/more"}}
    return chain.accept(ApiResponse(DECODER.page(msgspec.json.encode(document)), START))


# --- what is kept


def test_records_outside_of_the_slice_are_cut_away_by_their_own_value() -> None:
    chain = chain_of(span(100))

    assert take(chain, -1, 0, 50, 99.999999) == [at(0), at(50), at(99.999999)]
    assert not chain.passed_the_end
    assert take(chain, 99.999999, 100, 101) == [at(99.999999)]
    assert chain.passed_the_end
    assert chain.records == 4


def test_the_newest_slice_keeps_what_lies_beyond_what_it_covers() -> None:
    chain = chain_of(span(100, newest=True))

    assert take(chain, 50, 100, 10_000) == [at(50), at(100), at(10_000)]
    assert not chain.passed_the_end


def test_a_record_without_a_time_is_kept_and_promises_nothing() -> None:
    chain = chain_of(span(100))

    assert taken(chain, [None, None]).count == 2
    assert chain.read_up_to is None
    assert taken(chain, [None, at(5), at(200)]).count == 2
    assert chain.read_up_to == at(100)


def test_pages_carry_the_time_of_their_request() -> None:
    assert taken(chain_of(span(100)), [at(1)]).synced_at == START


def test_a_walk_newest_first_ends_below_its_start() -> None:
    chain = chain_of(walk(100))

    assert take(chain, 200, 100, 50) == [at(200), at(100), at(50)]
    assert not chain.passed_the_end
    assert take(chain, 1, 0, -1) == [at(1), at(0)]
    assert chain.passed_the_end
    assert chain.read_up_to is None


# --- what is promised


def test_a_chain_is_sure_up_to_its_last_record_and_never_beyond_its_end() -> None:
    chain = chain_of(span(100))
    assert chain.read_up_to is None
    take(chain, 1, 2, 2)
    assert chain.read_up_to == at(2)
    take(chain, 2, 60)
    assert chain.read_up_to == at(60)
    take(chain, 60, 500)
    assert chain.read_up_to == at(100)


@pytest.mark.parametrize("page", [(5, 4, 6), (1, 7)], ids=["within a page", "from page to page"])
def test_records_out_of_order_take_the_promise_back_for_good(page: tuple[float, ...]) -> None:
    chain = chain_of(span(100))
    take(chain, 1, 2, 3)
    assert chain.read_up_to == at(3)

    take(chain, *page)
    assert chain.read_up_to is None
    assert not chain.can_split

    take(chain, 50, 60)
    assert (chain.read_up_to, chain.passed_the_end) == (None, False)
    take(chain, 99, 101)
    assert (chain.read_up_to, chain.passed_the_end) == (None, False), "records of the slice may come behind"


def test_a_walk_out_of_order_does_not_end_early() -> None:
    chain = chain_of(walk(100))
    take(chain, 50, 40)
    take(chain, 60, 30)
    take(chain, 20, -5)

    assert not chain.passed_the_end


# --- what is left


def test_pages_are_told_from_the_time_that_the_last_one_spans() -> None:
    chain = chain_of(span(1000))
    assert chain.pages_left == 0
    take(chain, 0, 5, 10)
    assert chain.pages_left == pytest.approx(99)
    take(chain, 10, 50, 110)
    assert chain.pages_left == pytest.approx(8.9)


def test_a_second_full_of_records_says_little_about_what_comes_behind() -> None:
    chain = chain_of(span(1000))
    take(chain, 0, 10)
    take(chain, 10, 10)
    take(chain, 10, 10)

    assert chain.pages_left == pytest.approx(990 / (10 / 3))


def test_remaining_work_is_unknown_while_all_records_have_one_time() -> None:
    chain = chain_of(span(1000))
    take(chain, 3, 3, 3)

    assert math.isinf(chain.pages_left)
    assert chain.split() is not None


@pytest.mark.parametrize("newest", [True, False])
def test_nothing_is_left_on_the_last_page_or_beyond_what_is_covered(newest: bool) -> None:
    ended, passed = chain_of(span(1000, newest=newest)), chain_of(span(1000, newest=newest))
    take(ended, 0, 10, last=True)
    take(passed, 0, 2000)

    for chain in (ended, passed):
        assert (chain.pages_left, chain.can_split, chain.split()) == (0, False, None)


def test_what_a_neighbour_knew_helps_to_judge_a_first_page_and_no_more() -> None:
    chain = chain_of(span(1000))
    take(chain, 0, 10)
    above = chain.split()
    assert above is not None

    branch = chain.spawn(above, SliceId(1))

    assert (branch.pages_left, branch.read_up_to) == (0.0, None)
    assert above.start is not None
    taken(branch, [above.start] * 3)  # all in one second, which alone would tell nothing
    assert branch.pages_left == pytest.approx(chain.pages_left, rel=0.05)


# --- cutting


@given(
    end=st.floats(0.5, 10**7),
    read=st.lists(st.floats(0, 10**7), max_size=3),
    newest=st.booleans(),
    begun=st.sampled_from([START, START + timedelta(microseconds=123_457), BEGINNING]),
)
def test_a_cut_leaves_no_gap_and_keeps_away_from_the_last_record(end: float, read: list[float], newest: bool, begun: datetime) -> None:
    part = span(end, start=begun, newest=newest)
    chain = chain_of(part)
    if read:
        take(chain, *sorted(read))
    place = at(max(read)) if read else begun
    assert part.covers_to is not None

    above = chain.split()

    if above is None:
        assert part.covers_to - place <= 4 * SECOND
        assert chain.slice == part
        return
    below = chain.slice
    border = above.start
    assert border is not None
    assert border.microsecond == 0
    assert place + 2 * SECOND <= border < part.covers_to
    assert (below.start, below.end, below.covers_to) == (part.start, border, border)
    assert (above.end, above.covers_to) == (part.end, part.covers_to)
    assert chain.read_up_to is None or chain.read_up_to <= border


@pytest.mark.parametrize("part", [walk(10_000), SubsetSlice(Subset("live"))], ids=["newest first", "whole"])
def test_some_slices_are_never_cut(part: AnySlice) -> None:
    chain = chain_of(part)
    assert not chain.can_split
    take(chain, 9000, 8000)

    assert (chain.can_split, chain.pages_left, chain.split()) == (False, 0, None)


def test_a_slice_can_be_cut_until_too_little_is_left() -> None:
    chain, borders = chain_of(span(10**8)), list[datetime | None]()
    take(chain, 0, 1)
    while (above := chain.split()) is not None:
        borders.append(above.start)

    assert 10 < len(borders) < 30
    assert chain.time_left <= 4 * SECOND


def test_the_newest_slice_gives_its_open_end_away() -> None:
    chain = chain_of(span(1000, newest=True))
    take(chain, 0, 10)

    above = chain.split()

    assert above is not None
    assert chain.slice.end == chain.slice.covers_to == above.start
    assert (above.end, above.covers_to) == (None, at(1000))


def test_who_was_cut_stops_at_the_new_end_by_value() -> None:
    """The query under way still leads to the old end."""
    chain = chain_of(span(1000))
    take(chain, 0, 10)
    above = chain.split()
    assert above is not None
    border = (above.start - START).total_seconds() if above.start else 0

    kept = take(chain, 10, border - 1, border, border + 5)

    assert kept == [at(10), at(border - 1)]
    assert (chain.passed_the_end, chain.read_up_to) == (True, above.start)

"""Workers, slices and staging with a simulated collection: every record is staged once, however records are distributed and slices are split."""

import asyncio
import random
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from klaviyo_assets.api.auth import ApiKey
from klaviyo_assets.api.client import ApiResponse, KlaviyoClient
from klaviyo_assets.api.client_settings import ClientSettings
from klaviyo_assets.api.klaviyo_errors import InvalidResponse, NotFound, ScopeMissing
from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.decode import Page
from klaviyo_assets.decode.page import frame_of
from klaviyo_assets.extract.chain_position import Position
from klaviyo_assets.extract.fetcher import Fetcher
from klaviyo_assets.extract.page_sink import SliceId
from klaviyo_assets.extract.slices import AnySlice, ParentGroupSlice, Slice, SubsetSlice
from klaviyo_assets.load.batch import Batch
from klaviyo_assets.staging.manifest import new_manifest
from klaviyo_assets.staging.staging import Staging
from klaviyo_assets.state.child_parts import ChildPart
from klaviyo_assets.state.coverage import BEGINNING
from klaviyo_assets_tests.api.client_helpers import HTML, KEY, errors
from klaviyo_assets_tests.api.scripted import Reply, scripted_server
from klaviyo_assets_tests.extract.simulated import DAYS, DENSITIES, NOW, TOP, Collection, at, fetched, ids_in, merged, planned_slices, random_times


@pytest.mark.long
@settings(max_examples=40)
@given(
    seed=st.integers(0, 10**6),
    name=st.sampled_from(["events", "profiles", "reviews"]),
    density=st.sampled_from(DENSITIES),
    count=st.integers(0, 400),
    page_size=st.integers(1, 12),
    workers=st.integers(1, 9),
    load_every=st.sampled_from([0, 1, 3, 7]),
    ignores_the_end=st.booleans(),
)
def test_every_record_is_staged_once_and_covered_only_after_it(
    seed: int, name: str, density: str, count: int, page_size: int, workers: int, load_every: int, ignores_the_end: bool
) -> None:
    rng = random.Random(seed)
    times = random_times(rng, count, density)
    # Add records at the borders of the planned slices, and just before them.
    borders = [part.start for part in planned_slices(name, times) if part.start is not None and part.start > BEGINNING]
    times += [border + shift for border in borders for shift in (timedelta(0), timedelta(microseconds=-1), timedelta(seconds=-1))]
    collection = Collection(times, page_size, workers, rng, ignores_the_end)

    outcome = fetched(name, collection, load_every=load_every)

    assert sorted(outcome.ids) == list(range(len(times)))
    assert outcome.fetcher.state.records_read == len(times)
    assert merged(outcome.covered) == [(BEGINNING, TOP)]
    seen: set[int] = set()
    for ids, covered in outcome.batches:
        seen.update(ids)
        for row in covered:
            assert {id_ for id_, time in enumerate(times) if row.start <= time < row.end} <= seen
    assert collection.max_concurrent <= workers


@pytest.mark.parametrize("name", ["events", "profiles"])
@pytest.mark.parametrize("density", ["uniform", "two days", "bursts"])
def test_stolen_work_costs_few_extra_requests(name: str, density: str) -> None:
    times = random_times(random.Random(3), 4000, density)
    collection = Collection(times, page_size=10, workers=8)

    outcome = fetched(name, collection)

    assert len(outcome.fetcher.sink.manifest.slices) > len(planned_slices(name, times)) + 8
    assert collection.requests <= 1.3 * len(times) / 10 + 40


def test_no_single_chain_does_all_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the records are within two days; a single worker would read them page by page."""
    times = random_times(random.Random(3), 4000, "two days")
    most: dict[int, int] = {}

    class Counting(Collection):
        async def pages(self, *arguments: Any, **named: Any) -> AsyncIterator[ApiResponse[Any]]:
            number = len(most)
            async for response in super().pages(*arguments, **named):
                most[number] = most.get(number, 0) + 1
                yield response

    fetched("events", Counting(times, page_size=10, workers=8))

    assert max(most.values()) < 4000 / 10 / 4


@pytest.mark.parametrize("name", ["events", "profiles"])
def test_a_second_full_of_records_is_read_once(name: str) -> None:
    times = [*random_times(random.Random(3), 600, "uniform"), *[at(200).replace(microsecond=0)] * 400]
    collection = Collection(times, page_size=10, workers=8)

    outcome = fetched(name, collection)

    assert sorted(outcome.ids) == list(range(1000))
    assert collection.requests <= 1000 / 10 * 1.6 + 40


@pytest.mark.parametrize("workers", [2, 8, 24])
@pytest.mark.parametrize("name", ["events", "profiles"])
def test_few_records_of_a_dense_second_are_read_twice(name: str, workers: int) -> None:
    dense = at(200).replace(microsecond=0)
    times = [*random_times(random.Random(3), 600, "uniform"), *[dense] * 400]
    served: list[int] = []

    class Counting(Collection):
        async def pages(self, *arguments: Any, **named: Any) -> AsyncIterator[ApiResponse[Any]]:
            async for response in super().pages(*arguments, **named):
                served.extend(id_ for record in response.value.records if (id_ := int(record.id)) >= 600)
                yield response

    fetched(name, Counting(times, page_size=10, workers=workers))

    assert len(served) <= 400 + 2 * 10


@pytest.mark.long
@pytest.mark.parametrize(
    ("workers", "bursts", "records"),
    [
        (6, 60, 100),
        (6, 200, 30),
        (24, 60, 100),
        (24, 200, 30),
    ],
)
def test_many_short_bursts_cost_few_extra_requests(workers: int, bursts: int, records: int) -> None:
    """As with campaigns: thousands of records within seconds, then hours with hardly any."""
    rng = random.Random(7)
    times = [at(day + rng.uniform(0, 2e-5)) for day in (rng.uniform(0, DAYS - 1) for _ in range(bursts)) for _ in range(records)]
    collection = Collection(times, page_size=10, workers=workers)

    fetched("events", collection)

    assert collection.requests <= 1.6 * len(times) / 10 + 40


def test_an_error_of_after_page_is_raised_unchanged() -> None:
    times = random_times(random.Random(3), 500, "uniform")
    collection = Collection(times, page_size=10, workers=8)
    calls = 0

    async def after_page() -> None:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0)
        if calls >= 10:
            raise OSError(28, "No space left on device")

    with tempfile.TemporaryDirectory() as folder:
        attributes = {"sync_id": "s", "resource_type": "events", "account_id": "a", "fingerprint": "fingerprint"}
        staging = Staging(Path(folder), new_manifest(**attributes, read_at=NOW, resumable=True))
        fetcher = Fetcher(collection, CATALOG["events"], staging, after_page)  # type: ignore[arg-type]
        with pytest.raises(OSError, match="No space left"):
            asyncio.run(fetcher.run(planned_slices("events", times)))
        staging.write()
        assert len(ids_in(staging.batch())) == fetcher.state.records_read

    assert collection.requests < 10 + 2 * 8


def test_the_number_of_workers_follows_the_demand() -> None:
    times = random_times(random.Random(3), 4000, "two days")

    class Changing(Collection):
        def chains_needed(self, entry: ResourceType) -> int:
            return 2 if self.requests < 40 else 12 if self.requests < 200 else 1

    collection = Changing(times, page_size=10)

    outcome = fetched("events", collection)

    assert sorted(outcome.ids) == list(range(4000))
    assert 6 < collection.max_concurrent <= 12


def test_small_slices_are_not_split() -> None:
    times = [TOP - timedelta(minutes=minute) for minute in range(50)]
    slice_ = Slice(CATALOG["events"].subsets[0], "datetime", start=TOP - timedelta(hours=1), end=None, covers_to=TOP)
    collection = Collection(times, page_size=1000, workers=20)

    fetched("events", collection, [slice_])

    assert collection.requests == 1


def test_records_out_of_order_are_covered_once_everything_is_read() -> None:
    times = [at(day) for day in range(1, 100)]
    collection = Collection(times, page_size=5, workers=3, unsorted=True)

    outcome = fetched("events", collection, load_every=2)

    assert sorted(outcome.ids) == list(range(99))
    seen: set[int] = set()
    for ids, covered in outcome.batches[:-1]:
        seen.update(ids)
        for row in covered:
            in_window = {id_ for id_, time in enumerate(times) if row.start <= time < row.end}
            assert in_window <= seen


def test_each_fully_read_subset_is_read_once() -> None:
    entry = CATALOG["flows"]
    served: list[str] = []

    class Subsets(Collection):
        async def pages(
            self,
            entry: ResourceType,
            parameters: Mapping[str, str],
            decode: Callable[[bytes], Any],
            max_bytes: int | None = None,
            parent_id: str | None = None,
            query: Mapping[str, object] | None = None,
        ) -> AsyncIterator[ApiResponse[Any]]:
            served.append(parameters["filter"])
            for number in range(5):
                await asyncio.sleep(0)
                data = [{"id": f"{len(served)}{number}", "attributes": {}}]
                yield ApiResponse(decode(msgspec.json.encode({"data": data, "links": {"next": "/more" if number < 4 else None}})), NOW)

    outcome = fetched("flows", Subsets([], workers=20), [SubsetSlice(subset) for subset in entry.subsets])

    assert sorted(served) == ["equals(archived,false)", "equals(archived,true)"]
    assert len(outcome.ids) == 10


def test_the_first_error_is_raised_and_the_pages_stay_staged() -> None:
    times = random_times(random.Random(3), 500, "uniform")
    collection = Collection(times, page_size=10, workers=4, fails_after=20)
    batches: list[Batch] = []

    with tempfile.TemporaryDirectory() as folder:
        attributes = {"sync_id": "s", "resource_type": "events", "account_id": "a", "fingerprint": "fingerprint"}
        staging = Staging(Path(folder), new_manifest(**attributes, read_at=NOW, resumable=True))

        async def after_page() -> None:
            pass

        fetcher = Fetcher(collection, CATALOG["events"], staging, after_page)  # type: ignore[arg-type]
        with pytest.raises(ConnectionError, match="no more"):
            asyncio.run(fetcher.run(planned_slices("events", times)))
        staging.write()
        batches.append(staging.batch())
        ids = set(ids_in(batches[0]))

    assert len(ids) == fetcher.state.records_read > 150
    for row in batches[0].covered:
        assert {id_ for id_, time in enumerate(times) if row.start <= time < row.end} <= ids


def test_covered_windows_do_not_overlap() -> None:
    times = random_times(random.Random(5), 2000, "bursts")
    outcome = fetched("events", Collection(times, page_size=10, workers=8))

    windows = sorted((row.start, row.end) for row in outcome.covered)

    assert all(before[1] == after[0] for before, after in pairwise(windows))


@pytest.mark.long
@settings(max_examples=40)
@example(seed=319808, name="profiles", density="all in one second", count=97, share=0.02, workers=1)
@given(
    seed=st.integers(0, 10**6),
    name=st.sampled_from(["events", "profiles", "reviews"]),
    density=st.sampled_from(DENSITIES),
    count=st.integers(1, 120),
    share=st.sampled_from([0.02, 0.5, 1.0]),
    workers=st.integers(1, 6),
)
def test_records_that_need_smaller_pages_are_read_with_all_others(seed: int, name: str, density: str, count: int, share: float, workers: int) -> None:
    rng = random.Random(seed)
    wide = frozenset(id_ for id_ in range(count) if rng.random() < share)
    collection = Collection(random_times(rng, count, density), page_size=100, workers=workers, rng=rng, wide=wide)
    outcome = fetched(name, collection)
    assert set(outcome.ids) == set(range(count))


@pytest.mark.parametrize("name", ["events", "profiles"])
def test_a_wide_record_among_thousands_of_one_second_is_read_with_all_others(name: str) -> None:
    collection = Collection([at(0)] * 2_000, page_size=100, workers=1, wide=frozenset({1_990}))
    outcome = fetched(name, collection)
    assert set(outcome.ids) == set(range(2_000))


def test_pages_grow_again_after_a_wide_record() -> None:
    times = [at(0.3 * number) for number in range(1000)]
    collection = Collection(times, page_size=1000, workers=1, wide=frozenset({5}))
    outcome = fetched("events", collection)
    assert set(outcome.ids) == set(range(1000))
    assert collection.requests < 60, "with one record per page until the end, it would be a thousand"


# --- the sink


@dataclass
class CountingSink:
    """A sink that only collects the pages, the ids of each slice, and which slices are finished."""

    ids: list[list[str]] = field(default_factory=list)
    pages: list[Page] = field(default_factory=list)
    ends: list[datetime | None] = field(default_factory=list)
    finished: set[int] = field(default_factory=set)

    def open(self, slice_: AnySlice, /) -> SliceId:
        self.ids.append([])
        self.ends.append(slice_.end if isinstance(slice_, Slice) else None)
        return SliceId(len(self.ids) - 1)

    def add(self, slice_id: SliceId, page: Page, read_up_to: datetime | None, position: Position | None = None) -> None:
        self.ids[slice_id] += [record.id for record in page.records]
        self.pages.append(page)

    def truncate(self, slice_id: SliceId, end: datetime) -> None:
        self.ends[slice_id] = end

    def give_up(self, slice_id: SliceId) -> None:
        self.finished.discard(slice_id)

    def finish(self, slice_id: SliceId) -> None:
        self.finished.add(slice_id)


def test_any_sink_can_receive_the_pages() -> None:
    times = random_times(random.Random(3), 2000, "uniform")
    sink = CountingSink()

    async def after_page() -> None:
        await asyncio.sleep(0)

    fetcher = Fetcher(Collection(times, page_size=10, workers=8), CATALOG["events"], sink, after_page)  # type: ignore[arg-type]
    asyncio.run(fetcher.run(planned_slices("events", times)))

    assert len({id_ for ids in sink.ids for id_ in ids}) == len(times)
    assert sink.finished == set(range(len(sink.ids)))
    assert len(sink.ids) > len(planned_slices("events", times))  # idle workers have split slices


# --- responses of a server

CODES = CATALOG["coupon_codes"]


def read_from(responder: Callable[[str], Reply], entry: ResourceType, slices: Sequence[AnySlice]) -> tuple[Fetcher, list[str]]:
    """Read slices from a server, and build the frame of each page; return the fetcher and the ids of the records."""
    sink = CountingSink()

    async def after_page() -> None:
        frame_of(sink.pages)

    async def run() -> Fetcher:
        options = ClientSettings(base_url=server.base_url, max_retries=0, rate_limit_share=1.0)
        async with KlaviyoClient(ApiKey(KEY), options) as client:
            fetcher = Fetcher(client, entry, sink, after_page)
            await fetcher.run(slices)
            return fetcher

    with scripted_server() as server:
        server.responder = lambda path: responder(unquote(path))
        fetcher = asyncio.run(run())
    return fetcher, [id_ for ids in sink.ids for id_ in ids]


def codes_of(*coupons: str, named: bool = True) -> Reply:
    relationships = [{"coupon": {"data": {"type": "coupon", "id": id_}}} if named else {} for id_ in coupons]
    data = [{"type": "coupon-code", "id": f"{id_}-1", "relationships": one} for id_, one in zip(coupons, relationships, strict=True)]
    return Reply(body=msgspec.json.encode({"data": data, "links": {"next": None}}))


def group_of(*coupons: str) -> ParentGroupSlice:
    return ParentGroupSlice(CODES.subsets[0], coupons, "coupon_id", TOP, "expires_at", ChildPart())


def test_of_a_group_of_parents_only_the_deleted_one_is_not_read() -> None:
    def respond(path: str) -> Reply:
        if '"B"' in path:
            return errors(404, "not_found", "A coupon with id B does not exist.")
        return codes_of(*(id_ for id_ in "AC" if f'"{id_}"' in path))

    fetcher, ids = read_from(respond, CODES, [group_of("A", "B", "C")])

    assert sorted(ids) == ["A-1", "C-1"]
    assert fetcher.state.gone_parents == ["B"]
    assert sorted(one.whole_parts[0][0] for one in fetcher.state.finished) == ["A", "B", "C"]


@pytest.mark.parametrize("coupons", [("A", "B"), ("A",)], ids=["group", "single"])
def test_a_404_from_something_in_front_of_klaviyo_does_not_say_that_a_parent_was_deleted(coupons: tuple[str, ...]) -> None:
    with pytest.raises(NotFound):
        read_from(lambda path: Reply(404, b"<html>", HTML), CODES, [group_of(*coupons)])


def test_a_child_that_does_not_name_its_parent_is_an_error_of_the_response_if_several_were_requested() -> None:
    unnamed = codes_of("A", named=False)
    assert read_from(lambda path: unnamed, CODES, [group_of("A")])[1] == ["A-1"]

    with pytest.raises(InvalidResponse, match=r"^Klaviyo's response is not the JSON that was expected\. A record does not name its coupon, though"):
        read_from(lambda path: unnamed, CODES, [group_of("A", "B")])


@pytest.mark.parametrize(("name", "requests"), [("metrics", ["flow-triggers", None]), ("web_feeds", [None])])
def test_a_scope_that_is_taken_away_during_the_read_stops_it_once_no_include_can_be_the_reason(name: str, requests: list[str | None]) -> None:
    entry, requested = CATALOG[name], list[str | None]()

    def respond(path: str) -> Reply:
        requested.append(httpx.URL(path).params.get("include"))
        return errors(403, "permission_denied", "You do not have permission to perform this action.")

    with pytest.raises(ScopeMissing, match=f"lacks the scope {entry.scope}"):
        read_from(respond, entry, [SubsetSlice(entry.subsets[0])])
    assert requested == requests

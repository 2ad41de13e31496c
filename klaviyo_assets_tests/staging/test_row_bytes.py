"""Frames, files and loads have limited bytes, whatever the mix of records."""

import msgspec
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.decode import Page, PageDecoder
from klaviyo_assets.staging.manifest import WIDE_BYTES_PER_LOAD, StagedFile, loads_of
from klaviyo_assets.staging.row_bytes import portions, row_bytes

DECODER = PageDecoder(CATALOG["events"])


def page(sizes: list[int]) -> Page:
    records = [{"id": str(number), "attributes": {"event_properties": {"note": "x" * size}}} for number, size in enumerate(sizes)]
    return DECODER.page(msgspec.json.encode({"data": records, "links": {}}))


def test_the_bytes_of_rows_are_those_of_their_text() -> None:
    frame = pl.DataFrame({"a": ["x", "é", None], "b": [["aa", "b"], None, []], "c": [1, 2, 3]}, schema_overrides={"b": pl.List(pl.String)})
    assert row_bytes(frame).to_list() == [68, 66, 64]
    assert row_bytes(frame.clear()).sum() == 0


@settings(max_examples=60)
@given(
    pages=st.lists(st.lists(st.sampled_from([1, 10, 300, 2_000, 9_000]), min_size=1, max_size=30), min_size=1, max_size=8),
    max_rows=st.integers(1, 60),
    max_bytes=st.sampled_from([1_000, 5_000, 20_000]),
)
def test_portions_have_every_record_once_and_limited_bytes(pages: list[list[int]], max_rows: int, max_bytes: int) -> None:
    given_pages = [page(sizes) for sizes in pages]
    found = list(portions(given_pages, max_rows, max_bytes))
    assert [record.id for some in found for part in some for record in part.records] == [r.id for one in given_pages for r in one.records]
    for some in found:
        rows, size = sum(part.count for part in some), sum(part.size for part in some)
        assert len(some) == 1 or (rows <= max_rows and size <= max_bytes)
        assert size <= max_bytes or (len(some) == 1 and some[0].count == 1)


@given(st.lists(st.tuples(st.integers(1, 20_000), st.integers(0, 24 * 2**20)), max_size=40), st.integers(1, 50_000))
def test_loads_have_all_files_in_order_and_limited_wide_bytes(sizes: list[tuple[int, int]], max_rows: int) -> None:
    files = [StagedFile(f"{number}.parquet", rows, wide=wide) for number, (rows, wide) in enumerate(sizes)]
    loads = loads_of(files, max_rows)
    assert [file for load in loads for file in load] == files
    for load in loads:
        assert len(load) == 1 or (sum(file.rows for file in load) <= max_rows and sum(file.wide for file in load) <= WIDE_BYTES_PER_LOAD)

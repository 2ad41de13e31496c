"""The estimate of the pages that a sync has left."""

import math
from collections import deque
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from klaviyo_assets.api.client import ApiResponse
from klaviyo_assets.catalog import EVENTS
from klaviyo_assets.catalog.resource_type import Subset
from klaviyo_assets.decode import PageDecoder
from klaviyo_assets.extract.fetch_state import FetchState
from klaviyo_assets.extract.page_sink import SliceId
from klaviyo_assets.extract.slice_reader import SliceReader
from klaviyo_assets.extract.slices import Slice

START = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
SLICE = Slice(Subset(), "datetime", start=START, end=START + 10 * HOUR, covers_to=START + 10 * HOUR)


def reader_after(hours: int) -> SliceReader:
    """Return a reader of ten hours that has read one page with so many of them."""
    reader = SliceReader(SLICE, SliceId(0))
    data = [{"id": str(time), "attributes": {"datetime": time.isoformat()}} for time in (START, START + hours * HOUR)]
    reader.accept(ApiResponse(PageDecoder(EVENTS).page(msgspec.json.encode({"data": data, "links": {"next": "/more"}})), START))
    return reader


def test_the_pages_of_all_slices_are_added_up() -> None:
    assert FetchState(readers=[reader_after(1), reader_after(5)]).pages_expected == pytest.approx(9 + 1)
    assert FetchState().pages_expected == 0


def test_no_number_is_known_while_a_slice_waits_or_has_no_page() -> None:
    assert FetchState(readers=[reader_after(1)], waiting=deque([SLICE])).pages_expected == math.inf
    assert FetchState(readers=[reader_after(1), SliceReader(SLICE, SliceId(1))]).pages_expected == math.inf

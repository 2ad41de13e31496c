"""Progress reports of long syncs, with ranges for estimates that are uncertain."""

import logging
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from klaviyo_assets.api.client import ApiResponse
from klaviyo_assets.catalog import EVENTS
from klaviyo_assets.catalog.resource_type import Subset
from klaviyo_assets.decode import PageDecoder
from klaviyo_assets.extract.fetch_state import FetchState
from klaviyo_assets.extract.slice_reader import SliceReader
from klaviyo_assets.extract.slices import Slice, SubsetSlice
from klaviyo_assets.staging.manifest import new_manifest
from klaviyo_assets.staging.staging import Staging
from klaviyo_assets.sync import progress as progress_module
from klaviyo_assets.sync.progress import Estimate, Progress, ProgressReporter, Range, progress_message

DAY = timedelta(days=1)
TOP = datetime(2026, 3, 10, tzinfo=UTC)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(progress_module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


@pytest.fixture
def staging(tmp_path: Path) -> Staging:
    attributes = {"sync_id": "s", "resource_type": "events", "account_id": "a", "fingerprint": "f"}
    return Staging(tmp_path / "s", new_manifest(**attributes, read_at=TOP, resumable=True))


def window_slice(start: datetime, end: datetime, *, newest: bool = False) -> Slice:
    return Slice(Subset(), "datetime", start=start, end=None if newest else end, covers_to=end)


def reader_of(staging: Staging, slice_: Slice, *, read: timedelta, records: int) -> SliceReader:
    """Return a reader that has read this many records, evenly distributed over this time."""
    assert slice_.start is not None
    times = [slice_.start + read * number / (records - 1) for number in range(records)]
    body = {"data": [{"id": str(time), "attributes": {"datetime": time.isoformat()}} for time in times], "links": {"next": "/more"}}
    found = SliceReader(slice_, staging.open(slice_))
    found.accept(ApiResponse(PageDecoder(EVENTS).page(msgspec.json.encode(body)), TOP))
    return found


def test_the_rest_of_an_even_history_follows_from_its_density(clock: SimpleNamespace, staging: Staging) -> None:
    progress = Progress()
    clock.now += 20
    reader = reader_of(staging, window_slice(TOP - 2 * DAY, TOP, newest=True), read=DAY, records=1000)

    estimate = progress.estimate(1000, [reader], [window_slice(TOP - 6 * DAY, TOP - 2 * DAY)])

    assert estimate is not None
    assert estimate.records.low == pytest.approx(5000, rel=0.01)
    assert estimate.records.high == pytest.approx(5000, rel=0.01)
    assert estimate.seconds.low == pytest.approx(100, rel=0.01)


def test_the_range_is_as_wide_as_the_density_varies(clock: SimpleNamespace, staging: Staging) -> None:
    progress = Progress()
    clock.now += 20
    densities = [1000, 2000, 3000, 4000]
    for number, records in enumerate(densities):
        finished = reader_of(staging, window_slice(TOP - (number + 1) * DAY, TOP - number * DAY), read=DAY, records=records)
        progress.estimate(1, [finished], [])

    estimate = progress.estimate(10_000, [], [window_slice(TOP - 14 * DAY, TOP - 4 * DAY)])

    assert estimate is not None
    assert 9_900 <= estimate.records.low < 25_000 < estimate.records.high <= 40_000


def test_no_records_are_expected_before_the_oldest_one(clock: SimpleNamespace, staging: Staging) -> None:
    progress = Progress(oldest=TOP - 4 * DAY)
    clock.now += 20
    reader = reader_of(staging, window_slice(TOP - 2 * DAY, TOP), read=2 * DAY, records=1000)

    estimate = progress.estimate(1000, [reader], [window_slice(datetime(1970, 1, 1, tzinfo=UTC), TOP - 2 * DAY)])

    assert estimate is not None
    assert estimate.records.high == pytest.approx(1000, rel=0.01)


def test_the_estimate_says_since_when_the_data_is_complete(clock: SimpleNamespace, staging: Staging) -> None:
    progress = Progress()
    clock.now += 20
    newest = reader_of(staging, window_slice(TOP - DAY, TOP, newest=True), read=DAY / 2, records=1000)
    older = reader_of(staging, window_slice(TOP - 5 * DAY, TOP - DAY), read=DAY, records=1000)

    while_newest_is_read = progress.estimate(2000, [older, newest], [])
    afterwards = progress.estimate(3000, [older], [window_slice(TOP - 21 * DAY, TOP - 5 * DAY)])

    assert while_newest_is_read is not None
    assert afterwards is not None
    assert (while_newest_is_read.complete_from, afterwards.complete_from) == (None, TOP - DAY)


def test_bytes_are_estimated_from_the_staged_rows(clock: SimpleNamespace, staging: Staging) -> None:
    progress = Progress(rows_staged=1000, bytes_staged=350_000)
    clock.now += 20
    reader = reader_of(staging, window_slice(TOP - 2 * DAY, TOP), read=DAY, records=1000)

    estimate = progress.estimate(1000, [reader], [])

    assert estimate is not None
    assert estimate.bytes.low == pytest.approx(350_000, rel=0.02)
    assert estimate.bytes.high > estimate.bytes.low


def test_there_is_no_estimate_before_enough_is_known(clock: SimpleNamespace, staging: Staging) -> None:
    progress = Progress()
    clock.now += 20
    slice_ = window_slice(TOP - DAY, TOP)

    assert progress.estimate(0, [SliceReader(slice_, staging.open(slice_))], []) is None
    assert progress.estimate(10, [], [SubsetSlice(Subset("live"))]) is None


def test_reports_start_soon_and_repeat_every_30_seconds(clock: SimpleNamespace) -> None:
    progress = Progress()
    due = []
    for _ in range(101):
        due.append(progress.is_due())
        clock.now += 1

    assert [second for second, yes in enumerate(due) if yes] == [10, 40, 70, 100]


@pytest.mark.parametrize(
    ("seconds", "size", "message"),
    [
        ((1500, 2400), (2.1e9, 5e9), "About 25 to 40 minutes and 2.1 to 5.0 GB left."),
        ((40, 400), (9e5, 3e8), "About 40 seconds to 7 minutes and 900 kB to 300 MB left."),
        ((7200, 7200), (0, 0), "About 2.0 hours left."),
        ((0.2, 1.2), (0, 0), "About 1 second left."),
        ((0.9, 3.1), (0, 0), "About 1 to 3 seconds left."),
    ],
)
def test_progress_messages(seconds: tuple[float, float], size: tuple[float, float], message: str) -> None:
    estimate = Estimate(Range(1, 2), Range(*seconds), Range(*size), TOP)

    assert progress_message("events", 3_150_000, estimate) == f"events: 3,150,000 records read, complete from 2026-03-10 00:00 on. {message}"


def reporter_of(state: FetchState, staging: Staging, folder: Path, notes: list[str]) -> ProgressReporter:
    return ProgressReporter("events", state, staging, folder, None, logging.getLogger("klaviyo_assets_tests"), notes.append)


@pytest.mark.parametrize(("free", "is_noted"), [(1_000, True), (10**12, False)], ids=["a small disk", "a large disk"])
def test_a_sync_that_needs_more_disk_space_than_is_free_says_so_once(
    free: int,
    is_noted: bool,
    clock: SimpleNamespace,
    staging: Staging,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    reader = reader_of(staging, window_slice(TOP - 2 * DAY, TOP, newest=True), read=DAY, records=1000)
    staging.rows_written, staging.bytes_written = 1000, 350_000
    notes: list[str] = []
    reporter = reporter_of(FetchState(records_read=1000, readers=[reader]), staging, tmp_path, notes)

    with caplog.at_level(logging.INFO):
        for _ in range(3):
            clock.now += 60
            reporter.after_page()

    assert notes == (["events will need more disk space than is free (0.0 GB)."] if is_noted else [])
    reports = [one.getMessage() for one in caplog.records if "records read" in one.getMessage()]
    assert len(reports) == 3
    assert all(one.startswith("events: 1,000 records read. About ") and one.endswith(" left.") for one in reports)


def test_nothing_is_reported_before_enough_is_known(
    clock: SimpleNamespace, staging: Staging, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    notes: list[str] = []
    reporter = reporter_of(FetchState(), staging, tmp_path, notes)

    with caplog.at_level(logging.INFO):
        clock.now += 60
        reporter.after_page()

    assert (notes, caplog.records) == ([], [])

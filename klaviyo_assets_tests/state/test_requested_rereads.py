"""Windows that must be read again: which of them a sync reads, and which rows it marks afterwards."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from klaviyo_assets.catalog import EVENTS
from klaviyo_assets.decode import frame_schema
from klaviyo_assets.load.batch import Batch
from klaviyo_assets.load.loader import Loader
from klaviyo_assets.staging.seen_keys import keep_columns
from klaviyo_assets.state.coverage import BEGINNING, CoverageRow, TimeWindow
from klaviyo_assets.state.requested_rereads import Reread, Rereads, rereads_within
from klaviyo_assets.state.sync_log import SyncLogEntry
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import query

pytestmark = pytest.mark.duckdb

FIRST, SECOND, THIRD = (datetime(2026, 1, day, tzinfo=UTC) for day in (1, 2, 3))
LATER = datetime(2026, 3, 1, tzinfo=UTC)
EVER = TimeWindow(BEGINNING, LATER)
DAY_1, DAY_2 = TimeWindow(FIRST, SECOND), TimeWindow(SECOND, THIRD)


class Events:
    """A table of events; everything before March is covered."""

    def __init__(self, warehouse: LocalFile, folder: Path) -> None:
        self.warehouse, self.folder = warehouse, folder
        self.loader = Loader(warehouse, EVENTS, "klaviyo")
        self.row = SyncLogEntry("a-sync", "events", "unknown", "incremental", LATER, None)
        self.loader.begin(self.row)

    def load(self, *ids: str, of: datetime = FIRST) -> None:
        covered = CoverageRow("all", "datetime", BEGINNING, LATER, LATER, "f", final=True)
        self.loader.load(Batch(files=(self.file(*ids, of=of),), covered=(covered,)), self.row)

    def file(self, *ids: str, of: datetime = FIRST) -> Path:
        path = self.folder / f"{len(list(self.folder.iterdir()))}.parquet"
        rows = [{"id": id_, "metric_id": "M", "datetime": of + timedelta(hours=1), "_synced_at": LATER} for id_ in ids]
        pl.DataFrame(rows, schema=frame_schema(EVENTS)).write_parquet(path)
        return path

    def request(self, *windows: TimeWindow, expects_none: bool = False, at: datetime = LATER) -> None:
        with self.loader.warehouse.transaction() as connection:
            rereads = [Reread("datetime", window, expects_none) for window in windows]
            Rereads(connection, self.warehouse, "klaviyo").request("events", rereads, by="test", at=at)

    def pending(self, within: TimeWindow = EVER) -> list[Reread]:
        with self.warehouse.connection() as connection:
            return rereads_within(Rereads(connection, self.warehouse, "klaviyo").pending("events"), within)

    def finish(self, rereads: Iterable[Reread], returned: Sequence[Path]) -> list[TimeWindow]:
        return self.loader.comparison(self.row).finish_rereads(list(rereads), keep_columns(returned, ("id", "datetime")))

    @property
    def deleted(self) -> list[str]:
        return [id_ for (id_,) in query(self.warehouse, "SELECT id FROM events WHERE _deleted_at IS NOT NULL ORDER BY id")]


@pytest.fixture
def events(warehouse: LocalFile, tmp_path: Path) -> Events:
    folder = tmp_path / "files"
    folder.mkdir()
    return Events(warehouse, folder)


def test_without_requests_nothing_is_pending(events: Events) -> None:
    assert events.pending() == []


def test_adjacent_windows_are_merged_unless_one_is_expected_to_be_empty(events: Events) -> None:
    events.request(DAY_2, DAY_1)
    assert events.pending() == [Reread("datetime", TimeWindow(FIRST, THIRD))]

    events.request(DAY_2, expects_none=True)

    assert events.pending() == [Reread("datetime", DAY_1), Reread("datetime", DAY_2, expects_none=True)]
    assert query(events.warehouse, "SELECT count(*) FROM _rereads") == [(2,)], "a window is requested once"


def test_a_window_that_is_only_partly_wanted_waits(events: Events) -> None:
    events.request(DAY_1, DAY_2)

    assert events.pending(TimeWindow(FIRST + timedelta(hours=1), LATER)) == [Reread("datetime", DAY_2)]
    assert events.pending(TimeWindow(BEGINNING, THIRD - timedelta(hours=1))) == [Reread("datetime", DAY_1)]


def test_a_window_in_the_year_1_is_pending(events: Events) -> None:
    first = TimeWindow(BEGINNING, BEGINNING + timedelta(days=1))
    events.request(first)

    assert events.pending() == [Reread("datetime", first)]


def test_only_rows_of_the_window_that_were_not_returned_are_marked(events: Events) -> None:
    events.load("A", "B")
    events.load("C", of=SECOND)
    events.request(DAY_1)

    assert events.finish(events.pending(), [events.file("A")]) == []

    assert events.deleted == ["B"]
    assert events.loader.progress.counts.deleted == 1
    assert events.pending() == []
    assert query(events.warehouse, "SELECT reread_at FROM _rereads") == [(LATER,)]


def test_a_request_later_than_the_read_stays_pending(events: Events) -> None:
    events.request(DAY_1, at=LATER + timedelta(seconds=1))

    events.finish(events.pending(), [events.file("A")])

    assert events.pending() == [Reread("datetime", DAY_1)]


@pytest.mark.parametrize("other_days_returned", [True, False])
def test_a_suddenly_empty_window_is_not_marked(events: Events, other_days_returned: bool) -> None:
    events.load("A", "B")
    events.request(DAY_1)
    returned = [events.file("C", of=SECOND)] if other_days_returned else []

    assert events.finish(events.pending(), returned) == [DAY_1]
    assert events.deleted == []


@pytest.mark.long
def test_a_window_that_is_expected_to_be_empty_is_marked(events: Events) -> None:
    events.load("A", "B")
    events.load("C", of=SECOND)
    events.request(DAY_1, expects_none=True)
    events.request(DAY_2)

    assert events.finish(events.pending(), []) == [DAY_2]
    assert events.deleted == ["A", "B"]

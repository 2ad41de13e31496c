"""Rereads days: what is to be read again, and what is marked when it was."""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from klaviyo_assets.catalog import EVENTS
from klaviyo_assets.decode import frame_schema
from klaviyo_assets.load.loader import Loader, SyncLogEntry
from klaviyo_assets.staging.seen_keys import keep_columns
from klaviyo_assets.staging.staging import Batch
from klaviyo_assets.state.coverage import BEGINNING, CoverageRow, TimeWindow
from klaviyo_assets.state.rereads import Rereads, State, prepare_audit_days
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import query

pytestmark = pytest.mark.duckdb

FIRST, SECOND, THIRD = (datetime(2026, 1, day, tzinfo=UTC) for day in (1, 2, 3))
LATER = datetime(2026, 3, 1, tzinfo=UTC)
EVER = TimeWindow(BEGINNING, LATER)


class Days:
    """A table of events, of which everything before March is covered."""

    def __init__(self, warehouse: LocalFile, folder: Path) -> None:
        self.warehouse, self.folder = warehouse, folder
        self.loader = Loader(warehouse, EVENTS, "klaviyo")
        self.row = SyncLogEntry("a-sync", "events", "unknown", "incremental", LATER, None)
        self.loader.begin(self.row)
        self.struck = Rereads(self.loader)

    def load(self, *ids: str, of: datetime = FIRST) -> None:
        covered = CoverageRow("all", "datetime", BEGINNING, LATER, LATER, "f", settled=True)
        self.loader.load(Batch(files=(self.file(*ids, of=of),), covered=(covered,)), self.row)

    def file(self, *ids: str, of: datetime = FIRST) -> Path:
        path = self.folder / f"{len(list(self.folder.iterdir()))}.parquet"
        rows = [{"id": id_, "metric_id": "M", "datetime": of + timedelta(hours=1), "_synced_at": LATER} for id_ in ids]
        pl.DataFrame(rows, schema=frame_schema(EVENTS)).write_parquet(path)
        return path

    def differ(self, *days: datetime, theirs: int = 1, state: State = State.DIFFERS, metric: str = "M") -> None:
        with self.loader.transaction() as connection:
            prepare_audit_days(connection, self.warehouse, "klaviyo")
            for day in days:
                connection.execute(
                    f"INSERT INTO {self.warehouse.qualified('klaviyo', '_audit_days')} (metric_id, day, theirs, ours, state) VALUES (?, ?, ?, 9, ?)",
                    [metric, day.date(), theirs, state],
                )

    def finish(self, spans: Iterable[TimeWindow], brought: Sequence[Path]) -> list[TimeWindow]:
        return self.struck.finish(list(spans), keep_columns(brought, ("id", "datetime")), LATER)

    @property
    def marked(self) -> list[str]:
        return [id_ for (id_,) in query(self.warehouse, "SELECT id FROM events WHERE _deleted_at IS NOT NULL ORDER BY id")]


@pytest.fixture
def days(warehouse: LocalFile, tmp_path: Path) -> Days:
    folder = tmp_path / "files"
    folder.mkdir()
    return Days(warehouse, folder)


def test_before_any_audit_nothing_is_struck(days: Days) -> None:
    assert days.struck.spans(EVER) == []
    days.struck.strike()
    assert days.struck.spans(EVER) == []


def test_what_differs_is_struck_from_the_coverage_and_neighbours_are_one_span(days: Days) -> None:
    days.load("A")
    days.differ(FIRST, SECOND)
    days.differ(THIRD, state=State.CONFIRMED)

    days.struck.strike()

    assert days.struck.spans(EVER) == [TimeWindow(FIRST, THIRD)]
    assert sorted((row.start, row.end) for row in days.loader.coverage()) == [(BEGINNING, FIRST), (THIRD, LATER)]
    assert query(days.warehouse, "SELECT state FROM _audit_days ORDER BY day") == [("struck",), ("struck",), ("confirmed",)]


def test_a_day_that_is_not_wanted_as_a_whole_waits(days: Days) -> None:
    days.differ(FIRST, SECOND, state=State.STRUCK)

    assert days.struck.spans(TimeWindow(FIRST + timedelta(hours=1), LATER)) == [TimeWindow(SECOND, THIRD)]
    assert days.struck.spans(TimeWindow(BEGINNING, THIRD - timedelta(hours=1))) == [TimeWindow(FIRST, SECOND)]


def test_rows_that_did_not_come_again_are_marked_and_those_of_other_days_are_not(days: Days) -> None:
    days.load("A", "B")
    days.load("C", of=SECOND)
    days.differ(FIRST, state=State.STRUCK)

    assert days.finish([TimeWindow(FIRST, SECOND)], [days.file("A")]) == []

    assert days.marked == ["B"]
    assert days.loader.counts.deleted == 1
    assert days.struck.spans(EVER) == []
    assert query(days.warehouse, "SELECT state, day FROM _audit_days WHERE read_again_at IS NOT NULL") == [("struck", date(2026, 1, 1))]


@pytest.mark.parametrize("other_days_came", [True, False])
def test_a_day_that_came_suddenly_empty_is_left_alone(days: Days, other_days_came: bool) -> None:
    days.load("A", "B")
    days.differ(FIRST, state=State.STRUCK)
    brought = [days.file("C", of=SECOND)] if other_days_came else []

    assert days.finish([TimeWindow(FIRST, SECOND)], brought) == [TimeWindow(FIRST, SECOND)]
    assert days.marked == []


def test_where_klaviyo_counts_none_as_well_an_empty_answer_is_believed(days: Days) -> None:
    days.load("A", "B")
    days.load("C", of=SECOND)
    days.differ(FIRST, theirs=0, state=State.STRUCK)
    days.differ(SECOND, theirs=0, state=State.STRUCK, metric="another")

    assert days.finish([TimeWindow(FIRST, THIRD)], []) == [TimeWindow(FIRST, THIRD)]
    assert days.marked == ["A", "B"]

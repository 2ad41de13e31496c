"""Transactions that conflict with another writer are retried, in a warehouse with several concurrent writers."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
from duckdb import DuckDBPyConnection

from klaviyo_assets.load.access.incomplete_access import IncompleteAccess
from klaviyo_assets.load.batch import Batch
from klaviyo_assets.load.loader import Loader
from klaviyo_assets.state.tombstones import id_hash
from klaviyo_assets.warehouse.interface import Capabilities, Warehouse
from klaviyo_assets_tests.accounts import query
from klaviyo_assets_tests.load.loads import Loads, after

pytestmark = pytest.mark.duckdb


class SharedDatabase(Warehouse):
    """An in-memory database with several concurrent writers; another writer changes the sync's log entry during the first loads.

    Args:
        folder: State folder.
        conflicts: Number of loads with a conflict.

    Attributes:
        conflicts_of_commits: Number of commits that will fail, as those of a catalog with optimistic locks.
    """

    def __init__(self, folder: Path, conflicts: int) -> None:
        self.capabilities = Capabilities()
        self.database = "memory"
        self.conflicts, self.loads, self.conflicts_of_commits = conflicts, 0, 0
        self._folder = folder
        self._database = duckdb.connect(":memory:")

    @property
    def state_dir(self) -> Path:
        return self._folder

    @contextmanager
    def connection(self) -> Iterator[DuckDBPyConnection]:
        with self._database.cursor() as cursor:
            cursor.execute("SET TimeZone = 'UTC'")
            yield cursor

    def before_commit(self, connection: DuckDBPyConnection) -> None:
        if self.conflicts_of_commits:
            self.conflicts_of_commits -= 1
            raise duckdb.TransactionException("TransactionContext Error: Conflict on update!")

    def before_append(self, connection: DuckDBPyConnection) -> None:
        self.loads += 1
        if self.loads <= self.conflicts:
            with self._database.cursor() as another:
                another.execute("UPDATE klaviyo._syncs SET run_id = 'another'")


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("klaviyo_assets.load.transaction_retry._SECONDS", (0, 0))


@pytest.mark.parametrize("conflicts", [0, 1, 3])
def test_a_load_with_a_conflict_is_retried_and_counts_once(conflicts: int, tmp_path: Path) -> None:
    warehouse = SharedDatabase(tmp_path, conflicts)
    lists = Loads(warehouse, tmp_path, "lists")

    assert lists([{"id": "A"}, {"id": "B"}]) == (2, 0)

    assert warehouse.loads == conflicts + 1
    assert query(warehouse, "SELECT id FROM lists ORDER BY id") == [("A",), ("B",)]
    assert query(warehouse, "SELECT rows_inserted, table_rows FROM _syncs") == [(2, 2)]


@pytest.mark.parametrize("end", ["complete read", "full read"])
def test_the_end_of_a_read_with_a_conflict_is_retried_and_counts_once(end: str, tmp_path: Path) -> None:
    warehouse = SharedDatabase(tmp_path, 0)
    lists = Loads(warehouse, tmp_path, "lists")
    lists([{"id": "A"}, {"id": "B"}])
    files = lists.staged([{"id": "A"}, {"id": "C"}])
    loader = Loader(warehouse, lists.entry, "klaviyo")
    batch = Batch(files=files, covered=())
    if end == "full read":
        loader.create_rebuilt()
        loader.load(batch, lists.row, rebuilt=True)
    warehouse.conflicts_of_commits = 2

    if end == "full read":
        loader.swap(lists.row, (), None, after(1))
    else:
        loader.comparison(lists.row).finish_whole(batch, [("B",)], after(1))

    assert warehouse.conflicts_of_commits == 0
    assert query(warehouse, "SELECT id, _deleted_at IS NOT NULL FROM lists ORDER BY id") == [("A", False), ("B", True), ("C", False)]
    assert query(warehouse, "SELECT outcome, rows_inserted, rows_deleted, table_rows FROM _syncs") == [("succeeded", 1, 1, 3)]


def test_a_note_of_records_that_klaviyo_did_not_return_is_retried(tmp_path: Path) -> None:
    warehouse = SharedDatabase(tmp_path, 0)
    events = Loads(warehouse, tmp_path, "events")
    access = IncompleteAccess(Loader(warehouse, events.entry, "klaviyo"))
    access.note_unanswered(["an earlier one"], events.row)
    warehouse.conflicts_of_commits = 1

    access.note_unanswered(["E1", "E2"], events.row)

    assert warehouse.conflicts_of_commits == 0
    assert {id_hash("E1"), id_hash("E2")} <= access.rows(events.row).asked


@pytest.mark.parametrize("exclusive_writer", [False, True], ids=["always", "exclusive writer"])
def test_a_permanent_conflict_is_an_error(exclusive_writer: bool, tmp_path: Path) -> None:
    warehouse = SharedDatabase(tmp_path, conflicts=100)
    lists = Loads(warehouse, tmp_path, "lists")
    warehouse.capabilities = replace(warehouse.capabilities, exclusive_writer=exclusive_writer)

    with pytest.raises(duckdb.TransactionException, match=r"[Cc]onflict"):
        lists([{"id": "A"}])

    assert warehouse.loads == (1 if exclusive_writer else 20)
    assert query(warehouse, "SELECT count(*) FROM lists") == [(0,)]

"""Transactions that conflict with another writer are retried, in a warehouse with several concurrent writers."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
from duckdb import DuckDBPyConnection

from klaviyo_assets.warehouse.interface import Capabilities, Warehouse
from klaviyo_assets_tests.accounts import query
from klaviyo_assets_tests.load.loads import Loads

pytestmark = pytest.mark.duckdb


class SharedDatabase(Warehouse):
    """An in-memory database with several concurrent writers; another writer changes the sync's log entry during the first loads.

    Args:
        folder: State folder.
        conflicts: Number of loads with a conflict.
    """

    def __init__(self, folder: Path, conflicts: int) -> None:
        self.capabilities = Capabilities()
        self.database = "memory"
        self.conflicts, self.loads = conflicts, 0
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


@pytest.mark.parametrize("exclusive_writer", [False, True], ids=["always", "exclusive writer"])
def test_a_permanent_conflict_is_an_error(exclusive_writer: bool, tmp_path: Path) -> None:
    warehouse = SharedDatabase(tmp_path, conflicts=100)
    lists = Loads(warehouse, tmp_path, "lists")
    warehouse.capabilities = replace(warehouse.capabilities, exclusive_writer=exclusive_writer)

    with pytest.raises(duckdb.TransactionException, match=r"[Cc]onflict"):
        lists([{"id": "A"}])

    assert warehouse.loads == (1 if exclusive_writer else 20)
    assert query(warehouse, "SELECT count(*) FROM lists") == [(0,)]

"""A copy of the database is complete, or an error says why there is none; the database stays as it is."""

import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import duckdb
import pytest

from klaviyo_assets.warehouse import LocalFile, WarehouseError
from klaviyo_assets.warehouse.interface import Warehouse
from klaviyo_assets_tests.warehouse.attached import AttachedDatabase

pytestmark = pytest.mark.duckdb


@pytest.fixture
def stored(warehouse: LocalFile) -> LocalFile:
    with warehouse.connection() as connection:
        connection.execute("CREATE TABLE t AS SELECT range AS number FROM range(1000)")
        connection.execute("CREATE VIEW even AS SELECT number FROM t WHERE number % 2 = 0")
    return warehouse


def refusal(warehouse: Warehouse, target: Path) -> WarehouseError:
    with pytest.raises(WarehouseError) as caught:
        warehouse.copy_to(target)
    return caught.value


def test_a_copy_has_what_was_committed(stored: LocalFile, tmp_path: Path) -> None:
    stored.copy_to(tmp_path / "copy.duckdb")

    with duckdb.connect(str(tmp_path / "copy.duckdb"), read_only=True) as copy:
        assert copy.execute("SELECT (SELECT count(*) FROM t), (SELECT count(*) FROM even)").fetchall() == [(1000, 500)]


@pytest.mark.parametrize(
    ("name", "what", "advice"),
    [
        ("missing/copy.duckdb", "No such file or directory", "Check free disk space and permissions there, then run again."),
        ("folder", "something that is not a regular file has its name", "Move it away, then run again."),
        ("file/copy.duckdb", "a file is where a folder is needed", "Move that file away, then run again."),
    ],
    ids=["a missing folder", "a folder", "a file in place of the folder"],
)
def test_a_place_where_no_copy_can_be_written(name: str, what: str, advice: str, stored: LocalFile, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("mine")
    before = stored.path.read_bytes()

    error = refusal(stored, tmp_path / name)

    assert error.summary.startswith(f"{stored.path} could not be copied to {tmp_path / name}: {what}")
    assert error.advice == advice
    assert stored.path.read_bytes() == before
    assert (tmp_path / "file").read_text() == "mine"


def test_a_copy_for_which_there_is_no_room_is_not_begun(stored: LocalFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: namedtuple("usage", "free")(1000))

    assert "and 0 MB are free" in refusal(stored, tmp_path / "copy.duckdb").summary
    assert not (tmp_path / "copy.duckdb").exists()


def test_a_copy_that_a_disk_has_written_wrongly_is_noticed(stored: LocalFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with duckdb.connect(str(tmp_path / "earlier.duckdb")) as connection:
        connection.execute("CREATE TABLE t AS SELECT range AS number FROM range(999)")

    def copy_of_something_else(_: Any, target: Any, __: int) -> None:
        target.write((tmp_path / "earlier.duckdb").read_bytes())

    monkeypatch.setattr(shutil, "copyfileobj", copy_of_something_else)

    assert refusal(stored, tmp_path / "copy.duckdb").summary.endswith("does not have the same contents.")


def test_a_warehouse_that_is_no_file_refuses_to_be_copied(tmp_path: Path) -> None:
    error = refusal(AttachedDatabase(tmp_path), tmp_path / "copy.duckdb")

    assert str(error) == ("This kind of warehouse cannot be copied to a DuckDB file. What to do: Write copy.duckdb with the warehouse's own tools.")

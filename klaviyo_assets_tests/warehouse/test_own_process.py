"""A process that has the database open, such as a notebook, keeps its lock whatever the library does in it."""

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from klaviyo_assets.warehouse import LocalFile, WarehouseError, own_process
from klaviyo_assets.warehouse.tuning import CONNECTION_CONFIG
from klaviyo_assets_tests.accounts import local_file

pytestmark = pytest.mark.duckdb

_CLAIM = "import duckdb, sys; duckdb.connect(sys.argv[1]).execute('CREATE TABLE other AS SELECT 1')"


def is_locked_for_others(path: Path) -> bool:
    """Return whether another process cannot write to the file."""
    other = subprocess.run([sys.executable, "-c", _CLAIM, str(path)], check=False, capture_output=True, text=True)
    return other.returncode != 0 and "Conflicting lock" in other.stderr


def as_dagster_does(path: Path) -> duckdb.DuckDBPyConnection:
    return duckdb.connect(str(path), config={"custom_user_agent": "dagster", **CONNECTION_CONFIG})


def attached(path: Path, options: str = "") -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute(f"ATTACH '{path}' AS shop {options}")
    return connection


def attached_to_read(path: Path) -> duckdb.DuckDBPyConnection:
    return attached(path, "(READ_ONLY)")


def plain(path: Path) -> duckdb.DuckDBPyConnection:
    return duckdb.connect(str(path))


def to_read(path: Path) -> duckdb.DuckDBPyConnection:
    return duckdb.connect(str(path), read_only=True)


def by_a_link(path: Path) -> duckdb.DuckDBPyConnection:
    link = path.with_name("link.duckdb")
    link.symlink_to(path)
    return duckdb.connect(str(link))


OTHER_SETTINGS = [plain, to_read, by_a_link, attached, attached_to_read]


@pytest.fixture
def warehouse(tmp_path: Path) -> LocalFile:
    warehouse = local_file(tmp_path)
    with warehouse.connection() as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS i")
    warehouse.request_compaction()
    return warehouse


def use(warehouse: LocalFile) -> None:
    with warehouse.connection() as connection:
        connection.execute("INSERT INTO t VALUES (2)")


@pytest.mark.long
@pytest.mark.parametrize("work", [use, LocalFile.compact_if_requested], ids=["use", "compact"])
@pytest.mark.parametrize("opened", OTHER_SETTINGS)
def test_a_notebook_with_other_settings_is_named_and_keeps_its_lock(
    opened: Callable[[Path], duckdb.DuckDBPyConnection], work: Callable[[LocalFile], None], warehouse: LocalFile
) -> None:
    with opened(warehouse.path):
        with pytest.raises(WarehouseError, match=r"is already open in this process.*What to do: Close that connection"):
            work(warehouse)
        assert is_locked_for_others(warehouse.path)

    work(warehouse)  # after it was closed


@pytest.mark.long
def test_a_notebook_with_the_same_settings_shares_the_file_and_keeps_its_lock(warehouse: LocalFile) -> None:
    with as_dagster_does(warehouse.path) as notebook:
        use(warehouse)

        assert notebook.execute("SELECT count(*) FROM t").fetchall() == [(2,)]
        assert is_locked_for_others(warehouse.path)
        with pytest.raises(WarehouseError, match="already open in this process"):
            warehouse.compact_if_requested()
        assert is_locked_for_others(warehouse.path)


@pytest.mark.long
def test_reading_a_file_that_another_thread_opens_meanwhile_keeps_its_lock(warehouse: LocalFile, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[duckdb.DuckDBPyConnection] = []
    read = own_process.os.read

    def slow_read(descriptor: int, size: int) -> bytes:
        thread = threading.Thread(target=lambda: opened.append(plain(warehouse.path)))
        thread.start()
        thread.join()
        return read(descriptor, size)

    monkeypatch.setattr(own_process.os, "read", slow_read)
    assert own_process.head(warehouse.path, 12) is not None

    with opened[0]:
        assert is_locked_for_others(warehouse.path)


def test_the_head_of_a_file_is_read_unless_this_process_has_it_open(warehouse: LocalFile) -> None:
    assert own_process.descriptors(warehouse.path) == []
    head = own_process.head(warehouse.path, 12)
    assert head is not None
    assert head[8:] == b"DUCK"
    with plain(warehouse.path):
        assert len(own_process.descriptors(warehouse.path)) == 1
        assert own_process.head(warehouse.path, 12) is None


def test_a_lock_that_another_process_has_acquired_meanwhile_is_reported(warehouse: LocalFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("klaviyo_assets.warehouse.own_process.lock_again", lambda _: False)
    with attached(warehouse.path), pytest.raises(WarehouseError, match="released this process's lock"), warehouse.connection():
        pass


_LOCK = """
import fcntl, sys
with open(sys.argv[1], "r+b") as file:
    fcntl.lockf(file, fcntl.LOCK_EX)
    print("locked", flush=True)
    sys.stdin.read()
"""


@pytest.mark.long
def test_a_lock_is_acquired_again_unless_another_process_has_it(warehouse: LocalFile) -> None:
    command = [sys.executable, "-c", _LOCK, str(warehouse.path)]
    with warehouse.path.open("r+b"), subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"locked\n"
        assert not own_process.lock_again(warehouse.path)

        other.communicate()
        assert own_process.lock_again(warehouse.path)
        assert is_locked_for_others(warehouse.path)

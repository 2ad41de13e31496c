"""A rewritten file has the same content, without the data of deleted rows."""

import errno
import os
import shutil
import stat
import subprocess
import sys
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from dagster_duckdb import DuckDBResource

from klaviyo_assets.warehouse import LocalFile, compaction
from klaviyo_assets.warehouse.interface import WarehouseBusy, WarehouseError
from klaviyo_assets_tests.accounts import local_file
from klaviyo_assets_tests.warehouse.test_local_file import held

pytestmark = pytest.mark.duckdb

SECRET = "ann@example.com"

SETUP = f"""
CREATE SCHEMA shop; CREATE TABLE shop.people (id INTEGER, email VARCHAR USING COMPRESSION Uncompressed, j JSON USING COMPRESSION zstd);
COMMENT ON TABLE shop.people IS 'who'; COMMENT ON COLUMN shop.people.email IS 'where';
CREATE VIEW shop.mails AS SELECT email FROM shop.people; CREATE SEQUENCE numbers; CREATE MACRO twice(x) AS 2 * x;
CREATE TABLE mine (i INTEGER PRIMARY KEY); INSERT INTO mine VALUES (7);
INSERT INTO shop.people SELECT i - 1, if(i = 0, '{SECRET}', 'another person'), '{{"a": 1.0}}' FROM range(200_000) t(i);
"""


@pytest.fixture
def warehouse(tmp_path: Path) -> LocalFile:
    warehouse = local_file(tmp_path)
    with warehouse.connection() as connection:
        connection.execute(SETUP)
    with warehouse.connection() as connection:
        connection.execute("DELETE FROM shop.people WHERE id = -1")
    return warehouse


def contents(path: Path) -> list[list[tuple[object, ...]]]:
    queries = (
        "SELECT count(*), sum(id), min(email), min(j::VARCHAR) FROM shop.people",
        "SELECT count(*), min(email) FROM shop.mails",
        "SELECT twice(i), nextval('numbers') FROM mine",
        "SELECT comment FROM duckdb_tables() WHERE comment IS NOT NULL",
        "SELECT column_name, comment FROM duckdb_columns() WHERE comment IS NOT NULL",
        "SELECT tags['storage_version'] FROM duckdb_databases() WHERE database_name = current_database()",
        "SELECT DISTINCT compression FROM pragma_storage_info('shop.people') WHERE segment_type = 'VARCHAR' ORDER BY 1",
    )
    with duckdb.connect(str(path)) as connection:
        return [connection.execute(query).fetchall() for query in queries]


def test_deleted_data_is_removed_and_the_rest_is_kept(warehouse: LocalFile, tmp_path: Path) -> None:
    copy = tmp_path / "before.duckdb"
    shutil.copy(warehouse.path, copy)
    warehouse.path.chmod(0o640)
    assert SECRET.encode() in warehouse.path.read_bytes()

    warehouse.request_compaction()
    warehouse.compact_if_requested()

    assert SECRET.encode() not in warehouse.path.read_bytes()
    assert stat.S_IMODE(warehouse.path.stat().st_mode) == 0o640
    assert contents(warehouse.path) == contents(copy)
    assert {path.name for path in tmp_path.iterdir()} == {"before.duckdb", "klaviyo.duckdb", "klaviyo.duckdb.lock", "klaviyo.duckdb.sync"}
    assert not (warehouse.state_dir / "compaction-due").exists()


def test_nothing_is_rewritten_without_a_request(warehouse: LocalFile) -> None:
    before = warehouse.path.stat()

    warehouse.compact_if_requested()

    assert warehouse.path.stat() == before


def failing(number: int) -> Callable[..., None]:
    """Return a function that fails as the operating system does."""

    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


FAILURES = {
    "no room": "cannot be rewritten: that takes up to .* and 0 MB are free. What to do: Free disk space; the next sync tries again",
    "a full disk": r"could not be rewritten: the disk is full \(.*\). What to do: Make room on that disk; the next sync tries again",
    "a copy that lacks a row": r"could not be rewritten: .*mine.* was not copied completely; it was left as it was",
    "a copy that lacks a view": "could not be rewritten: not all of its views were copied; it was left as it was",
    "a copy that fails": r"could not be rewritten \(.*\); it was left as it was",
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_failed_rewrite_leaves_the_file_unchanged_and_is_repeated(failure: str, warehouse: LocalFile, monkeypatch: pytest.MonkeyPatch) -> None:
    before = warehouse.path.read_bytes()
    with monkeypatch.context() as patch:
        match failure:
            case "no room":
                usage = namedtuple("usage", "free")
                patch.setattr("klaviyo_assets.warehouse.compaction.shutil.disk_usage", lambda _: usage(1000))
            case "a full disk":
                patch.setattr("klaviyo_assets.warehouse.compaction._flush", failing(errno.ENOSPC))
            case "a copy that lacks a row" | "a copy that lacks a view":
                loss = "DELETE FROM new.main.mine" if failure.endswith("row") else "DROP VIEW new.shop.mails"
                compare = "klaviyo_assets.warehouse.compaction._compare"
                original = compaction._compare
                patch.setattr(compare, lambda connection, path: (connection.execute(loss), original(connection, path)))
            case _:
                patch.setattr("klaviyo_assets.warehouse.compaction._NEW_DATABASE", "no database")
        warehouse.request_compaction()
        with pytest.raises(WarehouseError, match=FAILURES[failure]):
            warehouse.compact_if_requested()

    assert warehouse.path.read_bytes() == before
    assert not list(warehouse.path.parent.glob("*.compacting*"))
    assert (warehouse.state_dir / "compaction-due").exists()
    warehouse.compact_if_requested()
    assert SECRET.encode() not in warehouse.path.read_bytes()


def test_a_file_with_a_log_that_duckdb_does_not_write_into_it_is_kept_until_it_does(warehouse: LocalFile) -> None:
    log = warehouse.path.with_name(f"{warehouse.path.name}.wal")
    log.write_bytes(bytes(300))  # as a crash leaves it
    before = warehouse.path.read_bytes()
    warehouse.request_compaction()

    with pytest.raises(WarehouseError, match="has a log that could not be written into it"):
        warehouse.compact_if_requested()
    assert (warehouse.path.read_bytes(), log.read_bytes()) == (before, bytes(300))

    with warehouse.connection() as connection:
        connection.execute("INSERT INTO mine VALUES (8)")
    warehouse.compact_if_requested()
    assert SECRET.encode() not in warehouse.path.read_bytes()
    with warehouse.connection() as connection:
        assert connection.execute("FROM mine ORDER BY ALL").fetchall() == [(7,), (8,)]


_WAIT_AND_WRITE = """
import duckdb, sys, time
print("ready", flush=True)
while True:
    try:
        with duckdb.connect(sys.argv[1]) as connection:
            connection.execute("INSERT INTO mine VALUES (4711)")
            break
    except duckdb.IOException:
        time.sleep(0.01)
"""


@pytest.mark.long
def test_a_program_that_waits_meanwhile_commits_into_the_new_file(warehouse: LocalFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a slow disk, the program has enough time to open the old file if it is not locked."""
    warehouse.request_compaction()
    flush, others = compaction._flush, []

    def slow_flush(path: Path) -> None:
        other = subprocess.Popen([sys.executable, "-c", _WAIT_AND_WRITE, str(warehouse.path)], stdout=subprocess.PIPE)
        others.append(other)
        assert other.stdout is not None
        assert other.stdout.readline() == b"ready\n"
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(timeout=0.5)
        flush(path)

    monkeypatch.setattr(compaction, "_flush", slow_flush)
    warehouse.compact_if_requested()
    (other,) = others
    with other:
        assert other.wait(timeout=60) == 0

    with warehouse.connection() as connection:
        assert connection.execute("SELECT count(*) FROM mine WHERE i = 4711").fetchall() == [(1,)]


_OPEN_BEFORE = """
import duckdb, os, sys
descriptor = os.open(sys.argv[1], os.O_RDWR)
print("open", flush=True)
sys.stdin.readline()
copy = sys.argv[1] + ".copy"  # of the open file, as this program sees it
with open(copy, "wb") as file:
    file.write(os.pread(descriptor, os.fstat(descriptor).st_size, 0))
try:
    duckdb.connect(copy)
except duckdb.Error as error:
    print(error)
"""


@pytest.mark.long
@pytest.mark.parametrize("linked", [False, True], ids=["no other name", "a hard link"])
def test_duckdb_refuses_the_old_file_that_a_program_had_opened(linked: bool, warehouse: LocalFile, tmp_path: Path) -> None:
    backup = tmp_path / "backup"
    if linked:
        os.link(warehouse.path, backup)
    warehouse.request_compaction()
    command = [sys.executable, "-c", _OPEN_BEFORE, str(warehouse.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        warehouse.compact_if_requested()
        output, _ = other.communicate("\n")

    if linked:  # a backup stays unchanged
        assert contents(backup) == contents(warehouse.path)
    else:
        assert "not a valid DuckDB database" in output


def attributes(path: Path) -> dict[str, bytes]:
    return {name: os.getxattr(path, name) for name in os.listxattr(path)}


@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="there are no extended attributes here")
def test_attributes_and_access_control_lists_are_kept(warehouse: LocalFile) -> None:
    # Version 2; then tag, rights and id of: owner, user 12345, group, mask, others.
    entries = ((1, 6, 0xFFFFFFFF), (2, 4, 12345), (4, 4, 0xFFFFFFFF), (16, 4, 0xFFFFFFFF), (32, 0, 0xFFFFFFFF))
    acl = (2).to_bytes(4, "little") + b"".join(t.to_bytes(2, "little") + r.to_bytes(2, "little") + i.to_bytes(4, "little") for t, r, i in entries)
    try:
        os.setxattr(warehouse.path, "user.backup", b"daily")
        os.setxattr(warehouse.path, "system.posix_acl_access", acl)
    except OSError:
        pytest.skip("this file system has no such attributes")
    before, mode = attributes(warehouse.path), warehouse.path.stat().st_mode

    warehouse.request_compaction()
    warehouse.compact_if_requested()

    assert attributes(warehouse.path) == before
    assert len(before) >= 2
    assert warehouse.path.stat().st_mode == mode


def test_a_file_is_rewritten_with_the_memory_and_threads_that_the_user_has_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[dict[str, str]] = []
    monkeypatch.setattr(compaction, "compact", lambda path, spill, settings: used.append(dict(settings)))

    def compacted(config: dict[str, str], **settings: object) -> None:
        warehouse = LocalFile(DuckDBResource(database=str(tmp_path / "file.duckdb"), connection_config=config), **settings)  # type: ignore[arg-type]
        with warehouse.connection():
            pass
        warehouse.request_compaction()
        warehouse.compact_if_requested()

    compacted({})
    compacted({}, memory_limit="2GB", threads=3)
    compacted({"max_memory": "1GB"}, memory_limit="2GB", threads=3)
    assert used == [
        {"memory_limit": "512MB", "threads": "2"},
        {"memory_limit": "2GB", "threads": "3"},
        {"memory_limit": "1GB", "threads": "3"},
    ]


@pytest.mark.parametrize("name", ["compaction-due", "last-compaction"])
def test_a_folder_in_place_of_a_file_that_a_rewrite_notes_is_named(name: str, warehouse: LocalFile) -> None:
    (warehouse.state_dir / name).mkdir()
    words = f"{name} cannot be opened: something that is not a regular file has its name .* What to do: Move it away"

    if name == "compaction-due":
        with pytest.raises(WarehouseError, match=words):
            warehouse.request_compaction()
    else:
        warehouse.request_compaction()
    with pytest.raises(WarehouseError, match=words):
        warehouse.compact_if_requested()

    (warehouse.state_dir / name).rmdir()
    warehouse.request_compaction()
    warehouse.compact_if_requested()
    assert SECRET.encode() not in warehouse.path.read_bytes()


@pytest.mark.long
def test_a_file_that_another_program_has_opened_just_before_is_left_as_it_is(warehouse: LocalFile) -> None:
    spill = str(warehouse.state_dir / "spill")
    with held(warehouse.path) as other:
        with pytest.raises(WarehouseBusy, match=rf"is open in another program .*PID {other.pid}"):
            compaction.compact(warehouse.path, spill, {})
        before = warehouse.path.read_bytes()

    assert warehouse.path.read_bytes() == before
    assert not list(warehouse.path.parent.glob("*.compacting*"))


def test_the_old_file_stays_readable_if_the_new_name_may_not_survive_a_crash(warehouse: LocalFile, monkeypatch: pytest.MonkeyPatch) -> None:
    flush = os.fsync

    def flush_files_only(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", flush_files_only)
    monkeypatch.setattr(os, "pwrite", lambda *_: pytest.fail("the header was overwritten"))
    warehouse.request_compaction()
    warehouse.compact_if_requested()

    assert SECRET.encode() not in warehouse.path.read_bytes()
    with warehouse.connection() as connection:
        assert connection.execute("SELECT count(*) FROM shop.people").fetchall() == [(199_999,)]


def with_attributes(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Let files have extended attributes that this process may read, but not set."""
    monkeypatch.setattr(os, "listxattr", lambda _: list(names))
    monkeypatch.setattr(os, "getxattr", lambda *_: b"value")
    monkeypatch.setattr(os, "setxattr", failing(errno.EPERM))


@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="there are no extended attributes here")
@pytest.mark.parametrize("name", ["security.selinux", "trusted.overlay.origin", "system.nfs4_acl"])
def test_attributes_that_the_system_sets_itself_need_not_be_kept(name: str, warehouse: LocalFile, monkeypatch: pytest.MonkeyPatch) -> None:
    with_attributes(monkeypatch, name)
    warehouse.request_compaction()
    warehouse.compact_if_requested()

    assert SECRET.encode() not in warehouse.path.read_bytes()


@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="there are no extended attributes here")
@pytest.mark.parametrize(("number", "succeeds"), [(errno.ENOTSUP, True), (errno.EIO, False)], ids=["there are none", "unreadable"])
def test_a_file_whose_attributes_cannot_be_listed(number: int, succeeds: bool, warehouse: LocalFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "listxattr", failing(number))
    warehouse.request_compaction()
    if succeeds:
        warehouse.compact_if_requested()
    else:
        with pytest.raises(WarehouseError, match="could not be rewritten: the disk reports an error"):
            warehouse.compact_if_requested()

    assert (SECRET.encode() in warehouse.path.read_bytes()) is not succeeds


@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="there are no extended attributes here")
def test_a_file_is_not_replaced_by_one_without_its_access_control_list(warehouse: LocalFile, monkeypatch: pytest.MonkeyPatch) -> None:
    before = warehouse.path.read_bytes()
    with_attributes(monkeypatch, "security.selinux", "system.posix_acl_access")
    warehouse.request_compaction()

    with pytest.raises(WarehouseError, match="could not be rewritten: the user that runs this has no permission"):
        warehouse.compact_if_requested()
    assert warehouse.path.read_bytes() == before

"""Errors of the database file are explained, and at once."""

import errno
import gzip
import os
import shutil
import sqlite3
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
from dagster_duckdb import DuckDBResource

from klaviyo_assets._internal import os_errors
from klaviyo_assets.warehouse import LocalFile, WarehouseError, diagnosis
from klaviyo_assets_tests.accounts import local_file

pytestmark = pytest.mark.duckdb


_OPEN_EACH = """
import os, sys
from dagster_duckdb import DuckDBResource
from klaviyo_assets.warehouse import LocalFile, WarehouseError
if os.geteuid() == 0 and "12345" in sys.argv:
    sys.argv.remove("12345")
    os.setgid(12345); os.setuid(12345)
for path in sys.argv[1:]:
    try:
        with LocalFile(DuckDBResource(database=path)).connection(): pass
        print("opened")
    except WarehouseError as error:
        print(error)
"""


@pytest.fixture(autouse=True)
def no_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """The resource retries for 102 seconds; an error of the file is raised before that."""

    def once(fn: Callable[..., object], kwargs: dict[str, object], **_: object) -> object:
        try:
            return fn(**kwargs)
        except duckdb.Error as error:
            raise AssertionError("the resource opened it") from error

    monkeypatch.setattr("dagster_duckdb.resource.backoff", once)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "klaviyo.duckdb"
    with duckdb.connect(str(path), config={"storage_compatibility_version": "v1.5.0"}) as connection:
        connection.execute("CREATE TABLE t AS SELECT range AS i, md5(range::VARCHAR) AS s FROM range(100_000)")
    return path


def refusal(path: Path) -> WarehouseError:
    before = path.read_bytes()
    with pytest.raises(WarehouseError) as caught, local_file(path.parent).connection() as connection:
        connection.execute("SELECT max(s), sum(i) FROM t").fetchall()  # DuckDB does not read every block when it opens a file
    assert path.read_bytes() == before
    assert "open in another program" not in str(caught.value)
    return caught.value


def changed(path: Path, at: int, new: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(new)


def cut(size: float) -> Callable[[Path], None]:
    def cut_(path: Path) -> None:
        os.truncate(path, int(path.stat().st_size * size) if size < 1 else int(path.stat().st_size - size))

    return cut_


DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "half": (cut(0.5), "incomplete: the end of the file is missing"),
    "last byte": (cut(1), "incomplete: the end of the file is missing"),
    "headers only": (lambda path: os.truncate(path, 12_288), "incomplete: the end of the file is missing"),
    "main header": (lambda path: changed(path, 20, b"\xff" * 100), "is damaged"),
    "checksum": (lambda path: changed(path, 0, b"\0" * 8), "is damaged"),
    "database headers": (lambda path: changed(path, 4096, b"\0" * 8192), "is damaged"),
    "blocks": (lambda path: changed(path, 12_288, b"\xff" * (path.stat().st_size - 12_288)), "is damaged"),
    "zeros": (lambda path: path.write_bytes(bytes(path.stat().st_size)) and None, "begins with zeros"),
}


@pytest.mark.parametrize(("damage", "words"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_file(damage: Callable[[Path], None], words: str, path: Path) -> None:
    damage(path)

    assert words in str(refusal(path))


_LEAVE_A_LOG = """
import duckdb, os, sys
connection = duckdb.connect(sys.argv[1])
connection.execute("CREATE TABLE later AS SELECT range AS i FROM range(1000)")
connection.execute("INSERT INTO later SELECT range FROM range(1000)")
os._exit(0)
"""

LOGS: dict[str, Callable[[bytes], bytes]] = {
    "a byte": lambda log: log[: len(log) // 2] + bytes([log[len(log) // 2] ^ 1]) + log[len(log) // 2 + 1 :],
    "head": lambda log: b"\xff" * 30 + log[30:],
    "something else": lambda _: b"hello world" * 100,
}


def with_log(path: Path) -> Path:
    subprocess.run([sys.executable, "-c", _LEAVE_A_LOG, str(path)], check=True)
    log = path.with_name(f"{path.name}.wal")
    assert log.stat().st_size
    return log


@pytest.mark.long
@pytest.mark.parametrize("damage", LOGS.values(), ids=LOGS)
def test_a_damaged_log(damage: Callable[[bytes], bytes], path: Path) -> None:
    log = with_log(path)
    log.write_bytes(damage(log.read_bytes()))
    before = log.read_bytes()

    assert f"The log {log} is damaged" in str(refusal(path))
    assert log.read_bytes() == before


@pytest.mark.long
def test_the_log_of_another_database(path: Path) -> None:
    other = path.with_name("other.duckdb")
    with duckdb.connect(str(other), config={"storage_compatibility_version": "v1.5.0"}) as connection:
        connection.execute("CREATE TABLE t AS SELECT 1")
    log = with_log(other)
    log.rename(path.with_name(f"{path.name}.wal"))

    assert "belongs to another database" in str(refusal(path))


@pytest.mark.long
@pytest.mark.parametrize("left", [b"", bytes(300), None], ids=["empty", "zeros", "cut short"])
def test_a_log_that_a_crash_may_leave_is_accepted(left: bytes | None, path: Path) -> None:
    log = with_log(path)
    log.write_bytes(log.read_bytes()[:-50] if left is None else left)

    with local_file(path.parent).connection() as connection:
        assert connection.execute("SELECT count(*) FROM t").fetchall() == [(100_000,)]


def sqlite_file(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (i)")
    connection.close()


def zip_file(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", "b" * 20_000)


OTHERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "SQLite": (sqlite_file, "an SQLite database"),
    "Parquet": (lambda path: duckdb.execute(f"COPY (SELECT 1) TO '{path}' (FORMAT parquet)"), "a Parquet file"),
    "HTML": (lambda path: path.write_text("\n<!DOCTYPE html><html>" + "x" * 20_000), "an HTML page"),
    "ZIP": (zip_file, "a ZIP archive"),
    "gzip": (lambda path: path.write_bytes(gzip.compress(os.urandom(20_000))), "a gzip archive"),
    "LFS": (lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"), "a Git LFS pointer"),
    "XML": (lambda path: path.write_text('<?xml version="1.0"?>' + "<Error/>" * 5000), "an XML document"),
    "JSON": (lambda path: path.write_text('{"a": 1}' * 5000), "a JSON file"),
    "text": (lambda path: path.write_text("notes " * 5000), "is not a DuckDB database."),
    "one byte": (lambda path: path.write_text("x"), "is not a DuckDB database."),
}


@pytest.mark.parametrize(("make", "words"), OTHERS.values(), ids=OTHERS)
def test_a_file_of_another_kind(make: Callable[[Path], object], words: str, tmp_path: Path) -> None:
    path = tmp_path / "klaviyo.duckdb"
    make(path)

    assert words in str(refusal(path))


def test_a_file_of_a_newer_version(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message is DuckDB 1.5's for a file of DuckDB 2."""
    text = (
        "IO Error: Trying to read a database file with version number 69, but we can only read versions between 64 and 68.\n"
        "The database file was created with a newer version of DuckDB.\n\nNewer DuckDB version might introduce backward incompatible changes"
    )
    assert "newer version of DuckDB" in str(diagnosis.diagnosed(path, duckdb.IOException(text)))


@pytest.mark.skipif(
    "DUCKDB_1" not in os.environ or duckdb.__version__.startswith("1."), reason="DUCKDB_1 (a folder with an older duckdb) is not set, or in use"
)
def test_a_real_file_of_a_newer_version(path: Path) -> None:
    path.unlink()
    duckdb.connect(str(path), config={"storage_compatibility_version": "latest"}).close()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), os.environ["DUCKDB_1"]])}
    result = subprocess.run([sys.executable, "-c", _OPEN_EACH, str(path)], env=environment, capture_output=True, text=True, check=True)

    assert "was written by a newer version of DuckDB than the installed one (1." in result.stdout


def test_an_encrypted_file(tmp_path: Path) -> None:
    path = tmp_path / "klaviyo.duckdb"
    with duckdb.connect() as connection:
        connection.execute("SET force_mbedtls_unsafe = 'true'")
        connection.execute(f"ATTACH '{path}' AS secret (ENCRYPTION_KEY 'sesame')")
        connection.execute("CREATE TABLE secret.t AS SELECT 1")

    assert "is an encrypted DuckDB database" in str(refusal(path))


@pytest.mark.long
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become another user")
def test_files_that_this_user_may_not_read(for_everybody: Path) -> None:
    paths = [for_everybody / name / "klaviyo.duckdb" for name in ("file", "log", "lock", "state", "nothing")]
    for path in paths:
        path.parent.mkdir()
        os.chown(path.parent, 12345, 12345)
        with local_file(path.parent).connection() as connection:
            connection.execute("CREATE TABLE t AS SELECT 1")
    secret = [paths[0], with_log(paths[1]), paths[2].with_name("klaviyo.duckdb.lock"), paths[3].with_name("klaviyo.duckdb.sync")]
    for path in secret:
        os.chown(path, 0, 0)
        path.chmod(0o700 if path.is_dir() else 0o600)

    found = subprocess.run(
        [sys.executable, "-c", _OPEN_EACH, "12345", *map(str, paths)], capture_output=True, text=True, check=True
    ).stdout.splitlines()

    assert found.pop() == "opened"
    for path, words in zip(secret, found, strict=True):
        assert "no permission (Permission denied)" in words
        assert str(path) in words
        assert "open in another program" not in words


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSYS, "does not support file locks"),
        (errno.EOPNOTSUPP, "does not support file locks"),
        (errno.ENOLCK, "no file lock available"),
        (errno.EIO, "the disk reports an error"),
    ],
    ids=errno.errorcode.get,
)
@pytest.mark.parametrize("exists", [False, True])
def test_a_file_system_without_locks_is_refused_at_once(number: int, words: str, exists: bool, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    warehouse = local_file(path.parent)
    if exists:
        with warehouse.connection():
            pass

    def flock(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", flock)
    with pytest.raises(WarehouseError) as caught, warehouse.connection():
        pass

    assert words in str(caught.value)
    assert "disk space" not in str(caught.value)


SYSTEM: dict[int, str] = {
    errno.EACCES: "no permission",
    errno.EROFS: "the file system is read-only",
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "quota",
    errno.EMFILE: "too many files open",
    errno.ENFILE: "too many files open",
    errno.ENOLCK: "no file lock available",
    errno.EIO: "the disk reports an error",
    errno.ESTALE: "has lost the file",
}


@pytest.mark.parametrize(("number", "words"), SYSTEM.items(), ids=[errno.errorcode[number] for number in SYSTEM])
def test_an_error_of_the_system_keeps_its_meaning(number: int, words: str, path: Path) -> None:
    error = diagnosis.diagnosed(path, duckdb.IOException(f'IO Error: Cannot open file "{path}": {os.strerror(number)}'))

    assert words in str(error)
    meaning = os_errors.meaning(OSError(number, os.strerror(number)))
    assert meaning is not None
    assert words in meaning[0]


def test_an_error_of_a_file_that_is_gone_by_now_names_it_without_an_owner(path: Path) -> None:
    gone = path.with_name("duckdb_temp_storage-0.tmp")
    error = diagnosis.diagnosed(path, duckdb.IOException(f'IO Error: Cannot open file "{gone}": {os.strerror(errno.EIO)}'))

    assert error.summary == f"{gone} could not be opened, read or written: the disk reports an error ({os.strerror(errno.EIO)})."


SETTINGS: dict[str, dict[str, Any]] = {
    "unknown": {"nosuch": "1"},
    "number": {"threads": "many"},
    "too small": {"threads": 0},
    "size": {"memory_limit": "lots"},
    "choice": {"default_order": "sideways"},
}


@pytest.mark.parametrize("exists", [False, True])
@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_a_wrong_setting_of_the_resource_is_not_taken_for_a_wrong_file(settings: dict[str, Any], exists: bool, path: Path) -> None:
    if not exists:
        path.unlink()
    warehouse = LocalFile(DuckDBResource(database=str(path), connection_config=settings), memory_limit="1GB")

    with pytest.raises(WarehouseError, match=r"cannot be opened with the settings of the DuckDB resource \(.+\)") as caught, warehouse.connection():
        pass

    assert caught.value.advice == "Correct connection_config of the DuckDBResource."
    assert path.exists() is exists
    assert not path.with_name(f"{path.name}.new").exists()


@pytest.mark.long
def test_a_process_with_too_many_open_files(tmp_path: Path) -> None:
    work = textwrap.dedent("""
        import os, resource, sys
        from pathlib import Path
        from dagster_duckdb import DuckDBResource
        from klaviyo_assets.warehouse import LocalFile
        warehouse = LocalFile(DuckDBResource(database=str(Path(sys.argv[1]) / "klaviyo.duckdb")))
        limit = len(os.listdir("/proc/self/fd")) - 1 + int(sys.argv[2])
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
        with warehouse.connection() as connection:
            connection.execute("CREATE TABLE t AS SELECT 1")
    """)
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("the number of open files is not known here")
    last = ""
    for free in (0, 1):
        result = subprocess.run([sys.executable, "-c", work, str(tmp_path), str(free)], capture_output=True, text=True, check=False)
        last = result.stderr.strip().splitlines()[-1] if result.stderr.strip() else ""
        assert "too many files open" in last, result.stderr
    assert "ulimit" in last


def test_an_error_for_a_file_open_elsewhere_is_recognized(path: Path) -> None:
    text = 'IO Error: Could not set lock on file "x": Conflicting lock is held in /usr/bin/duckdb (PID 12). See also https://duckdb.org'

    assert diagnosis.elsewhere(duckdb.IOException(text)) == "/usr/bin/duckdb (PID 12)"
    for block in ("Corrupt database file: computed checksum 1 does not match stored checksum 2 in block at location 0", "locked out", "clock"):
        assert diagnosis.elsewhere(duckdb.IOException(block)) is None


def test_an_intact_copy_causes_no_error(path: Path) -> None:
    shutil.copy(path, path.with_name("copy"))
    with LocalFile(DuckDBResource(database=str(path.with_name("copy")))).connection() as connection:
        assert connection.execute("SELECT count(*) FROM t").fetchall() == [(100_000,)]

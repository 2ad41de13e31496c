"""A path that does not name a regular file is refused in one sentence, and the file there stays unchanged."""

import errno
import os
import socket
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from dagster_duckdb import DuckDBResource

from klaviyo_assets.warehouse import LocalFile, WarehouseError
from klaviyo_assets.warehouse.state_dir import state_folder

pytestmark = pytest.mark.duckdb


def refusal(database: str) -> str:
    with pytest.raises(WarehouseError) as caught:
        LocalFile(DuckDBResource(database=database))
    text = str(caught.value)
    assert "KLAVIYO_DUCKDB_PATH" in text
    assert "\n" not in text
    assert "\0" not in text
    return caught.value.summary


def test_windows_is_refused_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")

    with pytest.raises(WarehouseError, match="does not sync on Windows") as caught:
        LocalFile(DuckDBResource(database="data/x.duckdb"))
    assert "WSL 2" in str(caught.value)


@pytest.mark.parametrize(
    ("database", "words"),
    [
        ("", "empty"),
        ("  \t", "empty"),
        ("\n", "empty"),
        (" data/x.duckdb", "begins or ends with a space"),
        ("data/x.duckdb\n", "begins or ends with a space or line break"),
        ("data/x\n.duckdb", "control character"),
        ("data/x\0.duckdb", "control character"),
        ("data/\x1b[2Jx.duckdb", "control character"),
        ('"data/x.duckdb"', "quotation marks"),
        ("'data/x.duckdb'", "quotation marks"),
        ("`data/x.duckdb`", "quotation marks"),
        ("“data/x.duckdb”", "quotation marks"),
        ("„data/x.duckdb“", "quotation marks"),
        ("‘data/x.duckdb’", "quotation marks"),
        ("«data/x.duckdb»", "quotation marks"),
        ('"data/x.duckdb', "quotation marks"),
        ("data/x.duckdb'", "quotation marks"),
        (":memory:", "in memory only"),
        (":memory:shop", "in memory only"),
        (":MEMORY:", "in memory only"),
        ("s3://bucket/x.duckdb", "s3://"),
        ("gs://bucket/x.duckdb", "gs://"),
        ("abfss://container@account/x.duckdb", "abfss://"),
        ("http://host/x.duckdb", "http://"),
        ("https://host/x.duckdb", "https://"),
        ("file:///data/x.duckdb", "file://"),
        ("duckdb:///data/x.duckdb", "duckdb://"),
        ("DuckDB:data/x.duckdb", "DuckDB:"),
        ("sqlite:///x.db", "sqlite://"),
        ("postgres:host=db", "postgres:"),
        ("postgresql+psycopg2://host/db", "postgresql+psycopg2://"),
        ("md:", "md:"),
        ("md:shop", "md:"),
        ("motherduck:shop", "motherduck:"),
        ("ducklake:metadata.ducklake", "ducklake:"),
        ("jdbc:duckdb:/data/x.duckdb", "jdbc:"),
        (r"C:\data\x.duckdb", "Windows"),
        ("C:/data/x.duckdb", "Windows"),
        ("$HOME/x.duckdb", "variable"),
        ("${DATA}/x.duckdb", "variable"),
        ("%USERPROFILE%/x.duckdb", "variable"),
        ("{{ env.DATA }}/x.duckdb", "variable"),
        ("~nobody-of-that-name/x.duckdb", "home folder of another user"),
        ("~root/x.duckdb", "home folder of another user"),
        ("new/folder/", "folder"),
        ("new/.", "folder"),
        ("new/..", "folder"),
        ("data/\udcff.duckdb", "not UTF-8"),
        ("/dev/null", "operating system"),
        ("/dev/zero", "operating system"),
        ("/dev/stdout", "operating system"),
        ("/dev/fd/1", "operating system"),
        ("/proc/version", "operating system"),
        ("/proc/self/fd/0", "operating system"),
        ("/proc/self/cwd/x.duckdb", "operating system"),
        ("/dev/new.duckdb", "operating system"),
        ("/tmp/../dev/null", "operating system"),
        ("/sys/x.duckdb", "operating system"),
        ("x" * 5000, "too long"),
        ("x/" * 3000 + "y.duckdb", "too long"),
    ],
)
def test_a_text_that_is_not_the_path_of_a_file(database: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert words in refusal(database)
    assert list(tmp_path.iterdir()) == []


def test_a_password_in_an_address_is_not_repeated() -> None:
    with pytest.raises(WarehouseError) as caught:
        LocalFile(DuckDBResource(database="postgres://me:sesame@host/shop"))

    assert "sesame" not in str(caught.value)


@pytest.mark.parametrize("home", [None, ""])
def test_an_unknown_home_folder(home: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME") if home is None else monkeypatch.setenv("HOME", home)

    assert "HOME is not set" in refusal("~/x.duckdb")


@pytest.mark.parametrize("bytes_", [241, 250, 255, 256, 300])
@pytest.mark.parametrize("character", ["x", "ä"])
def test_a_name_that_is_too_long_for_the_files_next_to_it(bytes_: int, character: str, tmp_path: Path) -> None:
    name = (character * bytes_).encode()[: bytes_ // 2 * 2].decode() + "x" * (bytes_ % 2)
    assert len(name.encode()) == bytes_

    assert "too long" in refusal(str(tmp_path / name))


def test_the_longest_name_works(tmp_path: Path) -> None:
    warehouse = LocalFile(DuckDBResource(database=str(tmp_path / ("x" * 240))))

    with warehouse.connection() as connection:
        connection.execute("CREATE TABLE t AS SELECT 1")
    warehouse.request_compaction()
    warehouse.compact_if_requested()


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


def make_device(path: Path) -> None:
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("only root may create devices")


MAKERS = [make_fifo, make_socket, make_device, Path.mkdir]
KINDS = ["FIFO", "socket", "device", "folder"]


@pytest.mark.parametrize("link", [False, True], ids=["itself", "link"])
@pytest.mark.parametrize(("make", "kind"), list(zip(MAKERS, KINDS, strict=True)), ids=KINDS)
def test_a_file_that_is_not_regular_is_not_touched(make: Callable[[Path], None], kind: str, link: bool, tmp_path: Path) -> None:
    path = tmp_path / "x.duckdb"
    make(path)
    before = path.lstat()
    named = tmp_path / "link.duckdb" if link else path
    if link:
        named.symlink_to(path)

    assert kind in refusal(str(named))
    assert os.path.samestat(path.lstat(), before)
    assert stat.S_IFMT(path.lstat().st_mode) == stat.S_IFMT(before.st_mode)


@pytest.mark.parametrize("make", MAKERS[:3], ids=KINDS[:3])
def test_a_file_that_is_replaced_after_the_check_is_not_touched_either(make: Callable[[Path], None], tmp_path: Path) -> None:
    warehouse = LocalFile(DuckDBResource(database=str(tmp_path / "x.duckdb")))
    make(warehouse.path)
    before = warehouse.path.lstat()

    with pytest.raises(WarehouseError, match="not a regular file"), warehouse.connection():
        pass
    assert os.path.samestat(warehouse.path.lstat(), before)


def make_link(path: Path) -> None:
    (path.parent / "bait").write_text("mine")
    path.symlink_to(path.parent / "bait")


@pytest.mark.parametrize("suffix", [".wal", ".lock", ".new", ".compacting", ".compacting.wal", ".sync"])
@pytest.mark.parametrize("make", [*MAKERS[:3], make_link], ids=[*KINDS[:3], "link"])
def test_files_next_to_the_database_are_not_touched_either(make: Callable[[Path], None], suffix: str, tmp_path: Path) -> None:
    warehouse = LocalFile(DuckDBResource(database=str(tmp_path / "x.duckdb")))
    with warehouse.connection() as connection:
        connection.execute("CREATE TABLE t AS SELECT 1")
    warehouse.request_compaction()
    path = tmp_path / f"x.duckdb{suffix}"
    if path.is_dir():
        path.rename(tmp_path / "away")
    path.unlink(missing_ok=True)
    make(path)
    before = path.lstat()

    with pytest.raises(WarehouseError), warehouse.connection():
        warehouse.request_compaction()
    if suffix != ".sync":
        with pytest.raises(WarehouseError):
            warehouse.compact_if_requested()

    assert os.path.samestat(path.lstat(), before)
    assert not (tmp_path / "bait").exists() or (tmp_path / "bait").read_text() == "mine"


def test_links_that_form_a_cycle(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")

    assert "leads back to itself" in refusal(str(tmp_path / "a"))
    assert "leads back to itself" in refusal(str(tmp_path / "a" / "x.duckdb"))


def test_a_file_in_place_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("mine")

    assert f"{tmp_path / 'notes'} is a file, not a folder" in refusal(str(tmp_path / "notes" / "sub" / "x.duckdb"))


def test_a_link_into_a_folder_that_is_missing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.duckdb").symlink_to(tmp_path / "not mounted" / "x.duckdb")

    assert "that folder does not exist" in refusal(str(tmp_path / "x.duckdb"))
    assert not (tmp_path / "not mounted").exists()


def test_a_link_to_a_new_file_is_followed(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "x.duckdb").symlink_to(tmp_path / "disk" / "real.duckdb")

    with LocalFile(DuckDBResource(database=str(tmp_path / "x.duckdb"))).connection() as connection:
        connection.execute("CREATE TABLE t AS SELECT 1")

    assert (tmp_path / "x.duckdb").is_symlink()
    assert (tmp_path / "disk" / "real.duckdb.sync").is_dir()


def test_standard_output_that_is_a_file_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as file:
        (tmp_path / "x.duckdb").symlink_to(f"/proc/self/fd/{file.fileno()}")

        assert "operating system" in refusal(str(tmp_path / "x.duckdb"))


@pytest.mark.parametrize("database", ["~nobody-of-that-name/x", "x\0", "s3://bucket/x"])
def test_the_state_folder_of_such_a_path_is_refused_too(database: str) -> None:
    with pytest.raises(WarehouseError, match="KLAVIYO_DUCKDB_PATH"):
        state_folder(Path(database))


def test_a_path_in_the_home_folder_is_where_duckdb_opens_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    warehouse = LocalFile(DuckDBResource(database="~/shop.duckdb"))

    with warehouse.connection() as connection:
        connection.execute("CREATE TABLE t AS SELECT 1")

    assert warehouse.path == tmp_path / "shop.duckdb"
    assert {path.name for path in tmp_path.iterdir()} == {"shop.duckdb", "shop.duckdb.lock", "shop.duckdb.sync"}
    assert "is a folder" in refusal("~")


def test_a_path_that_is_too_long_only_for_the_files_next_to_it(tmp_path: Path) -> None:
    longest = 4095
    folder = tmp_path
    while len(str(folder)) < longest - 400:
        folder /= "x" * 200
    folder /= "x" * (longest - len(str(folder)) - len("/shop.duckdb") - 5)
    warehouse = LocalFile(DuckDBResource(database=str(folder / "shop.duckdb")))

    with pytest.raises(WarehouseError, match=r"The path .*…x+/shop.duckdb.\w+ is too long for this file system") as caught, warehouse.connection():
        pass
    assert "Set KLAVIYO_DUCKDB_PATH to a shorter path" in str(caught.value)
    assert not warehouse.path.exists()


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EACCES, "may not look into one of its folders (Permission denied).\nGive the user that runs the sync access to it"),
        (errno.ESTALE, "cannot be reached (Stale file handle).\nCheck KLAVIYO_DUCKDB_PATH"),
    ],
    ids=errno.errorcode.get,
)
def test_a_path_that_the_system_cannot_look_up(number: int, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, look_up = tmp_path / "shop.duckdb", Path.stat

    def fail(self: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        if self == path:
            raise OSError(number, os.strerror(number))
        return look_up(self, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(Path, "stat", fail)
    with pytest.raises(WarehouseError) as caught:
        LocalFile(DuckDBResource(database=str(path)))

    assert words in f"{caught.value.summary}\n{caught.value.advice}"
    assert str(path) in caught.value.summary

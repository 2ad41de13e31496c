"""A missing database is created completely or not at all, and never in place of one that is there."""

import errno
import os
from pathlib import Path

import duckdb
import pytest

from klaviyo_assets.warehouse import WarehouseError
from klaviyo_assets_tests.accounts import local_file

pytestmark = pytest.mark.duckdb


def log_of_a_crash(path: Path) -> bytes:
    """Leave the log of a database without the database."""
    with duckdb.connect(str(path)) as connection:
        connection.execute("SET wal_autocheckpoint = '1GB'")
        connection.execute("CREATE TABLE t AS SELECT 1")
        log = path.with_name(f"{path.name}.wal").read_bytes()
    path.unlink()
    path.with_name(f"{path.name}.wal").write_bytes(log)
    return log


def test_a_database_is_not_created_next_to_the_log_of_a_lost_one(tmp_path: Path) -> None:
    path = tmp_path / "klaviyo.duckdb"
    log = log_of_a_crash(path)
    assert log

    with pytest.raises(WarehouseError, match=r"klaviyo.duckdb is incomplete or missing, but its log .*\.wal is there") as caught:
        local_file(tmp_path).connection().__enter__()

    assert caught.value.advice == "Restore both from a backup, or move both away."
    assert path.with_name(f"{path.name}.wal").read_bytes() == log
    assert not path.exists()


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP], ids=errno.errorcode.get)
def test_a_file_system_without_hard_links_gets_a_database_too(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", fail)
    with local_file(tmp_path).connection() as connection:
        connection.execute("CREATE TABLE t AS SELECT 1")

    assert {path.name for path in tmp_path.iterdir()} == {"klaviyo.duckdb", "klaviyo.duckdb.lock", "klaviyo.duckdb.sync"}


def test_a_database_that_another_program_creates_meanwhile_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = os.link

    def link_too_late(source: Path, target: Path) -> None:
        with duckdb.connect(str(target)) as connection:
            connection.execute("CREATE TABLE theirs AS SELECT 7 AS number")
        link(source, target)

    monkeypatch.setattr(os, "link", link_too_late)
    with local_file(tmp_path).connection() as connection:
        assert connection.execute("FROM theirs").fetchall() == [(7,)]

    assert not list(tmp_path.glob("*.new"))


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "the disk is full (No space left on device).\nMake room on that disk, or set KLAVIYO_DUCKDB_PATH to another place"),
        (errno.EFBIG, "File too large.\nCheck free disk space and write permission there, or set KLAVIYO_DUCKDB_PATH to another place"),
    ],
    ids=errno.errorcode.get,
)
def test_a_database_that_cannot_be_created_leaves_nothing(number: int, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise duckdb.IOException(f"IO Error: Could not write file: {os.strerror(number)}")

    warehouse = local_file(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("klaviyo_assets.warehouse.new_file.duckdb.connect", fail)
        with pytest.raises(WarehouseError) as caught:
            warehouse.connection().__enter__()

    assert f"The database {warehouse.path} cannot be created: " in caught.value.summary
    assert words in f"{caught.value.summary}\n{caught.value.advice}"
    assert [path.name for path in tmp_path.iterdir()] == ["klaviyo.duckdb.lock"]
    with warehouse.connection() as connection:
        assert connection.execute("SELECT 1").fetchall() == [(1,)]

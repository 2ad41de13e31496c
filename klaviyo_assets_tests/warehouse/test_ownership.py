"""If root works on a service user's database, all files still belong to that user."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from klaviyo_assets.cli.erase_command import erase
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.warehouse import LocalFile, WarehouseError
from klaviyo_assets_tests.accounts import local_file, sync

pytestmark = [pytest.mark.duckdb, pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become another user")]

SERVICE, GROUP = 12345, 12346

_USE = """
import os, sys
from dagster_duckdb import DuckDBResource
from klaviyo_assets.warehouse import LocalFile, WarehouseError
os.setgroups([]); os.setgid(12346); os.setuid(int(sys.argv[2]))
warehouse = LocalFile(DuckDBResource(database=sys.argv[1]))
try:
    with warehouse.connection() as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS of_the_service AS SELECT 1")
    warehouse.request_compaction()
    warehouse.compact_if_requested()
except WarehouseError as error:
    print(error)
"""


def used_by(uid: int, path: Path) -> str:
    """Use and rewrite the database as another user, and return the error."""
    return subprocess.run([sys.executable, "-c", _USE, str(path), str(uid)], capture_output=True, text=True, check=True).stdout


def owners(folder: Path) -> dict[str, tuple[int, int]]:
    """Return the files that do not belong to the service."""
    found = {str(path.relative_to(folder)): (path.lstat().st_uid, path.lstat().st_gid) for path in folder.rglob("*")}
    return {name: ids for name, ids in found.items() if ids != (SERVICE, GROUP)}


@pytest.fixture
def folder(for_everybody: Path) -> Path:
    os.chown(for_everybody, SERVICE, GROUP)
    return for_everybody


@pytest.mark.long
def test_a_database_that_root_creates_in_the_folder_of_a_service(folder: Path) -> None:
    warehouse = local_file(folder / "new" / "data")
    with warehouse.connection() as connection:
        connection.execute("CREATE TABLE t AS SELECT 1")
    warehouse.request_compaction()
    warehouse.compact_if_requested()

    assert owners(folder) == {}
    assert used_by(SERVICE, warehouse.path) == ""


@pytest.mark.long
def test_a_database_of_a_service_in_a_folder_of_root(for_everybody: Path) -> None:
    for_everybody.chmod(0o777)
    warehouse = local_file(for_everybody)
    with warehouse.connection() as connection:
        connection.execute("CREATE TABLE t AS SELECT 1")
    for path in for_everybody.iterdir():
        path.unlink() if path.suffix == ".lock" else os.chown(path, SERVICE, GROUP)

    with LocalFile(warehouse._resource).connection():
        pass

    assert owners(for_everybody) == {}
    assert used_by(SERVICE, warehouse.path) == ""


@pytest.mark.long
def test_root_erases_and_syncs_in_the_file_of_a_service(
    folder: Path, new_account: Callable[..., SandboxProcess], capsys: pytest.CaptureFixture[str]
) -> None:
    sandbox, warehouse = new_account(), local_file(folder)
    sync("profiles", sandbox, warehouse)
    sync("lists", sandbox, warehouse)
    warehouse.path.chmod(0o640)
    for path in (folder, *folder.rglob("*")):
        path.unlink() if path.suffix == ".lock" else os.chown(path, SERVICE, GROUP)

    assert erase("unknown@example.com", "01HAAAAAAAAAAAAAAAAAAAAAAA", database=str(warehouse.path)) == 0, capsys.readouterr().err
    sync("lists", sandbox, warehouse)

    assert owners(folder) == {}
    assert warehouse.path.stat().st_mode & 0o777 == 0o640
    assert used_by(SERVICE, warehouse.path) == ""


@pytest.mark.long
def test_a_rewrite_that_would_change_the_owner_is_refused(for_everybody: Path) -> None:
    for_everybody.chmod(0o777)
    path = for_everybody / "klaviyo.duckdb"
    with local_file(for_everybody).connection() as connection:
        connection.execute("CREATE TABLE t AS SELECT 1")
    path.with_name("klaviyo.duckdb.lock").unlink()
    path.chmod(0o666)
    path.with_name("klaviyo.duckdb.sync").chmod(0o777)

    assert "belongs to another user (uid 0, this process runs as 12345)" in used_by(SERVICE, path)
    assert path.stat().st_uid == 0


def test_files_in_roots_own_folder_stay_roots(tmp_path: Path) -> None:
    with local_file(tmp_path).connection() as connection:
        connection.execute("CREATE TABLE t AS SELECT 1")

    assert {path.stat().st_uid for path in tmp_path.rglob("*")} == {0}


def test_another_users_link_in_place_of_the_state_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    bait = tmp_path / "bait"
    bait.mkdir()
    link = folder / "klaviyo.duckdb.sync"
    link.symlink_to(bait)
    os.chown(link, SERVICE, GROUP, follow_symlinks=False)

    with pytest.raises(WarehouseError, match="a symbolic link that another user has created"), local_file(folder).connection():
        pass
    assert list(bait.iterdir()) == []

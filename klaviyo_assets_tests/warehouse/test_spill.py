"""DuckDB spills to a folder for the owner only, which is emptied when the database is opened next."""

import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import duckdb
import pytest
from dagster_duckdb import DuckDBResource

from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets.warehouse.spill import use_spill_folder
from klaviyo_assets.warehouse.tuning import CONNECTION_CONFIG
from klaviyo_assets_tests.accounts import local_file

pytestmark = pytest.mark.duckdb

SECRET = b"ann.secret@example.com"

_SPILL = f"""
connection.execute("SET memory_limit = '60MB'; SET threads = 1; SET enable_progress_bar = false")
connection.execute("CREATE TEMP TABLE t AS SELECT i, '{SECRET.decode()}' || repeat('x', 200) || i AS e FROM range(600_000) r(i)")
print('spilled', flush=True)
time.sleep(60)
"""

_OURS = "with local_file(Path(sys.argv[1]).parent).connection() as connection:" + textwrap.indent(_SPILL, "    ")
_OTHER = "connection = duckdb.connect(sys.argv[1])" + _SPILL


def killed(work: str, path: Path) -> None:
    """Run a process that spills, and kill it."""
    imports = "import sys, time, duckdb\nfrom pathlib import Path\nfrom klaviyo_assets_tests.accounts import local_file\n"
    with subprocess.Popen([sys.executable, "-c", imports + work, str(path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"spilled\n"
        process.kill()


def spilled(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("duckdb_temp_*") if SECRET in path.read_bytes()]


@pytest.mark.long
@pytest.mark.parametrize("work", [_OURS, _OTHER], ids=["ours", "another program"])
def test_files_that_a_killed_process_has_spilled_are_deleted_at_the_next_opening(work: str, warehouse: LocalFile, tmp_path: Path) -> None:
    killed(work, warehouse.path)
    files = spilled(tmp_path)
    assert files
    if work is _OURS:
        assert {file.parent for file in files} == {warehouse.state_dir / "spill"}
        assert {stat.S_IMODE(path.stat().st_mode) for path in (*files, files[0].parent)} == {0o600, 0o700}

    with warehouse.connection():
        pass

    assert spilled(tmp_path) == []
    assert not (tmp_path / "klaviyo.duckdb.tmp").exists()


def test_the_users_own_folder_is_used_and_not_emptied(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "duckdb_temp_of_another").touch()
    warehouse = LocalFile(
        DuckDBResource(database=str(tmp_path / "klaviyo.duckdb"), connection_config={**CONNECTION_CONFIG, "temp_directory": str(folder)})
    )

    with warehouse.connection() as connection:
        assert connection.execute("SELECT current_setting('temp_directory')").fetchall() == [(str(folder),)]
    assert (folder / "duckdb_temp_of_another").exists()


def test_a_rewrite_of_the_file_spills_there_too(warehouse: LocalFile, monkeypatch: pytest.MonkeyPatch) -> None:
    with warehouse.connection():
        pass
    used = []
    connect = duckdb.connect

    def recording_connect(database: str, **options: dict[str, str]) -> duckdb.DuckDBPyConnection:
        connection = connect(database, **options)
        if database == ":memory:":
            used.extend(connection.execute("SELECT current_setting('temp_directory')").fetchall())
        return connection

    monkeypatch.setattr("klaviyo_assets.warehouse.compaction.duckdb.connect", recording_connect)
    warehouse.request_compaction()
    warehouse.compact_if_requested()

    assert used == [(str(warehouse.state_dir / "spill"),)]


def test_two_connections_in_one_process_keep_each_others_files(tmp_path: Path) -> None:
    warehouse = local_file(tmp_path)
    with warehouse.connection() as first:
        first.execute("SET memory_limit = '60MB'; SET threads = 1; SET enable_progress_bar = false")
        first.execute("CREATE TEMP TABLE t AS SELECT i, repeat('x', 200) || i AS e FROM range(600_000) r(i)")
        again = first.cursor()
        use_spill_folder(again, warehouse.path, warehouse.state_dir, CONNECTION_CONFIG)
        assert first.execute("SELECT count(*), max(length(e)) FROM t").fetchall() == [(600_000, 206)]
        again.close()

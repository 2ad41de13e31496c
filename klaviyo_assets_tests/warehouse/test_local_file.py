"""One DuckDB file, several processes, two major versions."""

import contextlib
import errno
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from dagster_duckdb import DuckDBResource
from pydantic import PrivateAttr

from klaviyo_assets.warehouse import LocalFile, WarehouseError
from klaviyo_assets_tests.accounts import local_file

pytestmark = pytest.mark.duckdb


def test_duckdb_has_the_expected_version() -> None:
    assert duckdb.__version__.startswith(os.environ.get("EXPECTED_DUCKDB", ""))


@pytest.mark.oldest
@pytest.mark.long
def test_the_connection_is_closed_when_the_work_fails(warehouse: LocalFile) -> None:
    with contextlib.suppress(duckdb.ParserException), warehouse.connection() as connection:
        connection.execute("this is not SQL")

    with pytest.raises(duckdb.ConnectionException):
        connection.execute("SELECT 1")
    open_read_only = "import duckdb, sys; duckdb.connect(sys.argv[1], read_only=True)"
    subprocess.run([sys.executable, "-c", open_read_only, str(warehouse.path)], check=True)


@pytest.mark.oldest
@pytest.mark.long
def test_eight_processes_take_turns(warehouse: LocalFile) -> None:
    work = textwrap.dedent("""
        import sys, time
        from pathlib import Path
        from klaviyo_assets_tests.accounts import local_file
        with local_file(Path(sys.argv[1])).connection() as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS turns (process INTEGER)")
            connection.execute("INSERT INTO turns VALUES (?)", [int(sys.argv[2])])
            time.sleep(0.2)
    """)
    processes = [subprocess.Popen([sys.executable, "-c", work, str(warehouse.path.parent), str(number)]) for number in range(8)]

    assert [process.wait() for process in processes] == [0] * 8
    with warehouse.connection() as connection:
        assert connection.execute("SELECT count(DISTINCT process) FROM turns").fetchall() == [(8,)]


@contextlib.contextmanager
def held(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another program that has the file open until its input ends."""
    hold = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", hold, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        other.stdout.readline()
        try:
            yield other
        finally:
            other.stdin.close()


@pytest.mark.long
def test_the_error_for_a_file_that_another_program_keeps_open_has_its_process_id(tmp_path: Path) -> None:
    warehouse = LocalFile(DuckDBResource(database=str(tmp_path / "klaviyo.duckdb")), patience=1.5)
    with held(warehouse.path) as other:
        with pytest.raises(WarehouseError, match=r"klaviyo\.duckdb is open in another program") as caught, warehouse.connection():
            pass

        assert f"PID {other.pid}" in str(caught.value)
        assert "KLAVIYO_DUCKDB_PATIENCE" in str(caught.value)


@pytest.mark.long
def test_a_file_that_another_program_closes_is_waited_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    warehouse = local_file(tmp_path)
    with held(warehouse.path) as other:
        threading.Timer(2, lambda: other.stdin and other.stdin.close()).start()
        with warehouse.connection() as connection:
            connection.execute("CREATE TABLE t AS SELECT 1")

        (words,) = [record.getMessage() for record in caplog.records if "waiting" in record.getMessage()]
        assert f"PID {other.pid}" in words


def test_new_files_are_for_their_owner_only(tmp_path: Path) -> None:
    warehouse = local_file(tmp_path / "data")
    before = os.umask(0)
    try:
        with warehouse.connection() as connection:
            connection.execute("CREATE TABLE t AS SELECT 1")
            connection.execute("SET wal_autocheckpoint = '1GB'")
            connection.execute("INSERT INTO t VALUES (2)")
            modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "data").iterdir() if path.is_file()}
        assert warehouse.state_dir.stat().st_mode & 0o777 == 0o700
        assert os.umask(0) == 0
    finally:
        os.umask(before)

    assert modes == {"klaviyo.duckdb": 0o600, "klaviyo.duckdb.wal": 0o600, "klaviyo.duckdb.lock": 0o600}


def test_existing_files_keep_their_mode(tmp_path: Path) -> None:
    warehouse = local_file(tmp_path)
    duckdb.connect(str(warehouse.path)).close()
    warehouse.path.chmod(0o640)
    warehouse.state_dir.chmod(0o750)

    with warehouse.connection() as connection:
        connection.execute("CREATE TABLE t AS SELECT 1")

    assert warehouse.path.stat().st_mode & 0o777 == 0o640
    assert warehouse.state_dir.stat().st_mode & 0o777 == 0o750


@pytest.mark.parametrize("database", ["", ":memory:", "md:shop"], ids=["empty", "memory", "MotherDuck"])
def test_a_database_that_is_not_a_file_is_refused(database: str) -> None:
    with pytest.raises(WarehouseError, match="is not a DuckDB file"):
        LocalFile(DuckDBResource(database=database))


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WarehouseError, match="is a folder, not a DuckDB file"):
        LocalFile(DuckDBResource(database=str(tmp_path)))


def test_a_file_that_is_not_a_database_is_named_and_left_unchanged(warehouse: LocalFile) -> None:
    warehouse.path.write_text("These are my notes." * 100)

    with pytest.raises(WarehouseError, match="is not a DuckDB database"), warehouse.connection():
        pass
    assert warehouse.path.read_text().startswith("These are my notes.")


def test_a_missing_folder_is_created(tmp_path: Path) -> None:
    warehouse = local_file(tmp_path / "new" / "folder")

    with warehouse.connection() as connection:
        connection.execute("CREATE TABLE created (id INTEGER)")

    assert warehouse.path.is_relative_to(tmp_path / "new" / "folder")
    with duckdb.connect(str(warehouse.path), read_only=True) as connection:
        assert connection.execute("SHOW TABLES").fetchall() == [("created",)]


@pytest.mark.skipif("DUCKDB_1" not in os.environ, reason="DUCKDB_1 (a folder with an older duckdb) is not set")
def test_the_older_major_opens_a_file_of_the_newer(warehouse: LocalFile) -> None:
    with warehouse.connection() as connection:
        connection.execute(f"CREATE TABLE written (properties {warehouse.capabilities.json_column}, moment TIMESTAMP WITH TIME ZONE)")
        connection.execute("""INSERT INTO written VALUES ('{"a": 1}', now())""")
    read = "import duckdb, sys; print(duckdb.__version__, duckdb.connect(sys.argv[1], read_only=True).sql('FROM written').fetchone()[0])"
    environment = {**os.environ, "PYTHONPATH": os.environ["DUCKDB_1"]}
    result = subprocess.run([sys.executable, "-c", read, str(warehouse.path)], env=environment, capture_output=True, text=True, check=True)

    assert result.stdout.startswith("1.")
    assert '{"a": 1}' in result.stdout


class OwnSettings(DuckDBResource):
    """A user's own resource class, which opens the file with its own settings or as Dagster's class does."""

    settings: dict[str, str]
    _attempts: list[dict[str, str]] = PrivateAttr(default_factory=list)

    @contextlib.contextmanager
    def get_connection(self) -> Iterator[duckdb.DuckDBPyConnection]:
        self._attempts.append(self.settings)
        if not self.settings:
            with super().get_connection() as connection:
                yield connection
        else:
            with duckdb.connect(self.database, config={**self.settings}) as connection:
                yield connection


@pytest.mark.parametrize("settings", [{}, {"custom_user_agent": "shop"}], ids=["usual", "own"])
def test_a_file_is_opened_by_the_get_connection_of_a_resource_class(settings: dict[str, str], tmp_path: Path) -> None:
    resource = OwnSettings(database=str(tmp_path / "klaviyo.duckdb"), settings=settings)
    warehouse = LocalFile(resource)
    with warehouse.connection() as connection:
        connection.execute("CREATE TABLE t AS SELECT 1")
    resource._attempts.clear()

    with warehouse.connection() as connection:
        agent = connection.execute("SELECT current_setting('custom_user_agent')").fetchall()

    assert agent == [(settings.get("custom_user_agent", "dagster"),)]
    assert len(resource._attempts) == 1


def settings_of(warehouse: LocalFile) -> tuple[str, int]:
    with warehouse.connection() as connection:
        ((memory, threads),) = connection.execute("SELECT current_setting('memory_limit'), current_setting('threads')").fetchall()
    return memory, threads


def test_duckdb_gets_little_memory_unless_the_user_sets_more(tmp_path: Path) -> None:
    path = str(tmp_path / "klaviyo.duckdb")

    assert settings_of(LocalFile(DuckDBResource(database=path))) == ("488.2 MiB", 2)
    assert settings_of(LocalFile(DuckDBResource(database=path, connection_config={"memory_limit": "1GiB", "threads": 3}))) == ("1.0 GiB", 3)
    assert settings_of(LocalFile(DuckDBResource(database=path, connection_config={"max_memory": "1GiB", "worker_threads": 1}))) == ("1.0 GiB", 1)
    assert settings_of(LocalFile(DuckDBResource(database=path), memory_limit="2GiB", threads=4)) == ("2.0 GiB", 4)
    configured = DuckDBResource(database=path, connection_config={"memory_limit": "1GiB", "threads": 3})
    assert settings_of(LocalFile(configured, memory_limit="2GiB", threads=4)) == ("1.0 GiB", 3), "connection_config takes precedence"


def test_duckdb_prints_no_progress_bar_into_the_output_of_the_program(warehouse: LocalFile) -> None:
    with warehouse.connection() as connection:
        assert connection.execute("SELECT current_setting('enable_progress_bar')").fetchall() == [(False,)]


def test_a_memory_limit_that_duckdb_cannot_work_with_is_refused_before_the_file_is_opened(tmp_path: Path) -> None:
    with pytest.raises(WarehouseError, match=r"KLAVIYO_DUCKDB_MEMORY_LIMIT cannot be used .*'-1'.*Set it to a size of at least 128MB"):
        LocalFile(DuckDBResource(database=str(tmp_path / "klaviyo.duckdb")), memory_limit="-1")


@pytest.mark.parametrize(
    ("config", "given", "words"),
    [
        ({}, "128MB", r"its limit is 122.0 MiB. What to do: Set KLAVIYO_DUCKDB_MEMORY_LIMIT=256MB,"),
        ({"max_memory": "100MiB"}, None, r"Set memory_limit in the connection_config of the DuckDBResource to 256MB,"),
    ],
)
def test_the_error_when_memory_runs_out_names_the_setting_and_a_value(config: dict[str, str], given: str | None, words: str, tmp_path: Path) -> None:
    warehouse = LocalFile(DuckDBResource(database=str(tmp_path / "klaviyo.duckdb"), connection_config=config), memory_limit=given)
    with pytest.raises(WarehouseError, match=words) as caught, warehouse.connection() as connection:
        connection.execute("SELECT length(list(repeat(md5(i::VARCHAR), 20000))::VARCHAR) FROM range(1000) t(i)").fetchall()
    assert isinstance(caught.value.__cause__, duckdb.OutOfMemoryException)
    with warehouse.connection() as connection:
        assert connection.execute("SELECT 1").fetchall() == [(1,)]


@pytest.mark.parametrize(("config", "threads"), [({}, 1), ({"threads": 3}, 3), ({"worker_threads": 3}, 3)])
def test_one_thread_appends_rows_unless_the_user_sets_more(config: dict[str, int], threads: int, tmp_path: Path) -> None:
    """Each inserting thread holds a row group of wide rows."""
    warehouse = LocalFile(DuckDBResource(database=str(tmp_path / "klaviyo.duckdb"), connection_config=config))

    with warehouse.connection() as connection:
        connection.execute("BEGIN TRANSACTION")
        warehouse.before_append(connection)
        connection.execute("CREATE TABLE written AS SELECT range AS number FROM range(1000)")
        connection.execute("COMMIT")
        assert connection.execute("SELECT current_setting('threads')").fetchall() == [(threads,)]


@pytest.mark.long
def test_a_file_does_not_keep_the_space_of_replaced_rows(tmp_path: Path) -> None:
    """If most of a big table is replaced repeatedly, the file stays within a small multiple of its content."""
    warehouse = LocalFile(DuckDBResource(database=str(tmp_path / "klaviyo.duckdb")))
    fresh = 0
    sizes = []
    for turn in range(8):
        with warehouse.connection() as connection:
            if turn == 0:
                connection.execute("CREATE TABLE wide (id BIGINT, text VARCHAR)")
            connection.execute("BEGIN")
            connection.execute("DELETE FROM wide WHERE id % 2 = 0")
            ids = "range" if turn == 0 else "range * 2"
            rows = 150_000 if turn == 0 else 75_000
            connection.execute(f"INSERT INTO wide SELECT {ids}, md5(range::VARCHAR || '{turn}') || md5(range::VARCHAR) FROM range({rows})")
            warehouse.before_commit(connection)
            connection.execute("COMMIT")
        sizes.append(warehouse.path.stat().st_size)
        fresh = fresh or sizes[0]

    assert max(sizes) <= 3 * fresh
    with warehouse.connection() as connection:
        assert connection.execute("SELECT count(*), count(DISTINCT id) FROM wide").fetchall() == [(150_000, 150_000)]


@pytest.mark.parametrize(("replaced", "rewritten"), [(10, False), (80_000, True)])
def test_a_big_table_is_rewritten_only_if_many_rows_are_deleted(tmp_path: Path, replaced: int, rewritten: bool) -> None:
    """Rows that the transaction deletes or adds count too."""
    warehouse = LocalFile(DuckDBResource(database=str(tmp_path / "klaviyo.duckdb")))
    with warehouse.connection() as connection:
        connection.execute("CREATE TABLE wide AS SELECT range AS id FROM range(200_000)")
    with warehouse.connection() as connection:
        connection.execute("BEGIN")
        connection.execute("DELETE FROM wide WHERE id < ?", [replaced])
        connection.execute("INSERT INTO wide SELECT range FROM range(?)", [replaced])
        warehouse.before_commit(connection)
        ((tasks,),) = connection.execute("SELECT current_setting('max_vacuum_tasks')").fetchall()
        connection.execute("COMMIT")

    assert (tasks > 0) == rewritten


def test_settings_of_a_resource_class_that_duckdb_refuses_are_named(tmp_path: Path) -> None:
    resource = OwnSettings(database=str(tmp_path / "klaviyo.duckdb"), settings={"nosuch": "1"})

    with pytest.raises(WarehouseError, match=r"klaviyo.duckdb cannot be opened with the settings of the DuckDB resource \(.*nosuch") as caught:
        LocalFile(resource).connection().__enter__()
    assert isinstance(caught.value.__cause__, duckdb.Error)


def test_a_resource_class_that_cannot_open_the_file_says_why(tmp_path: Path) -> None:
    class Offline(DuckDBResource):
        @contextlib.contextmanager
        def get_connection(self) -> Iterator[duckdb.DuckDBPyConnection]:
            raise duckdb.ConnectionException("Connection Error: the key service does not answer")
            yield

    with pytest.raises(WarehouseError, match=r"cannot be opened as a DuckDB database \(Connection Error: the key service does not answer\)"):
        LocalFile(Offline(database=str(tmp_path / "klaviyo.duckdb"))).connection().__enter__()


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EFBIG], ids=errno.errorcode.get)
def test_an_error_of_the_system_without_an_explanation_is_shown_as_it_is(number: int, warehouse: LocalFile, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("klaviyo_assets.warehouse.local_file.file_lock", fail)
    with pytest.raises(WarehouseError) as caught, warehouse.connection():
        pass

    assert caught.value.summary == f"Files in {warehouse.path.parent} cannot be created: {os.strerror(number)}."
    assert caught.value.advice.startswith("Check write permission and free disk space there, or set KLAVIYO_DUCKDB_PATH")

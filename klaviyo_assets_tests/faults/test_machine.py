"""Syncs that are killed, interrupted, out of disk space or without permission: the table is never wrong and the next sync completes it."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest
from dagster_duckdb import DuckDBResource
from filelock import FileLock

from klaviyo_assets._version import __version__
from klaviyo_assets.errors import NewerLayout
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.state.schema_version import LAYOUT
from klaviyo_assets.state.sync_log import SYNCS_KEPT_FOR
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets.warehouse.interface import WarehouseError
from klaviyo_assets_tests.accounts import in_small_pages, local_file, query, small, sync
from klaviyo_assets_tests.faults.killed import STAGES, Stage
from klaviyo_assets_tests.faults.machine import kill
from klaviyo_assets_tests.faults.verdict import judge

pytestmark = pytest.mark.long

NewAccount = Callable[..., SandboxProcess]


@pytest.fixture(scope="module")
def settled() -> Iterator[SandboxProcess]:
    """An account after all late events have arrived."""
    with small(events=600) as process:
        process.advance(timedelta(days=30))
        yield process


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_killed_at_any_stage(stage: Stage, settled: SandboxProcess, warehouse: LocalFile) -> None:
    killed = kill(settled, warehouse, stage, stage.types[0], stage.calls[-1])

    assert killed.died
    assert not killed.after.faults, killed.after
    assert killed.later.is_equal, killed.later
    assert killed.leftover == 0
    assert killed.outcomes[-1] == "succeeded"


SYNC = """
import resource, signal, sys
from pathlib import Path
from klaviyo_assets.staging import staging
from klaviyo_assets_tests.accounts import in_small_pages, local_file, started_elsewhere, sync
staging.ROWS_PER_FILE = 100
if int(sys.argv[3]):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), int(sys.argv[3])))
print("begun", flush=True)
sync(in_small_pages("events"), started_elsewhere(sys.argv[1]), local_file(Path(sys.argv[2])), concurrency=2)
"""


def start_sync(sandbox: SandboxProcess, warehouse: LocalFile, max_bytes: int = 0) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SYNC, sandbox.base_url, str(warehouse.path.parent), str(max_bytes)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize(
    ("max_bytes", "message"),
    [(2_000, "The database .* cannot be created"), (13_000, "The files next to the database"), (100_000, "could not be written or read")],
    ids=["no database fits", "no staged file fits", "no load fits"],
)
def test_full_disk_fails_with_a_clear_error_and_loses_nothing(max_bytes: int, message: str, settled: SandboxProcess, warehouse: LocalFile) -> None:
    """A file size limit simulates a full disk: the write fails in the middle of a file."""
    if database_exists := max_bytes != 2_000:
        sync("lists", settled, warehouse)
    with start_sync(settled, warehouse, max_bytes) as process:
        _, errors = process.communicate(timeout=60)

    assert process.returncode == 1
    last = errors.strip().splitlines()[-1]
    assert re.search(message, last), errors
    assert re.search("What to do: (Check free disk space|Make room on the disk)", last), last
    assert warehouse.path.exists() == database_exists
    sync(in_small_pages("events"), settled, warehouse)
    assert judge(settled, warehouse, "events").is_equal
    assert not list((warehouse.state_dir / "klaviyo" / "staging").rglob("*.parquet"))


@pytest.mark.parametrize("size", [0, 12, 4_096, 12_287])
def test_partially_created_database_is_created_again(size: int, settled: SandboxProcess, warehouse: LocalFile) -> None:
    """A process that dies while creating the file leaves only its first bytes, which DuckDB cannot open."""
    with warehouse.connection():
        pass
    warehouse.path.write_bytes(warehouse.path.read_bytes()[:size])

    sync("lists", settled, warehouse)

    assert judge(settled, warehouse, "lists").is_equal


WITHOUT_PERMISSION = """
import os, sys
from pathlib import Path
from klaviyo_assets.warehouse.interface import WarehouseError
from klaviyo_assets_tests.accounts import local_file, started_elsewhere, sync
sandbox, warehouse = started_elsewhere(sys.argv[1]), local_file(Path(sys.argv[2]))
sync("lists", sandbox, warehouse)
folder = warehouse.path.parent if sys.argv[3] == "the folder" else warehouse.state_dir
if os.geteuid() == 0:  # root may write anywhere: drop its privileges
    for path in (warehouse.path.parent, *warehouse.path.parent.rglob("*")):
        os.chown(path, 65534, 65534)
    os.setgid(65534)
    os.setuid(65534)
folder.chmod(0o500)
try:
    sync("events", sandbox, warehouse)
except WarehouseError as error:
    print(error)
    print(folder)
folder.chmod(0o700)
sync("events", sandbox, warehouse)
"""


@pytest.mark.parametrize("which", ["the folder", "the state folder"])
def test_folder_without_write_permission(which: str, settled: SandboxProcess, for_everybody: Path) -> None:
    folder, temporary = for_everybody / "database", for_everybody / "temporary"
    folder.mkdir()
    temporary.mkdir()
    temporary.chmod(0o1777)
    command = [sys.executable, "-c", WITHOUT_PERMISSION, settled.base_url, str(folder), which]
    environment = {**os.environ, "TMPDIR": str(temporary)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)

    assert done.returncode == 0, done.stderr
    message, read_only = done.stdout.strip().splitlines()
    assert "write permission" in message
    assert read_only in message
    assert "What to do:" in message
    assert judge(settled, local_file(folder), "events").is_equal


def test_folder_that_cannot_be_created(settled: SandboxProcess) -> None:
    with pytest.raises(WarehouseError, match="What to do:") as caught:
        sync("lists", settled, LocalFile(DuckDBResource(database="/proc/self/klaviyo.duckdb")))

    assert "/proc" in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_stopped_sync_resumes(sign: signal.Signals, new_account: NewAccount, warehouse: LocalFile) -> None:
    sandbox = new_account(events=2_000, latency=0.3)
    sandbox.advance(timedelta(days=30))
    with start_sync(sandbox, warehouse) as process:
        assert process.stdout is not None
        process.stdout.readline()
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not any(".parquet" in manifest.read_text() for manifest in warehouse.state_dir.rglob("manifest.json")):
            time.sleep(0.05)
        process.send_signal(sign)
        process.communicate(timeout=60)
    assert process.returncode != 0

    report = sync(in_small_pages("events"), sandbox, warehouse)

    assert report.resumed
    assert judge(sandbox, warehouse, "events").is_equal
    outcomes = query(warehouse, "SELECT outcome FROM _syncs ORDER BY started_at")
    assert outcomes == [("failed" if sign == signal.SIGINT else "killed",), ("succeeded",)]


@pytest.mark.slow
@pytest.mark.parametrize("sign", [signal.SIGINT])
def test_sync_waiting_for_the_database_can_be_stopped(sign: signal.Signals, settled: SandboxProcess, warehouse: LocalFile) -> None:
    sync("lists", settled, warehouse)
    with FileLock(f"{warehouse.path}.lock"), start_sync(settled, warehouse) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(3)  # by now it waits for the lock
        assert process.poll() is None
        process.send_signal(sign)
        process.communicate(timeout=60)  # the wait for the lock would last half an hour
        assert process.returncode != 0

    sync("events", settled, warehouse)
    assert judge(settled, warehouse, "events").is_equal


class TestDamagedStaging:
    """Damaged staged files are not loaded and do not block the next sync."""

    @pytest.fixture
    def interrupted(self, new_account: NewAccount, warehouse: LocalFile, monkeypatch: pytest.MonkeyPatch) -> SandboxProcess:
        monkeypatch.setattr("klaviyo_assets.api.retries.BACKOFF_BASE", 0.01)
        sandbox = new_account(events=600)
        sandbox.advance(timedelta(days=30))
        sandbox.faults({"path": "/api/events", "kind": "503", "times": None, "after": 14})
        with pytest.raises(Exception, match="Klaviyo could not process the request"):
            sync(in_small_pages("events"), sandbox, warehouse, concurrency=2)
        sandbox.clear_faults()
        return sandbox

    DAMAGES = (
        "truncated file",
        "flipped bit",
        "missing file",
        "other schema",
        "other type",
        "truncated manifest",
        "stray file",
        "path outside the folder",
    )

    @pytest.mark.parametrize("damage", DAMAGES)
    def test_damaged_files_are_read_again(self, damage: str, interrupted: SandboxProcess, warehouse: LocalFile) -> None:
        (file, *_) = sorted(warehouse.state_dir.rglob("*.parquet"))
        manifest = file.parent / "manifest.json"
        data, text = file.read_bytes(), manifest.read_text()
        match damage:
            case "truncated file":
                file.write_bytes(data[: len(data) // 2])
            case "flipped bit":
                file.write_bytes(data[:200] + bytes([data[200] ^ 1]) + data[201:])
            case "missing file":
                file.unlink()
            case "other schema":
                duckdb.execute(f"COPY (SELECT 1 AS id, range AS x FROM range(50)) TO '{file}' (FORMAT parquet)")
            case "other type":
                manifest.write_text(text.replace('"resource_type":"events"', '"resource_type":"profiles"'))
            case "truncated manifest":
                manifest.write_text(text[: len(text) // 2])
            case "stray file":
                (file.parents[1] / "stray").write_text("something else")
                (file.parents[1] / "empty").mkdir()
            case "path outside the folder":
                manifest.write_text(text.replace(file.name, f"../{file.parent.name}/{file.name}"))

        report = sync(in_small_pages("events"), interrupted, warehouse)

        assert report.resumed == (damage == "stray file")
        assert judge(interrupted, warehouse, "events").is_equal
        assert list((warehouse.state_dir / "klaviyo" / "staging" / "events").iterdir()) == []


class TestLayouts:
    """Files of other versions of this library."""

    OLDER = (
        "ALTER TABLE _syncs DROP COLUMN seconds_waited; ALTER TABLE _syncs DROP COLUMN throttled",
        "ALTER TABLE _coverage ALTER COLUMN final SET DATA TYPE INTEGER",
        "ALTER TABLE events DROP COLUMN attribution_ids; ALTER TABLE events DROP COLUMN _deleted_at",
        "ALTER TABLE events ALTER COLUMN event_properties SET DATA TYPE VARCHAR",
        "COMMENT ON COLUMN events.id IS 'of an older version'; COMMENT ON COLUMN _syncs.id IS NULL",
    )

    @pytest.mark.parametrize("change", OLDER)
    def test_older_file_is_migrated(self, change: str, settled: SandboxProcess, warehouse: LocalFile) -> None:
        sync("events", settled, warehouse)
        columns = "SELECT table_name, column_name, data_type, comment FROM duckdb_columns() WHERE schema_name = 'klaviyo' ORDER BY ALL"
        new = query(warehouse, columns)
        query(warehouse, f"DROP TABLE _layout; {change}")
        assert query(warehouse, columns) != new

        sync("events", settled, warehouse)

        assert query(warehouse, columns) == new
        assert judge(settled, warehouse, "events").is_equal
        assert query(warehouse, "FROM _layout") == [(LAYOUT, __version__)]

    def test_newer_file_is_refused_unchanged(self, settled: SandboxProcess, warehouse: LocalFile) -> None:
        sync("events", settled, warehouse)
        query(warehouse, f"UPDATE _layout SET version = {LAYOUT + 1}, written_by = '9.9.9'")
        before = query(warehouse, "SELECT count(*) FROM _syncs")

        with pytest.raises(NewerLayout, match=r"9\.9\.9.*Upgrade"):
            sync("events", settled, warehouse)

        assert query(warehouse, "SELECT count(*) FROM _syncs") == before


def test_old_sync_rows_are_deleted_and_the_account_stays_pinned(settled: SandboxProcess, warehouse: LocalFile) -> None:
    sync("lists", settled, warehouse, account_id="AAAAAA")
    query(
        warehouse,
        "INSERT INTO _syncs BY NAME SELECT _syncs.* REPLACE (id || '-' || i AS id, started_at - to_days(i::INTEGER) AS started_at) "
        "FROM _syncs, range(1, 801) t(i)",
    )

    sync("lists", settled, warehouse, account_id="AAAAAA")

    totals = "count(*), date_diff('day', min(started_at), max(started_at)), list(DISTINCT account_id)"
    ((count, days, accounts),) = query(warehouse, f"SELECT {totals} FROM _syncs")
    assert count <= 402
    assert days <= SYNCS_KEPT_FOR.days
    assert accounts == ["AAAAAA"]


def test_wrong_clock_leaves_no_gap(settled: SandboxProcess, warehouse: LocalFile) -> None:
    """A sync with a clock a week ahead covered the future; the next sync, with the right time, reads that window."""
    sync("events", settled, warehouse)
    query(warehouse, "UPDATE _coverage SET window_end = window_end + INTERVAL 7 DAY, read_at = read_at + INTERVAL 7 DAY")
    query(warehouse, "UPDATE events SET _synced_at = _synced_at + INTERVAL 7 DAY")
    settled.change("event")
    settled.advance(timedelta(minutes=2))

    report = sync("events", settled, warehouse)

    assert any("wrong clock" in note for note in report.notes)
    assert judge(settled, warehouse, "events").is_equal

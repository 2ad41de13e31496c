"""A database of layout 1 with every kind of bookkeeping is migrated when it is first opened, without losing anything.

``bookkeeping_1.tar.gz`` was created with layout 1 and the account of ``faults.test_older_files``, 30 days later: coverage, an audit with a day in
each state, an erased person, profiles with field rules, and a sync of events that was interrupted before its load.
"""

import io
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from klaviyo_assets.audit.audit_store import AuditStore
from klaviyo_assets.audit.compare import DifferenceState
from klaviyo_assets.erasure.erase import Erasure
from klaviyo_assets.erasure.subject import DataSubject
from klaviyo_assets.errors import NotOurs
from klaviyo_assets.extract.sync_options import SyncOptions
from klaviyo_assets.privacy.hashing import Salt
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.state.layout_migration import LayoutMigration
from klaviyo_assets.state.schema_version import LAYOUT, SchemaVersion
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import local_file, query, sync
from klaviyo_assets_tests.faults.killed import killing_at
from klaviyo_assets_tests.faults.test_older_files import account
from klaviyo_assets_tests.load.rewrites.test_reapply_rules import sync_with_rules

pytestmark = [pytest.mark.duckdb, pytest.mark.long]

FILE = Path(__file__).parents[1] / "faults" / "files" / "bookkeeping_1.tar.gz"
SALT = "0123456789abcdef0123456789abcdef"
RULES = {"profiles": {"email": "hash", "phone_number": "drop"}}
ERASED = "010B54JHGKCP2BWZWGRQA10TZ0"
REREAD_AT = {date(2026, 2, 2): datetime(2026, 4, 9, 19, 0, 25, tzinfo=UTC), date(2026, 2, 11): datetime(2026, 4, 9, 19, 0, 12, tzinfo=UTC)}
STATES = {
    date(2026, 1, 24): DifferenceState.MISMATCH,
    date(2026, 1, 29): DifferenceState.REREAD_PENDING,
    date(2026, 2, 2): DifferenceState.REREAD_PENDING,
    date(2026, 2, 11): DifferenceState.UNRESOLVED,
}


@pytest.fixture
def sandbox() -> Iterator[SandboxProcess]:
    """The account of the file, a little later."""
    with account() as found:
        found.advance(timedelta(days=30, hours=9))
        yield found


@pytest.fixture
def older(warehouse: LocalFile) -> LocalFile:
    """A database of layout 1 with its state folder."""
    with tarfile.open(fileobj=io.BytesIO(FILE.read_bytes()), mode="r:gz") as tar:
        tar.extractall(warehouse.path.parent, filter="data")
    return warehouse


def rows(warehouse: LocalFile, sql: str) -> list[tuple[object, ...]]:
    """Run a query without the library."""
    with duckdb.connect(str(warehouse.path), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return connection.execute(sql).fetchall()


def states(warehouse: LocalFile) -> tuple[dict[date, DifferenceState], dict[date, datetime]]:
    record, found = AuditStore(warehouse, "klaviyo").last()
    assert record is not None
    assert (record.metrics, record.days, record.lost) == (6, 516, 0)
    return {one.day: one.state for one in found}, {one.day: one.reread_at for one in found if one.reread_at is not None}


def sync_lists(warehouse: LocalFile, sandbox: SandboxProcess) -> None:
    sync("lists", sandbox, warehouse)


def erase_unknown_person(warehouse: LocalFile, _: SandboxProcess) -> None:
    Erasure(warehouse, "klaviyo", Salt(SALT)).run(DataSubject({"01AAAAAAAAAAAAAAAAAAAAAAAA"}))


def read_audits(warehouse: LocalFile, _: SandboxProcess) -> None:
    AuditStore(warehouse, "klaviyo").last()


@pytest.mark.parametrize("open_first", [sync_lists, erase_unknown_person, read_audits])
def test_any_first_access_migrates_everything(
    open_first: Callable[[LocalFile, SandboxProcess], None], older: LocalFile, sandbox: SandboxProcess
) -> None:
    # The table of events lacks the columns of attributions, so its coverage says so once the table is prepared.
    fingerprint = "CASE WHEN resource_type <> 'events' THEN fingerprint END"
    old = f"resource_type, division, field, span_start::VARCHAR, span_end::VARCHAR, read_at::VARCHAR, {fingerprint}, settled"
    before = rows(older, f"SELECT {old} FROM klaviyo.klaviyo._coverage ORDER BY ALL")
    erased = rows(older, "SELECT * FROM klaviyo.klaviyo._erased ORDER BY ALL")
    rules = rows(older, "SELECT * FROM klaviyo.klaviyo._field_rules ORDER BY ALL")

    open_first(older, sandbox)

    new = f"resource_type, subset, field, window_start::VARCHAR, window_end::VARCHAR, read_at::VARCHAR, {fingerprint}, final"
    assert rows(older, f"SELECT {new} FROM klaviyo.klaviyo._coverage ORDER BY ALL") == before
    assert rows(older, "SELECT DISTINCT parent FROM klaviyo.klaviyo._coverage") == [("",)]
    assert set(erased) <= set(rows(older, "SELECT * FROM klaviyo.klaviyo._erased"))
    assert rows(older, "SELECT resource_type, field, action, salt_fingerprint FROM klaviyo.klaviyo._field_rules ORDER BY ALL") == rules
    assert rows(older, "SELECT version FROM klaviyo.klaviyo._layout") == [(LAYOUT,)]
    assert rows(older, "SELECT window_start, window_end, requested_by, reread_at FROM klaviyo.klaviyo._rereads") == [
        (datetime(2026, 1, 29, tzinfo=UTC), datetime(2026, 1, 30, tzinfo=UTC), "audit", None)
    ]
    assert states(older) == (STATES, REREAD_AT)


def test_a_dry_run_of_erase_migrates_nothing(older: LocalFile) -> None:
    Erasure(older, "klaviyo", Salt(SALT)).run(DataSubject({ERASED}), dry_run=True)

    assert rows(older, "SELECT version FROM klaviyo.klaviyo._layout") == [(1,)]


def test_only_the_pending_day_of_the_coverage_is_read_again(older: LocalFile, sandbox: SandboxProcess) -> None:
    # Otherwise all events would be read again, for their attributions.
    report = sync("events", sandbox, older, SyncOptions(accept_changed_options=True))

    assert report.row.records_read < report.row_count / 2
    assert any("2026-01-29" in name for name in report.slices), report.slices
    assert not any("2026-01-24" in name for name in report.slices), "a mismatch waits for a repair"
    assert not any("other options" in note for note in report.notes)
    (reread_at,) = query(older, "SELECT reread_at FROM _rereads")
    assert reread_at == (report.row.started_at,)
    with suppress(FileNotFoundError):
        assert list((older.state_dir / "klaviyo" / "staging" / "events").iterdir()) == [], "staged files of the old version are loaded or deleted"


def test_erased_people_stay_erased_and_rules_stay_applied(older: LocalFile, sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLAVIYO_FIELD_SALT", SALT)
    monkeypatch.setattr("klaviyo_assets_tests.load.rewrites.test_reapply_rules.ALL_SCOPES_KEY", sandbox.keys.all_scopes)
    report = sync_with_rules("profiles", sandbox, older, RULES)

    assert not any("field rule" in note for note in report.notes), report.notes
    assert report.row.records_read < report.row_count / 2
    assert query(older, f"SELECT count(*) FROM profiles WHERE id = '{ERASED}'") == [(0,)]
    sync("events", sandbox, older)
    assert query(older, f"SELECT count(*) FROM events WHERE profile_id = '{ERASED}' AND _deleted_at IS NULL") == [(0,)]


def test_a_users_view_is_reported_and_a_users_column_is_kept(older: LocalFile, sandbox: SandboxProcess) -> None:
    query(older, "ALTER TABLE _coverage ADD COLUMN note VARCHAR DEFAULT 'mine'")
    query(older, "CREATE VIEW ages AS SELECT resource_type, span_end FROM _coverage")

    notes = sync("lists", sandbox, older).notes

    assert any("view klaviyo.ages" in note and "span_end is now window_end" in note for note in notes), notes
    assert query(older, "SELECT DISTINCT note FROM _coverage") == [("mine",)]
    assert not any("ages" in note for note in sync("lists", sandbox, older).notes)


def test_an_index_that_prevents_the_migration_is_named_and_nothing_changes(older: LocalFile, sandbox: SandboxProcess) -> None:
    query(older, "CREATE INDEX mine ON _coverage (span_end)")

    with pytest.raises(NotOurs, match=r"index mine on klaviyo\._coverage"):
        sync("lists", sandbox, older)

    assert rows(older, "SELECT version FROM klaviyo.klaviyo._layout") == [(1,)]
    query(older, "DROP INDEX mine")
    sync("lists", sandbox, older)
    assert rows(older, "SELECT version FROM klaviyo.klaviyo._layout") == [(LAYOUT,)]


def test_a_table_of_another_program_with_a_new_name_is_named_and_nothing_changes(older: LocalFile, sandbox: SandboxProcess) -> None:
    query(older, "CREATE TABLE _null_rates AS SELECT 7 AS mine")
    before = content(older)

    with pytest.raises(NotOurs, match=r"klaviyo\._null_rates was not made by klaviyo_assets.*ALTER TABLE .*_null_rates.* RENAME TO another_name"):
        sync("lists", sandbox, older)

    assert content(older) == before
    query(older, "ALTER TABLE _null_rates RENAME TO another_name")
    sync("lists", sandbox, older)
    assert rows(older, "SELECT version FROM klaviyo.klaviyo._layout") == [(LAYOUT,)]
    assert query(older, "FROM another_name") == [(7,)]


def test_days_of_an_audit_from_before_repairs_have_all_not_been_read_again(older: LocalFile) -> None:
    query(older, "ALTER TABLE _audit_days DROP COLUMN read_again_at")

    assert states(older) == (STATES, {})

    pending = [day for day, state in STATES.items() if state is DifferenceState.REREAD_PENDING]
    assert [start.date() for (start,) in query(older, "SELECT window_start FROM _rereads ORDER BY ALL")] == pending


KILLS = {
    "the first table is renamed": (LayoutMigration, "_rename", 1, read_audits),
    "all tables are renamed": (LayoutMigration, "_rename", 6, read_audits),
    "days of an audit are moved": (LayoutMigration, "_migrate_audit_days", 1, read_audits),
    "the version is recorded": (SchemaVersion, "record", 1, read_audits),
    "the version is recorded, in an erasure": (SchemaVersion, "record", 1, erase_unknown_person),
}


def migrate_and_die(name: str, path: str) -> None:
    """Start a migration, and kill this process in the middle of it."""
    owner, function, times, work = KILLS[name]
    setattr(owner, function, killing_at(getattr(owner, function), times, after=True))
    work(local_file(Path(path).parent, Path(path).name), None)


def content(warehouse: LocalFile) -> dict[str, list[tuple[object, ...]]]:
    """Return columns and rows of every table."""
    found = rows(warehouse, "SELECT table_name, list(column_name ORDER BY column_index) FROM duckdb_columns() WHERE NOT internal GROUP BY ALL")
    return {str(name): [tuple(columns), *rows(warehouse, f"FROM klaviyo.klaviyo.{name} ORDER BY ALL")] for name, columns in found}


@pytest.mark.parametrize("name", KILLS)
def test_a_migration_that_is_killed_leaves_the_older_layout(name: str, older: LocalFile) -> None:
    before = content(older)
    assert {"_missed", "_coverage", "_audit_days", "_field_rules", "profiles"} <= before.keys()

    code = "import sys; from klaviyo_assets_tests.state.test_layout_migration import migrate_and_die; migrate_and_die(*sys.argv[1:])"
    killed = subprocess.run([sys.executable, "-c", code, name, str(older.path)], capture_output=True, text=True, check=False)

    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert content(older) == before
    assert states(older) == (STATES, REREAD_AT), "the next access migrates it"
    assert rows(older, "SELECT version FROM klaviyo.klaviyo._layout") == [(LAYOUT,)]

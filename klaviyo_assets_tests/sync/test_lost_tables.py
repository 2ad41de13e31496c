"""Another program drops, empties or replaces a table: its coverage no longer counts, the run reports it, and everything is read again."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path

import pytest
from polars.testing import assert_frame_equal

from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.catalog.replication import FullTable
from klaviyo_assets.errors import AccountMismatch, TableChanged
from klaviyo_assets.extract.sync_options import SyncMode, SyncOptions, range_field
from klaviyo_assets.load.batch import Batch
from klaviyo_assets.load.loader import Loader
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.state.coverage import TimeWindow
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import COLLECTIONS, query, small, sync, table, truth, with_parents
from klaviyo_assets_tests.filled_once import fill_once
from klaviyo_assets_tests.shapes import representatives

pytestmark = pytest.mark.long

NewAccount = Callable[..., SandboxProcess]
Synced = Callable[[str], None]


@pytest.fixture(scope="module")
def account() -> Iterator[SandboxProcess]:
    """A small account, to keep the many syncs below short; no test changes it."""
    now = datetime.now(UTC)
    with small(events=400, profiles=150, reviews=120, base=now - timedelta(minutes=61), clock=now) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def synced_folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for copies of databases with one synced type."""
    return tmp_path_factory.mktemp("synced")


@pytest.fixture
def synced(account: SandboxProcess, warehouse: LocalFile, synced_folders: Path) -> Synced:
    """Fills the database with the first sync of a type."""
    return lambda name: fill_once(warehouse, synced_folders / name, lambda: sync(name, account, warehouse))


LOSSES = {
    "dropped": "DROP TABLE {}",
    "truncated": "TRUNCATE {}",
    "deleted": "DELETE FROM {}",
    "replaced by an empty one": "CREATE OR REPLACE TABLE {0} AS FROM {0} LIMIT 0",
    "without its latest rows": "DELETE FROM {0} WHERE _synced_at = (SELECT max(_synced_at) FROM {0})",
}

BOOKKEEPING = ("_coverage", "_syncs", "_layout", "_null_rates", "_rereads")


@pytest.mark.duckdb
@pytest.mark.parametrize(
    ("name", "loss"),
    [*product(["events"], LOSSES), *product(["profiles", "reviews", "lists"], ["dropped", "without its latest rows"])],
)
def test_coverage_counts_only_while_the_rows_exist(name: str, loss: str, account: SandboxProcess, warehouse: LocalFile, synced: Synced) -> None:
    synced(name)
    query(warehouse, LOSSES[loss].format(name))

    report = sync(name, account, warehouse)

    assert_frame_equal(table(warehouse, name), truth(account, name))
    assert any(f"The table klaviyo.{name} " in note and "read everything again" in note for note in report.notes), report.notes
    again = sync(name, account, warehouse)
    assert not any("klaviyo." in note for note in again.notes)
    assert again.row.rows_inserted == 0
    assert isinstance(CATALOG[name].replication, FullTable) or again.row.records_read < report.row.records_read


@pytest.mark.parametrize("mode", [SyncMode.full, SyncMode.range])
@pytest.mark.parametrize("name", ["events", "profiles", "reviews"])
def test_the_incremental_sync_after_any_mode_reads_the_rest(
    name: str, mode: SyncMode, account: SandboxProcess, warehouse: LocalFile, synced: Synced
) -> None:
    synced(name)
    query(warehouse, f"DROP TABLE {name}")
    now = account.now()
    window = TimeWindow(now - timedelta(days=9), now) if mode is SyncMode.range else None

    report = sync(name, account, warehouse, SyncOptions(mode, field=range_field(CATALOG[name]) if window else None, window=window))

    assert any("was missing" in note for note in report.notes)
    sync(name, account, warehouse)
    assert_frame_equal(table(warehouse, name), truth(account, name))


def test_all_tables_except_the_bookkeeping_may_be_dropped(account: SandboxProcess, warehouse: LocalFile) -> None:
    names = list(dict.fromkeys(name for entry in representatives(COLLECTIONS.values()) for name in with_parents(entry.name)))
    for name in names:
        sync(name, account, warehouse)
    for name in names:
        query(warehouse, f"DROP TABLE {name}")

    for name in names:
        sync(name, account, warehouse)
        volatile = [column.name for column in CATALOG[name].columns if column.volatile]
        assert_frame_equal(table(warehouse, name).drop(volatile), truth(account, name).drop(volatile))


@pytest.mark.parametrize(
    ("name", "dropped"), [*product(["events"], BOOKKEEPING), *product(["profiles", "reviews", "lists"], ["_coverage", "_syncs"])]
)
def test_a_bookkeeping_table_may_be_dropped(name: str, dropped: str, account: SandboxProcess, warehouse: LocalFile, synced: Synced) -> None:
    synced(name)
    query(warehouse, f"DROP TABLE {dropped}")

    sync(name, account, warehouse)

    assert_frame_equal(table(warehouse, name), truth(account, name))
    query(warehouse, f"DROP TABLE {name}")
    sync(name, account, warehouse)
    assert_frame_equal(table(warehouse, name), truth(account, name))


# _null_rates and _rereads are empty while no column has lost its values and no reread is pending.
@pytest.mark.parametrize(
    ("name", "statement"), [*product(BOOKKEEPING, ["DROP TABLE {}"]), *product(["_coverage", "_syncs", "_layout"], ["TRUNCATE {}"])]
)
def test_a_lost_bookkeeping_table_is_reported_once(name: str, statement: str, account: SandboxProcess, warehouse: LocalFile) -> None:
    assert sync("events", account, warehouse).notes == sync("events", account, warehouse).notes
    query(warehouse, statement.format(name))

    report = sync("events", account, warehouse)

    assert any((name in note and "events" in note) or f"{name} was missing or empty" in note for note in report.notes), report.notes
    assert not any(name in note for note in sync("events", account, warehouse).notes)
    assert_frame_equal(table(warehouse, "events"), truth(account, "events"))


@pytest.mark.duckdb
def test_all_bookkeeping_may_be_lost_at_once(account: SandboxProcess, warehouse: LocalFile, synced: Synced) -> None:
    synced("events")
    for name in BOOKKEEPING:
        query(warehouse, f"DROP TABLE {name}")

    report = sync("events", account, warehouse)

    assert all(any(f"{name} was missing" in note for note in report.notes) for name in BOOKKEEPING)
    assert_frame_equal(table(warehouse, "events"), truth(account, "events"))


@pytest.mark.parametrize("column", ["read_at", "fingerprint", "window_end", "field"])
def test_a_column_of_the_coverage_may_be_dropped(column: str, account: SandboxProcess, warehouse: LocalFile, synced: Synced) -> None:
    synced("events")
    query(warehouse, f"ALTER TABLE _coverage DROP COLUMN {column}")

    assert sync("events", account, warehouse).row.records_read >= table(warehouse, "events").height


@pytest.mark.parametrize("column", ["uuid", "datetime", "event_properties", "_extra", "_synced_at"])
def test_a_dropped_column_is_read_again(column: str, account: SandboxProcess, warehouse: LocalFile, synced: Synced) -> None:
    synced("events")
    query(warehouse, f"ALTER TABLE events DROP COLUMN {column}")

    sync("events", account, warehouse)

    expected = truth(account, "events")
    assert_frame_equal(table(warehouse, "events").select(expected.columns), expected)


def test_a_column_with_a_coarser_type_is_read_again(account: SandboxProcess, warehouse: LocalFile, synced: Synced) -> None:
    synced("events")
    query(warehouse, "ALTER TABLE events ALTER datetime SET DATA TYPE DATE")

    sync("events", account, warehouse)

    assert_frame_equal(table(warehouse, "events"), truth(account, "events"))


def test_lost_deletion_marks_are_reported(account: SandboxProcess, warehouse: LocalFile, synced: Synced) -> None:
    synced("profiles")
    query(warehouse, "ALTER TABLE profiles DROP COLUMN _deleted_at")

    assert any("_deleted_at" in note and "full" in note for note in sync("profiles", account, warehouse).notes)


def test_an_older_copy_of_a_table_is_detected(new_account: NewAccount, warehouse: LocalFile) -> None:
    sandbox = new_account()
    sync("profiles", sandbox, warehouse)
    query(warehouse, "CREATE TABLE main.copy AS FROM profiles")
    sandbox.advance(timedelta(days=2))
    sandbox.change("update", type="profiles", id=table(warehouse, "profiles")["id"][0], attributes={"title": "new"})
    sandbox.advance(timedelta(days=2))
    sync("profiles", sandbox, warehouse)
    query(warehouse, "CREATE OR REPLACE TABLE profiles AS FROM main.copy")

    sync("profiles", sandbox, warehouse)

    assert_frame_equal(table(warehouse, "profiles"), truth(sandbox, "profiles"))


def test_rows_deleted_by_a_user_stay_deleted_and_are_reported_once(account: SandboxProcess, warehouse: LocalFile, synced: Synced) -> None:
    synced("events")
    query(warehouse, "DELETE FROM events WHERE datetime < (SELECT quantile_cont(datetime, 0.1) FROM events)")
    left = table(warehouse, "events").height

    report = sync("events", account, warehouse)

    assert any("rows fewer" in note and "mode full" in note for note in report.notes)
    assert table(warehouse, "events").height == left
    assert not any("rows fewer" in note for note in sync("events", account, warehouse).notes)
    sync("events", account, warehouse, SyncOptions(SyncMode.full))
    assert_frame_equal(table(warehouse, "events"), truth(account, "events"))


@pytest.mark.parametrize("name", ["events", "profiles", "reviews", "lists"])
def test_a_type_without_records_is_not_read_from_the_beginning_every_time(name: str, new_account: NewAccount, warehouse: LocalFile) -> None:
    sandbox = new_account(events=0, profiles=0, reviews=0, lists=0)
    sync(name, sandbox, warehouse)
    covered = query(warehouse, "SELECT window_start, read_at FROM _coverage ORDER BY ALL LIMIT 1")

    assert not any("klaviyo." in note for note in sync(name, sandbox, warehouse).notes)
    assert query(warehouse, "SELECT window_start, read_at FROM _coverage ORDER BY ALL LIMIT 1") == covered


@pytest.mark.parametrize("statement", ["DROP TABLE events", "TRUNCATE events"])
def test_a_table_lost_during_a_sync_stops_it(statement: str, account: SandboxProcess, warehouse: LocalFile) -> None:
    sync("events", account, warehouse)
    loader = Loader(warehouse, CATALOG["events"], "klaviyo")
    report = sync("events", account, warehouse)
    loader.begin(report.row)
    query(warehouse, statement)

    with pytest.raises(TableChanged, match=r"klaviyo\.events"):
        loader.load(Batch(files=(), covered=()), report.row)

    sync("events", account, warehouse)
    assert_frame_equal(table(warehouse, "events"), truth(account, "events"))


def test_a_schema_without_its_syncs_table_still_belongs_to_its_account(
    account: SandboxProcess, new_account: NewAccount, warehouse: LocalFile
) -> None:
    sync("events", account, warehouse, account_id="ABC123")
    query(warehouse, "DROP TABLE _syncs")

    with pytest.raises(AccountMismatch, match="ABC123"):
        sync("events", account, warehouse, account_id="XYZ789")

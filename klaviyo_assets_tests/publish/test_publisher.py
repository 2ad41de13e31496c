"""The published copy: what readers see, what it says about itself, and what it survives."""

import errno
import json
import os
import shutil
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from filelock import FileLock

from klaviyo_assets.cli.erase_command import erase
from klaviyo_assets.erasure.erase import Erasure
from klaviyo_assets.erasure.subject import DataSubject
from klaviyo_assets.extract.sync_options import SyncMode, SyncOptions
from klaviyo_assets.publish import registry
from klaviyo_assets.publish.publisher import Publisher
from klaviyo_assets.publish.refresh import rewrite_outdated
from klaviyo_assets.publish.target import NotPublished, PublishTarget
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.state.locks import sync_lock
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets.warehouse.interface import WarehouseBusy, WarehouseError
from klaviyo_assets_tests.accounts import query, sync
from klaviyo_assets_tests.filled_once import fill_once
from klaviyo_assets_tests.load.rewrites.test_reapply_rules import sync_with_rules
from klaviyo_assets_tests.marts.stored import START, StoredAccount
from klaviyo_assets_tests.warehouse.attached import AttachedDatabase
from klaviyo_assets_tests.warehouse.test_compaction import failing

pytestmark = pytest.mark.duckdb


@pytest.fixture
def target(tmp_path: Path) -> PublishTarget:
    return PublishTarget.at(tmp_path / "for_readers" / "published.duckdb", tmp_path / "for_readers" / "parquet")


def read(file: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(file), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def exported(target: PublishTarget, table: str) -> list[tuple[Any, ...]]:
    """Return the rows of a table's Parquet files."""
    assert target.parquet is not None
    files = target.parquet / "current" / "klaviyo" / table
    return duckdb.sql(f"FROM read_parquet('{files}/**/*.parquet', hive_partitioning = true) ORDER BY id").fetchall()


@pytest.fixture(scope="module")
def synced_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Path of a copy of the folder after its syncs; the first test that needs it creates it."""
    return tmp_path_factory.mktemp("synced") / "folder"


@pytest.fixture
def filled(account: SandboxProcess, warehouse: LocalFile, synced_folder: Path) -> LocalFile:
    fill_once(warehouse, synced_folder, lambda: [sync(name, account, warehouse) for name in ("metrics", "events")])
    return warehouse


@pytest.mark.long
def test_the_copy_has_the_tables_and_says_up_to_when_it_is_complete(filled: LocalFile, target: PublishTarget) -> None:
    before = datetime.now(UTC)
    published = Publisher(filled, target).publish()

    for table in ("metrics", "events"):
        assert read(target.file, f"FROM klaviyo.{table} ORDER BY id") == query(filled, f"FROM {table} ORDER BY id")
    ((started,),) = query(filled, "SELECT started_at FROM _syncs WHERE resource_type = 'events'")
    facts = read(
        target.file, "SELECT complete_until, latest_outcome, table_rows, published_at FROM klaviyo._published WHERE resource_type = 'events'"
    )
    assert facts == [(started, "succeeded", query(filled, "SELECT count(*) FROM events")[0][0], published.published_at)]
    assert published.published_at >= before
    assert published.incomplete == ()
    tables = {name for (name,) in read(target.file, "SELECT table_name FROM duckdb_tables()")}
    assert tables == {"metrics", "events", "_syncs", "_published"}, "other bookkeeping is not for readers"
    assert stat.S_IMODE(target.file.stat().st_mode) == 0o600
    assert not list(target.file.parent.glob("*.publishing*"))


@pytest.mark.long
def test_parquet_files_by_month_hold_the_same_rows(filled: LocalFile, target: PublishTarget) -> None:
    Publisher(filled, target).publish()
    assert target.parquet is not None
    current = target.parquet / "current"
    months = {row[0] for row in query(filled, "SELECT strftime(datetime AT TIME ZONE 'UTC', '%Y-%m') FROM events")}
    assert {path.name.removeprefix("month=") for path in (current / "klaviyo" / "events").iterdir()} == months
    frame = pl.read_parquet(current / "klaviyo" / "events" / "*" / "*.parquet", hive_partitioning=False)
    stored = query(filled, "SELECT id, event_properties::VARCHAR, datetime FROM events ORDER BY id")
    assert frame.select("id", "event_properties", "datetime").sort("id").rows() == stored
    assert pl.read_parquet(current / "klaviyo" / "metrics.parquet").height == query(filled, "SELECT count(*) FROM metrics")[0][0]
    assert {stat.S_IMODE(path.stat().st_mode) for path in current.rglob("*.parquet")} == {0o600}


@pytest.mark.long
def test_files_of_months_that_did_not_change_are_taken_over(filled: LocalFile, target: PublishTarget) -> None:
    first = Publisher(filled, target).publish()
    query(filled, "UPDATE events SET _synced_at = now(), uuid = 'changed' WHERE id = (SELECT min(id) FROM events)")
    second = Publisher(filled, target).publish()

    months = len(query(filled, "SELECT DISTINCT date_trunc('month', datetime AT TIME ZONE 'UTC') FROM events"))
    others = first.parquet_files[0] - months
    assert (first.parquet_files, second.parquet_files) == ((others + months, 0), (others + 1, months - 1))
    assert [row[3] for row in exported(target, "events")].count("changed") == 1


@pytest.mark.long
def test_open_readers_keep_the_earlier_copy(filled: LocalFile, target: PublishTarget) -> None:
    Publisher(filled, target).publish()
    assert target.parquet is not None
    export = (target.parquet / "current").resolve()
    with duckdb.connect(str(target.file), read_only=True) as reader:
        query(filled, "DELETE FROM metrics")
        Publisher(filled, target).publish()
        assert reader.execute("SELECT count(*) > 0 FROM klaviyo.metrics").fetchall() == [(True,)]
        assert (export / "klaviyo" / "metrics.parquet").is_file(), "a reader may be in the export before"
    assert read(target.file, "SELECT count(*) FROM klaviyo.metrics") == [(0,)]
    Publisher(filled, target).publish()
    assert not export.exists()


@pytest.mark.long
def test_a_replaced_file_keeps_its_mode(filled: LocalFile, target: PublishTarget) -> None:
    Publisher(filled, target).publish()
    target.file.chmod(0o640)
    Publisher(filled, target).publish()
    assert stat.S_IMODE(target.file.stat().st_mode) == 0o640


@pytest.mark.long
def test_a_running_sync_with_a_part_of_its_rows_postpones_the_copy(filled: LocalFile, target: PublishTarget) -> None:
    Publisher(filled, target).publish()
    earlier = target.file.read_bytes()
    query(filled, "UPDATE _syncs SET outcome = 'running', rows_inserted = 5 WHERE resource_type = 'events'")
    with sync_lock(filled.state_dir / "klaviyo", "events", "another-run"), pytest.raises(NotPublished, match="events"):
        Publisher(filled, target).publish()
    assert target.file.read_bytes() == earlier


@pytest.mark.long
def test_a_type_that_was_never_read_completely_is_empty(filled: LocalFile, target: PublishTarget) -> None:
    query(filled, "UPDATE _syncs SET outcome = 'killed' WHERE resource_type = 'events'")
    published = Publisher(filled, target).publish()
    assert published.incomplete == ("events",)
    assert read(target.file, "SELECT count(*) FROM klaviyo.events") == [(0,)]
    assert read(target.file, "SELECT complete_until, table_rows FROM klaviyo._published WHERE resource_type = 'events'") == [(None, 0)]
    assert read(target.file, "SELECT count(*) > 0 FROM klaviyo.metrics") == [(True,)]


@pytest.mark.long
def test_a_failure_leaves_the_earlier_copy(filled: LocalFile, target: PublishTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    Publisher(filled, target).publish()
    earlier, export = target.file.read_bytes(), (target.parquet or Path()).joinpath("current").resolve()

    def no_room(*_: object) -> None:
        raise OSError(28, "No space left on device", str(target.file))

    monkeypatch.setattr("klaviyo_assets.publish.publisher.keep_attributes", no_room)
    with pytest.raises(WarehouseError, match=r"published\.duckdb could not be written: the disk is full"):
        Publisher(filled, target).publish()
    assert target.file.read_bytes() == earlier
    assert (target.parquet or Path()).joinpath("current").resolve() == export
    assert not list(target.file.parent.glob("*.publishing*"))


@pytest.mark.long
def test_an_erasure_reaches_the_copies(account: SandboxProcess, plain_file: LocalFile, target: PublishTarget) -> None:
    filled = plain_file
    sync("events", account, filled)
    Publisher(filled, target).publish()
    ((person,),) = query(filled, "SELECT profile_id FROM events WHERE profile_id IS NOT NULL ORDER BY id LIMIT 1")
    assert read(target.file, f"SELECT count(*) > 0 FROM klaviyo.events WHERE profile_id = '{person}'") == [(True,)]

    erased = Erasure(filled, "klaviyo").run(DataSubject.named(person))

    assert any("published.duckdb was written again" in note for note in erased.notes)
    assert read(target.file, f"SELECT count(*) FROM klaviyo.events WHERE profile_id = '{person}'") == [(0,)]
    assert person.encode() not in target.file.read_bytes()
    everything = f"read_parquet('{target.parquet}/*/klaviyo/events/*/*.parquet', union_by_name = true)"
    assert duckdb.sql(f"SELECT count(*) > 0, count(*) FILTER (profile_id = '{person}') FROM {everything}").fetchall() == [(True, 0)]


@pytest.mark.long
def test_a_copy_that_cannot_be_written_again_after_an_erasure_is_deleted(
    filled: LocalFile, target: PublishTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    Publisher(filled, target).publish()
    ((person,),) = query(filled, "SELECT profile_id FROM events WHERE profile_id IS NOT NULL ORDER BY id LIMIT 1")

    def fail(*_: object) -> None:
        raise WarehouseError("No.", "Nothing.")

    monkeypatch.setattr(LocalFile, "copy_to", fail)
    erased = Erasure(filled, "klaviyo").run(DataSubject.named(person))
    assert any("was deleted" in note for note in erased.notes)
    assert [path.name for path in target.file.parent.iterdir()] == ["published.duckdb.lock"]


@pytest.mark.long
def test_a_changed_field_rule_reaches_the_copies(new_account: Callable[..., SandboxProcess], warehouse: LocalFile, target: PublishTarget) -> None:
    account = new_account(profiles=30, events=0)
    sync("profiles", account, warehouse)
    Publisher(warehouse, target).publish()
    assert read(target.file, "SELECT count(first_name) > 0 FROM klaviyo.profiles") == [(True,)]

    report = sync_with_rules("profiles", account, warehouse, {"profiles": {"first_name": "drop"}})

    assert f"The published copy {target.file} was written again without the removed data." in report.notes
    assert read(target.file, "SELECT count(first_name) FROM klaviyo.profiles") == [(0,)]


@pytest.mark.long
def test_a_compaction_that_is_not_possible_after_a_changed_field_rule_is_noted_and_made_up_for(
    new_account: Callable[..., SandboxProcess], plain_file: LocalFile, target: PublishTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = new_account(profiles=30, events=0)
    sync("profiles", account, plain_file)
    Publisher(plain_file, target).publish()
    name = query(plain_file, "SELECT first_name FROM profiles WHERE length(first_name) > 5 ORDER BY ALL")[0][0].encode()
    rules = {"profiles": {"first_name": "drop"}}

    def busy(*_: object) -> None:
        raise WarehouseBusy("The database is open in another program (PID 7).", "Close it there.")

    with monkeypatch.context() as patch:
        patch.setattr(LocalFile, "compact_if_requested", busy)
        report = sync_with_rules("profiles", account, plain_file, rules)

    assert report.row.outcome == "succeeded"
    (note,) = [note for note in report.notes if "free blocks" in note]
    assert note.startswith("Values from before a field rule or an erasure may still be in free blocks of the file. The database is open in another")
    assert query(plain_file, "SELECT count(first_name) FROM profiles") == [(0,)]

    notes = sync_with_rules("profiles", account, plain_file, rules).notes

    assert notes == (f"The published copy {target.file} was written again without the removed data.",)
    assert name not in plain_file.path.read_bytes()
    assert name not in target.file.read_bytes()


@pytest.mark.long
def test_a_full_sync_that_was_interrupted_leaves_no_table_in_the_copy(
    filled: LocalFile, account: SandboxProcess, target: PublishTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("klaviyo_assets.load.rows.rebuild.Rebuild.replace_rows", lambda *_: pytest.fail("interrupted"))
    with pytest.raises(pytest.fail.Exception):
        sync("events", account, filled, SyncOptions(mode=SyncMode.full))
    Publisher(filled, target).publish()
    assert {name for (name,) in read(target.file, "SELECT table_name FROM duckdb_tables()")} == {"metrics", "events", "_syncs", "_published"}


def test_copies_that_an_earlier_version_has_noted_are_divided_as_it_did(tmp_path: Path, target: PublishTarget) -> None:
    target.file.parent.mkdir()
    target.file.touch()
    (tmp_path / "published.json").write_text(json.dumps({str(target.file): [str(target.parquet), "1"]}))

    assert registry.outdated(tmp_path, "1") == []
    assert registry.outdated(tmp_path, "2") == [registry.Copy(target, {"events": "datetime"})]

    registry.note(tmp_path, registry.Copy(target, {"orders": "placed"}), "2")
    assert registry.outdated(tmp_path, "2") == []
    assert registry.outdated(tmp_path, "3") == [registry.Copy(target, {"orders": "placed"})]


def test_without_a_database_there_is_nothing_to_publish(warehouse: LocalFile, target: PublishTarget) -> None:
    with pytest.raises(WarehouseError, match="There is no database"):
        Publisher(warehouse, target).publish()
    assert not target.file.exists()


def test_a_database_that_this_process_has_open_is_not_copied(filled: LocalFile, target: PublishTarget) -> None:
    """Reading the file would release the lock of that connection."""
    with (
        duckdb.connect(str(filled.path), config={"storage_compatibility_version": "v1.5.0"}),
        pytest.raises(WarehouseError, match="open in this process"),
    ):
        Publisher(filled, target).publish()


@pytest.fixture(scope="module")
def stored_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Path of a copy of the folder with the stored rows; the first test that needs it creates it."""
    return tmp_path_factory.mktemp("stored") / "folder"


@pytest.fixture
def stored(warehouse: LocalFile, stored_folder: Path) -> LocalFile:
    """A database with two metrics and an event that no sandbox had to serve."""
    rows = {"metrics": [{"id": "m1"}, {"id": "m2"}], "events": [{"id": "e", "datetime": START}]}
    fill_once(warehouse, stored_folder, lambda: StoredAccount(warehouse, "metrics").sync(rows))
    return warehouse


@pytest.mark.long
def test_the_version_of_a_copy_changes_with_its_rows_and_always_with_tables_of_other_programs(stored: LocalFile, target: PublishTarget) -> None:
    publisher = Publisher(stored, PublishTarget(target.file))
    version = publisher.publish().version
    assert publisher.publish().version == version

    with stored.transaction() as connection:
        connection.execute("CREATE TABLE notes AS SELECT 'mine' AS text")
    versions = {publisher.publish().version for _ in range(2)}
    assert len(versions | {version}) == 3
    assert read(target.file, "FROM notes") == [("mine",)]


@pytest.mark.parametrize("kept", [True, False], ids=["the state is there", "the state was left behind"])
def test_a_sync_that_was_killed_does_not_postpone_the_copy(kept: bool, stored: LocalFile, target: PublishTarget) -> None:
    query(stored, "UPDATE _syncs SET outcome = 'running', rows_inserted = 5 WHERE resource_type = 'metrics'")
    if kept:
        (stored.state_dir / "klaviyo").mkdir()
    else:
        shutil.rmtree(stored.state_dir)

    assert Publisher(stored, PublishTarget(target.file)).publish().incomplete == ("metrics",)


def test_a_warehouse_that_is_no_file_is_not_published(tmp_path: Path, target: PublishTarget) -> None:
    with pytest.raises(WarehouseError) as caught:
        Publisher(AttachedDatabase(tmp_path), target).publish()

    assert str(caught.value) == (
        "This warehouse cannot be published: only a DuckDB file can. What to do: Leave out publish=; readers can open this warehouse directly."
    )
    assert not target.file.parent.exists()


def test_a_copy_that_another_process_keeps_writing_is_not_written(stored: LocalFile, target: PublishTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("klaviyo_assets.publish.publisher._SECONDS_A_TRY", 0.01)
    monkeypatch.setattr("klaviyo_assets.publish.publisher._LOCK_TIMEOUT", 0)
    target.file.parent.mkdir()

    with FileLock(f"{target.file}.lock"), pytest.raises(WarehouseBusy) as caught:
        Publisher(stored, target).publish()

    assert caught.value.summary == f"Another process has been writing {target.file} for 0 seconds."
    assert caught.value.advice == "See whether a run hangs, then publish again."
    assert not target.file.exists()


@pytest.mark.long
@pytest.mark.parametrize("with_parquet", [True, False])
@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC], ids=errno.errorcode.get)
def test_a_copy_that_the_disk_does_not_take_leaves_the_earlier_one_and_no_remains(
    number: int, with_parquet: bool, stored: LocalFile, target: PublishTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher = Publisher(stored, target if with_parquet else PublishTarget(target.file))
    publisher.publish()
    files, earlier = sorted(target.file.parent.rglob("*")), target.file.read_bytes()

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing(number))
        with pytest.raises(WarehouseError, match=r"could not be written: the disk .* then publish again"):
            publisher.publish()

    assert sorted(target.file.parent.rglob("*")) == files
    assert target.file.read_bytes() == earlier
    publisher.publish()


def test_a_file_system_that_cannot_flush_folders_gets_a_copy_too(stored: LocalFile, target: PublishTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    flush = os.fsync

    def flush_files_only(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", flush_files_only)
    Publisher(stored, target).publish()

    assert read(target.file, "SELECT count(*) FROM klaviyo.metrics") == [(2,)]


def test_an_error_of_duckdb_is_explained_and_leaves_the_earlier_copy(stored: LocalFile, target: PublishTarget) -> None:
    """A table's name is too long for a Parquet file, as an example of DuckDB's errors while it writes, such as that of a full disk."""
    publisher = Publisher(stored, target)
    publisher.publish()
    files, earlier = sorted(target.file.parent.rglob("*")), target.file.read_bytes()
    with stored.transaction() as connection:
        connection.execute(f"CREATE TABLE {'x' * 260} AS SELECT 1")

    with pytest.raises(WarehouseError, match="parquet could not be opened, read or written: the name is too long for the f") as caught:
        publisher.publish()

    assert caught.value.advice == "Use a shorter path; then run again."
    assert sorted(target.file.parent.rglob("*")) == files
    assert target.file.read_bytes() == earlier


@pytest.mark.long
def test_a_damaged_block_of_the_database_is_not_taken_for_a_damaged_copy(stored: LocalFile, target: PublishTarget) -> None:
    with stored.transaction() as connection:
        connection.execute("CREATE TABLE mine AS SELECT md5(range::VARCHAR) AS text FROM range(100_000)")
    publisher = Publisher(stored, target)
    publisher.publish()
    earlier = target.file.read_bytes()
    with stored.path.open("r+b") as file:
        file.seek(stored.path.stat().st_size // 2)  # in that table, which is most of the file
        file.write(bytes(1000))

    with pytest.raises(WarehouseError, match=r"^The published copy .*published\.duckdb could not be written \(.*Corrupt database file") as caught:
        publisher.publish()

    assert caught.value.advice == "Check the disk, its free space, and memory; then publish again."
    assert target.file.read_bytes() == earlier


@pytest.mark.long
def test_a_copy_that_duckdb_cannot_write_again_after_data_was_removed_is_deleted(stored: LocalFile, target: PublishTarget) -> None:
    Publisher(stored, target).publish()
    with stored.transaction() as connection:
        connection.execute(f"CREATE TABLE {'x' * 260} AS SELECT 1")
    stored.request_compaction()
    stored.compact_if_requested()

    (note,) = rewrite_outdated(stored)

    assert note.startswith(f"The published copy {target.file} was deleted, because it held removed data and could not be written again.")
    assert [path.name for path in target.file.parent.iterdir()] == ["published.duckdb.lock"]


DAMAGED = {"empty": b"", "zeros": bytes(100), "a list": b"[]", "cut short": b'{"compactions": ""', "without files": b'{"compactions": ""}'}


@pytest.mark.long
@pytest.mark.parametrize("left", DAMAGED.values(), ids=DAMAGED)
def test_after_a_crash_that_damages_the_list_of_an_export_all_its_files_are_written(left: bytes, stored: LocalFile, target: PublishTarget) -> None:
    publisher = Publisher(stored, target)
    written, _ = publisher.publish().parquet_files
    assert target.parquet is not None
    (target.parquet / "current" / "manifest.json").write_bytes(left)

    assert publisher.publish().parquet_files == (written, 0)
    assert publisher.publish().parquet_files == (written - 1, 1), "the month of the event is taken over"
    assert [row[0] for row in exported(target, "events")] == ["e"]


@pytest.mark.long
@pytest.mark.parametrize("left", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_list_of_copies_is_named_instead_of_forgetting_copies(left: bytes, stored: LocalFile, target: PublishTarget) -> None:
    Publisher(stored, target).publish()
    listed = stored.state_dir / "published.json"
    listed.write_bytes(left)

    for work in (Publisher(stored, target).publish, lambda: rewrite_outdated(stored)):
        with pytest.raises(WarehouseError, match=r"published\.json is damaged: .* What to do: Delete it, then publish each copy again"):
            work()
    assert listed.read_bytes() == left

    listed.unlink()
    Publisher(stored, target).publish()
    assert registry.outdated(stored.state_dir, "another") != []


@pytest.mark.long
def test_a_sync_says_that_the_list_of_copies_is_damaged_and_nothing_about_free_blocks(
    filled: LocalFile, account: SandboxProcess, target: PublishTarget
) -> None:
    Publisher(filled, target).publish()
    (filled.state_dir / "published.json").write_bytes(b"")

    (note,) = sync("metrics", account, filled).notes

    assert note.startswith("Published copies could not be checked for removed data. ")
    assert "published.json is damaged" in note


def _damage_the_list(stored: LocalFile, _: PublishTarget) -> None:
    (stored.state_dir / "published.json").write_bytes(b"")


def _put_a_folder_in_the_place_of_the_copy(_: LocalFile, target: PublishTarget) -> None:
    target.file.unlink()
    target.file.mkdir()


@pytest.mark.long
@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_damage_the_list, "published.json is damaged"),
        (_put_a_folder_in_the_place_of_the_copy, "published.duckdb could not be deleted: something that is not"),
    ],
)
def test_an_erasure_that_does_not_reach_the_copies_says_so_in_its_notes(
    spoil: Callable[[LocalFile, PublishTarget], None], words: str, filled: LocalFile, target: PublishTarget
) -> None:
    Publisher(filled, target).publish()
    spoil(filled, target)
    ((person,),) = query(filled, "SELECT profile_id FROM events WHERE profile_id IS NOT NULL ORDER BY id LIMIT 1")

    erased = Erasure(filled, "klaviyo").run(DataSubject.named(person))

    assert [one.table for one in erased.found] == ["events"]
    assert query(filled, f"SELECT count(*) FROM events WHERE profile_id = '{person}'") == [(0,)]
    (note,) = [note for note in erased.notes if "copies" in note]
    assert note.startswith("The person was erased from the database, but published copies may still hold the person. ")
    assert words in note
    assert not erased.copies_reached
    assert erase(person, database=str(filled.path)) == 1, "a script must see that the person may be left in a copy"


def test_copies_that_were_deleted_are_forgotten(tmp_path: Path, target: PublishTarget) -> None:
    target.file.parent.mkdir()
    other = PublishTarget(target.file.with_name("other.duckdb"))
    for one in (target, other):
        one.file.touch()
        registry.note(tmp_path, registry.Copy(one, {}), "1")
    other.file.unlink()

    assert registry.outdated(tmp_path, "2") == [registry.Copy(target, {})]
    assert list(json.loads((tmp_path / "published.json").read_bytes())) == [str(target.file)]

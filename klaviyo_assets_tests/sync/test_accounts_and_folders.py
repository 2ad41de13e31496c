"""Accounts of schemas, staged files of interrupted syncs, paths and names."""

import asyncio
import errno
import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import polars as pl
import pytest
from filelock import FileLock
from polars.testing import assert_frame_equal

from klaviyo_assets.api.auth import parse_api_key
from klaviyo_assets.api.client import KlaviyoClient
from klaviyo_assets.api.client_settings import ClientSettings
from klaviyo_assets.api.klaviyo_errors import RequestFailed
from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.errors import AccountMismatch, FolderFailed, InvalidRange, StillLocked, SyncError
from klaviyo_assets.extract.sync_options import SyncMode, SyncOptions, parse_user_time
from klaviyo_assets.load.batch import Batch
from klaviyo_assets.load.loader import Loader
from klaviyo_assets.sandbox.keys import ALL_SCOPES_KEY, RECOMMENDED_SCOPES_KEY
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.staging import staging
from klaviyo_assets.staging.manifest import Manifest
from klaviyo_assets.state.identity import UNKNOWN_ACCOUNT, Identity, identify, remember
from klaviyo_assets.state.sync_log import SyncLogEntry
from klaviyo_assets.state.time_zone import account_time_zone
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import in_small_pages, local_file, query, sync, table, truth

NewAccount = Callable[..., SandboxProcess]

pytestmark = pytest.mark.long


def test_a_key_of_another_account_is_rejected_and_nothing_changes(account: SandboxProcess, new_account: NewAccount, warehouse: LocalFile) -> None:
    sync("lists", account, warehouse)
    other = new_account(seed=99)

    with pytest.raises(AccountMismatch, match="and the API key belongs to account"):
        sync("lists", other, warehouse)

    assert_frame_equal(table(warehouse, "lists"), truth(account, "lists"))


def test_a_new_key_with_an_unknown_account_is_rejected(account: SandboxProcess, new_account: NewAccount, warehouse: LocalFile) -> None:
    sync("lists", account, warehouse)
    other = new_account(seed=99)

    with pytest.raises(AccountMismatch, match="it is unknown whether the API key") as caught:
        sync("lists", other, warehouse, key=other.keys.recommended_scopes)

    assert "KLAVIYO_ACCOUNT_ID" in str(caught.value)
    assert_frame_equal(table(warehouse, "lists"), truth(account, "lists"))


def test_a_new_key_is_accepted_if_the_user_sets_its_account(account: SandboxProcess, warehouse: LocalFile) -> None:
    sync("lists", account, warehouse)
    ((account_id,),) = query(warehouse, "SELECT DISTINCT account_id FROM _syncs")

    sync("lists", account, warehouse, key=RECOMMENDED_SCOPES_KEY, account_id=account_id)
    assert sync("lists", account, warehouse, key=RECOMMENDED_SCOPES_KEY).row.account_id == account_id, (
        "a key that has filled the schema before is known"
    )


def test_earlier_rows_get_the_account_once_it_is_known(account: SandboxProcess, warehouse: LocalFile) -> None:
    assert sync("events", account, warehouse, key=RECOMMENDED_SCOPES_KEY).row.account_id == "unknown"

    known = sync("lists", account, warehouse, key=ALL_SCOPES_KEY).row.account_id

    assert query(warehouse, "SELECT DISTINCT account_id FROM _syncs") == [(known,)]
    assert query(warehouse, "SELECT DISTINCT account_id FROM _coverage") == [(known,)]


def test_the_account_is_requested_once(new_account: NewAccount, warehouse: LocalFile) -> None:
    sandbox = new_account(events=10, profiles=5)
    for name in ("lists", "segments", "lists"):
        sync(name, sandbox, warehouse)

    assert sandbox.stats()["endpoints"]["/api/accounts"]["requests"] == 1


def test_a_full_sync_without_records_does_not_change_the_table(new_account: NewAccount, warehouse: LocalFile) -> None:
    sandbox = new_account(events=0, profiles=40)
    sync("profiles", sandbox, warehouse)
    before = table(warehouse, "profiles")
    for id_ in before["id"]:
        sandbox.change("delete", type="profiles", id=id_)

    report = sync("profiles", sandbox, warehouse, SyncOptions(mode=SyncMode.full))

    assert "Klaviyo returned no profiles at all" in report.notes[0]
    assert_frame_equal(table(warehouse, "profiles"), before)


def interrupt_sync(sandbox: SandboxProcess, warehouse: LocalFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a sync of events that fails and leaves staged files."""
    monkeypatch.setattr("klaviyo_assets.api.retries.BACKOFF_BASE", 0.01)
    sandbox.faults({"path": "/api/events", "kind": "503", "times": None, "after": 5})
    with pytest.raises(RequestFailed):
        sync("events", sandbox, warehouse, concurrency=2)
    sandbox.clear_faults()


@pytest.mark.oldest
def test_damaged_staged_files_are_read_again(new_account: NewAccount, warehouse: LocalFile, monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox = new_account()
    interrupt_sync(sandbox, warehouse, monkeypatch)
    staged = next((warehouse.state_dir / "klaviyo" / "staging" / "events").rglob("*.parquet"))
    staged.write_bytes(staged.read_bytes()[:100])

    report = sync("events", sandbox, warehouse)

    assert not report.resumed
    assert "are damaged; their records are read again" in report.notes[0]
    assert_frame_equal(table(warehouse, "events"), truth(sandbox, "events"))


def test_staged_files_dated_later_than_now_are_read_again(new_account: NewAccount, warehouse: LocalFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sync with a clock that was hours ahead was interrupted: its coverage of future times is not trusted."""
    sandbox = new_account()
    interrupt_sync(sandbox, warehouse, monkeypatch)
    manifest = next((warehouse.state_dir / "klaviyo" / "staging" / "events").rglob("manifest.json"))
    written = msgspec.json.decode(manifest.read_bytes(), type=Manifest)
    written.read_at += timedelta(hours=6)
    manifest.write_bytes(msgspec.json.encode(written))

    report = sync("events", sandbox, warehouse)

    assert not report.resumed
    assert "dated later than now, by a wrong clock; their records are read again" in report.notes[0]
    assert_frame_equal(table(warehouse, "events"), truth(sandbox, "events"))


def test_staged_files_of_another_state_of_the_database_are_read_again(
    new_account: NewAccount, warehouse: LocalFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backup of the file was restored after a sync had been interrupted: what the sync committed is gone, so its files are not enough."""
    sandbox = new_account()
    interrupt_sync(sandbox, warehouse, monkeypatch)
    backup = warehouse.path.read_bytes()
    interrupt_sync(sandbox, warehouse, monkeypatch)
    warehouse.path.write_bytes(backup)

    report = sync("events", sandbox, warehouse)

    assert not report.resumed
    assert "The staged files of an interrupted sync of events belong to another state of the database; their records are read again." in report.notes
    assert_frame_equal(table(warehouse, "events"), truth(sandbox, "events"))


def test_staged_files_that_cannot_be_loaded_because_of_the_disk_are_kept(
    new_account: NewAccount, warehouse: LocalFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = new_account()
    interrupt_sync(sandbox, warehouse, monkeypatch)
    folder = warehouse.state_dir / "klaviyo" / "staging" / "events"
    files = {path.name: path.read_bytes() for path in folder.rglob("*.parquet")}

    def fail_to_load(*_: object, **__: object) -> None:
        raise duckdb.IOException("IO Error: No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Loader, "load", fail_to_load)
        with pytest.raises(duckdb.IOException, match="No space left"):
            sync("events", sandbox, warehouse)

    assert {path.name: path.read_bytes() for path in folder.rglob("*.parquet")} == files
    assert sync("events", sandbox, warehouse).resumed
    assert_frame_equal(table(warehouse, "events"), truth(sandbox, "events"))


@pytest.mark.oldest
@pytest.mark.parametrize("max_rows", [1, 60, 1_000_000])
def test_staged_files_of_an_interrupted_sync_are_loaded_in_parts(
    max_rows: int, new_account: NewAccount, warehouse: LocalFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("klaviyo_assets.api.retries.BACKOFF_BASE", 0.01)
    monkeypatch.setattr("klaviyo_assets.staging.staging.ROWS_PER_FILE", 50)
    monkeypatch.setattr("klaviyo_assets.sync.resume.MAX_ROWS_PER_LOAD", max_rows)
    sandbox = new_account(events=600)
    sandbox.faults({"path": "/api/events", "kind": "503", "times": None, "after": 14})
    with pytest.raises(RequestFailed):
        sync(in_small_pages("events"), sandbox, warehouse, concurrency=2)
    sandbox.clear_faults()
    files = list((warehouse.state_dir / "klaviyo" / "staging" / "events").rglob("*.parquet"))
    loads: list[Batch] = []
    load = Loader.load

    def counted(self: Loader, batch: Batch, row: SyncLogEntry, **named: Any) -> None:
        loads.append(batch)
        load(self, batch, row, **named)

    with monkeypatch.context() as patched:
        patched.setattr(Loader, "load", counted)
        patched.setattr("klaviyo_assets.sync.sync_runner.plan_sync", fail)
        with pytest.raises(RequestFailed):
            sync(in_small_pages("events"), sandbox, warehouse)

    assert len(files) > 2
    assert [bool(batch.covered) for batch in loads] == [False] * (len(loads) - 1) + [True], "the last part has the coverage"
    assert sorted(path.name for batch in loads for path in batch.files) == sorted(path.name for path in files)
    assert all(batch.rows <= max_rows or len(batch.files) == 1 for batch in loads)
    assert len(loads) == {1: len(files), 1_000_000: 1}.get(max_rows, len(loads))
    assert max_rows > 600 or len(loads) > 2
    sync(in_small_pages("events"), sandbox, warehouse)
    assert_frame_equal(table(warehouse, "events"), truth(sandbox, "events"))


async def fail(*_: object) -> None:
    raise RequestFailed("The test ends here.")


def test_an_accounts_endpoint_that_does_not_respond_does_not_delay_syncs(
    new_account: NewAccount, warehouse: LocalFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("klaviyo_assets.state.identity._TIMEOUT", 0.5)
    sandbox = new_account()
    sandbox.faults({"path": "/api/accounts", "kind": "429", "seconds": 5, "times": None})

    (note,) = sync("lists", sandbox, warehouse, max_retries=6).notes

    assert sandbox.stats()["endpoints"]["/api/accounts"]["requests"] == 1, "one request, without retries"
    assert "is unknown (Klaviyo has not named it within" in note
    assert "accounts:read)" not in note
    sandbox.clear_faults()
    assert sync("lists", sandbox, warehouse).row.account_id == truth(sandbox, "accounts")["id"][0]


def test_a_note_says_why_the_request_for_the_account_failed(new_account: NewAccount, warehouse: LocalFile) -> None:
    sandbox = new_account()
    sandbox.faults({"path": "/api/accounts", "kind": "500", "times": None})

    (note,) = sync("lists", sandbox, warehouse, max_retries=0).notes

    assert "is unknown (the request for it failed: " in note
    assert "GET /api/accounts: 500" in note
    assert "accounts:read)" not in note


def test_the_wait_for_another_process_that_requests_the_account_is_limited(
    account: SandboxProcess, warehouse: LocalFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("klaviyo_assets.state.identity._TIMEOUT", 0.5)
    sync("lists", account, warehouse)
    with FileLock(str(warehouse.state_dir / "identity.lock")):
        report = sync("lists", account, warehouse)

    assert report.row.account_id == truth(account, "accounts")["id"][0], "the stored account is used"


def test_a_lock_held_by_another_process_is_not_reported_as_a_full_disk(
    account: SandboxProcess, warehouse: LocalFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("klaviyo_assets.state.identity._TIMEOUT", 0.1)
    monkeypatch.setattr("klaviyo_assets.state.identity._WRITE_TIMEOUT", 0.1)
    with FileLock(str(warehouse.state_dir / "identity.lock")), pytest.raises(StillLocked, match=r"identity\.lock locked") as caught:
        sync("lists", account, warehouse)

    assert "disk" not in str(caught.value)
    assert query(warehouse, "SELECT outcome FROM _syncs") == [("failed",)]


@pytest.mark.parametrize(
    ("number", "advice"),
    [(errno.ENOSPC, "Make room"), (errno.EACCES, "permission"), (errno.EROFS, "permission"), (errno.EMFILE, "ulimit"), (errno.ENOLCK, "locks")],
)
def test_the_advice_about_a_folder_matches_the_error(number: int, advice: str) -> None:
    assert advice in FolderFailed(OSError(number, os.strerror(number), "a file")).advice


@pytest.mark.parametrize("name", ["lists", "events"])
def test_a_file_in_place_of_a_folder_for_staged_files_is_named(name: str, account: SandboxProcess, warehouse: LocalFile) -> None:
    folder = warehouse.state_dir / "klaviyo" / "staging"
    folder.mkdir(parents=True)
    (folder / name).write_text("mine")

    with pytest.raises(FolderFailed) as caught:
        sync(name, account, warehouse)

    assert f"The files {folder / name}" in str(caught.value)
    assert "next to the database could not be written or read" in str(caught.value)
    assert (folder / name).read_text() == "mine"
    assert query(warehouse, "SELECT outcome FROM _syncs") == [("failed",)]
    (folder / name).unlink()
    sync(name, account, warehouse)
    assert_frame_equal(table(warehouse, name), truth(account, name))


def test_a_full_disk_that_polars_reports_is_an_error_of_the_folder(
    account: SandboxProcess, warehouse: LocalFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise pl.exceptions.ComputeError("No space left on device (os error 28)")

    with monkeypatch.context() as patch:
        patch.setattr(staging, "_write_parquet", full)
        with pytest.raises(FolderFailed, match=r"could not be written or read \(No space left on device.*Make room on the disk"):
            sync("lists", account, warehouse)

    assert query(warehouse, "SELECT outcome, error_class FROM _syncs") == [("failed", "ComputeError")]
    sync("lists", account, warehouse)
    assert_frame_equal(table(warehouse, "lists"), truth(account, "lists"))


def test_an_error_of_polars_about_something_else_is_not_explained_as_a_full_disk(
    account: SandboxProcess, warehouse: LocalFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> int:
        raise pl.exceptions.ComputeError("cannot cast List to String")

    monkeypatch.setattr(staging, "_write_parquet", fail)
    with pytest.raises(pl.exceptions.ComputeError, match="cannot cast List to String"):
        sync("lists", account, warehouse)

    assert query(warehouse, "SELECT outcome, error_class FROM _syncs") == [("failed", "ComputeError")]


def test_a_failure_that_cannot_be_recorded_is_logged_and_the_first_error_is_raised(
    account: SandboxProcess, warehouse: LocalFile, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    sync("lists", account, warehouse)
    before = warehouse.path.read_bytes()

    async def lose_the_database(*_: object) -> None:
        warehouse.path.write_bytes(b"no database" * 1000)
        raise RequestFailed("The test ends here.")

    with monkeypatch.context() as patch:
        patch.setattr("klaviyo_assets.sync.sync_runner.plan_sync", lose_the_database)
        with pytest.raises(RequestFailed, match="The test ends here"):
            sync("lists", account, warehouse)

    (logged,) = [one for one in caplog.records if "could not be written to _syncs" in one.getMessage()]
    assert logged.levelname == "WARNING"
    assert "klaviyo.duckdb" in logged.getMessage()
    assert not logged.exc_info, "a sentence, not a traceback"
    warehouse.path.write_bytes(before)
    sync("lists", account, warehouse)
    assert_frame_equal(table(warehouse, "lists"), truth(account, "lists"))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 200,
        b"[]",
        b"null",
        b'"text"',
        b'{"salt":',
        b"{}",
        b'{"salt": 7}',
        b'{"salt": "not hexadecimal at all, not at all"}',
        b'{"salt": "abcd"}',
        b'{"salt": "' + b"ab" * 40 + b'"}',
        b'{"salt": "' + b"ab" * 16 + b'", "accounts": []}',
        b'{"salt": "' + b"ab" * 16 + b'", "schemas": {"klaviyo": "x"}}',
        b"\xff\xfe\x00",
        b"[" * 100_000,
    ],
    ids=lambda content: content[:40].decode("latin-1"),
)
def test_a_damaged_identity_file_is_created_again(content: bytes, account: SandboxProcess, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "identity.json").write_bytes(content)

    async def run() -> list[Identity]:
        async with KlaviyoClient(parse_api_key(ALL_SCOPES_KEY), ClientSettings(base_url=account.base_url)) as client:
            first = await identify(client, tmp_path, "klaviyo", account_id="ABC123")
            await remember(client, tmp_path, "klaviyo")
            return [first, await identify(client, tmp_path, "klaviyo", account_id="ABC123")]

    assert [one.seen for one in asyncio.run(run())] == [False, True]
    assert "identity.json cannot be read and is created again" in caplog.text
    assert ALL_SCOPES_KEY.encode() not in (tmp_path / "identity.json").read_bytes()


def test_the_account_of_a_key_is_requested_from_each_server(new_account: NewAccount, warehouse: LocalFile) -> None:
    first, second = new_account(seed=1), new_account(seed=2)
    sync("lists", first, warehouse)

    with pytest.raises(AccountMismatch, match="belongs to account"):
        sync("lists", second, warehouse)
    assert sync("lists", first, warehouse).row.outcome == "succeeded"


def test_a_key_recorded_by_an_earlier_version_counts_for_one_server(account: SandboxProcess, tmp_path: Path) -> None:
    salt = bytes(range(16))
    earlier = hashlib.blake2b(RECOMMENDED_SCOPES_KEY.encode(), salt=salt, digest_size=16).hexdigest()
    content = {"salt": salt.hex(), "accounts": {earlier: "unknown"}, "schemas": {"klaviyo": [earlier]}}
    (tmp_path / "identity.json").write_text(json.dumps(content))

    async def run(base_url: str, *, fills: bool) -> bool:
        async with KlaviyoClient(parse_api_key(RECOMMENDED_SCOPES_KEY), ClientSettings(base_url=base_url)) as client:
            found = await identify(client, tmp_path, "klaviyo", account_id="ABC123")
            if fills:
                await remember(client, tmp_path, "klaviyo")
            return found.seen

    assert asyncio.run(run("https://a.klaviyo.com", fills=False))
    assert asyncio.run(run(account.base_url, fills=True))
    assert asyncio.run(run(account.base_url, fills=False))
    assert not asyncio.run(run("http://127.0.0.1:9", fills=False))


def test_a_folder_name_that_looks_like_a_partition_is_allowed(account: SandboxProcess, tmp_path: Path) -> None:
    warehouse = local_file(tmp_path / "id=shop1")

    sync("lists", account, warehouse)

    assert_frame_equal(table(warehouse, "lists"), truth(account, "lists"))


def test_an_end_far_in_the_future_does_not_change_the_clock(account: SandboxProcess, warehouse: LocalFile) -> None:
    sync("lists", account, warehouse)
    with warehouse.connection() as connection:
        connection.execute("UPDATE klaviyo.klaviyo._syncs SET finished_at = finished_at + INTERVAL 1 YEAR")

    report = sync("lists", account, warehouse)

    assert report.row.finished_at is not None
    assert report.row.finished_at - report.row.started_at < timedelta(minutes=5)


@pytest.mark.parametrize("schema", ["", "a/b", "..", "two words"])
def test_an_invalid_schema_name_is_rejected(schema: str, account: SandboxProcess, warehouse: LocalFile) -> None:
    with pytest.raises(SyncError, match="cannot be the name of a schema"):
        sync("lists", account, warehouse, schema=schema)


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+14:00", "tomorrow", "2026-13-01"])
def test_an_invalid_start_is_rejected(text: str) -> None:
    with pytest.raises(InvalidRange, match="start is not a date"):
        parse_user_time(text, "start")


def test_the_account_is_read_as_the_catalog_in_use_says(account: SandboxProcess, tmp_path: Path) -> None:
    """A user's own catalog may replace the type of the account, for example with an endpoint of a gateway."""
    elsewhere = replace(CATALOG.account_type, endpoint=replace(CATALOG.account_type.endpoint, path="/api/elsewhere"))
    replaced = CATALOG.updated({elsewhere.name: elsewhere})
    (tmp_path / "other").mkdir()

    async def run() -> tuple[Identity, Identity]:
        async with KlaviyoClient(parse_api_key(ALL_SCOPES_KEY), ClientSettings(base_url=account.base_url)) as client:
            known = await identify(client, tmp_path, "klaviyo")
            unknown = await identify(client, tmp_path / "other", "klaviyo", catalog=replaced)
            assert (await account_time_zone(client, tmp_path, known.account_id)).key
            with pytest.raises(SyncError, match="/api/elsewhere"):
                await account_time_zone(client, tmp_path / "other", known.account_id, catalog=replaced)
            return known, unknown

    known, unknown = asyncio.run(run())
    assert (known.failure, unknown.account_id) == (None, UNKNOWN_ACCOUNT)
    assert "/api/elsewhere" in (unknown.failure or "")

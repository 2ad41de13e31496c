"""Locks of files and accounts, so that one process syncs an account at a time."""

import asyncio
import os
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from klaviyo_assets._internal import cancellation
from klaviyo_assets._internal.threads import in_thread
from klaviyo_assets.api.auth import parse_api_key
from klaviyo_assets.api.client import KlaviyoClient
from klaviyo_assets.api.client_settings import ClientSettings
from klaviyo_assets.errors import SyncAlreadyRunning
from klaviyo_assets.sandbox.keys import ALL_SCOPES_KEY, RECOMMENDED_SCOPES_KEY
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.state.locks import account_folder, sync_lock, sync_lock_in_loop
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import local_file, sync

pytestmark = pytest.mark.long

NewAccount = Callable[..., SandboxProcess]


def test_a_link_to_the_file_has_the_same_locks(account: SandboxProcess, warehouse: LocalFile, tmp_path: Path) -> None:
    sync("lists", account, warehouse)
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "klaviyo.duckdb").symlink_to(warehouse.path)

    with sync_lock(warehouse.state_dir / "klaviyo", "lists", "run-1"), pytest.raises(SyncAlreadyRunning, match="run-1"):
        sync("lists", account, local_file(tmp_path / "links"))


def lock_folder(sandbox: SandboxProcess, account_id: str, key: str = ALL_SCOPES_KEY) -> Path:
    async def run() -> Path | None:
        async with KlaviyoClient(parse_api_key(key), ClientSettings(base_url=sandbox.base_url)) as client:
            return account_folder(client, account_id)

    folder = asyncio.run(run())
    assert folder is not None
    return folder


@pytest.mark.oldest
def test_an_account_is_synced_by_one_process_at_a_time_even_into_several_databases(
    account: SandboxProcess, warehouse: LocalFile, tmp_path: Path
) -> None:
    account_id = sync("lists", account, warehouse).row.account_id
    other = local_file(tmp_path / "other")

    with sync_lock(lock_folder(account, account_id), "lists", "run-1"):
        with pytest.raises(SyncAlreadyRunning, match="lists is being synced already into another database or schema by run run-1; nothing was done"):
            sync("lists", account, other)
        assert sync("flows", account, other).row.outcome == "succeeded", "another type has its own lock"

    assert sync("lists", account, other).row.outcome == "succeeded"


def test_an_unknown_account_is_locked_by_its_key(account: SandboxProcess, new_account: NewAccount, tmp_path: Path) -> None:
    with sync_lock(lock_folder(account, "unknown", RECOMMENDED_SCOPES_KEY), "lists", None):
        with pytest.raises(SyncAlreadyRunning):
            sync("lists", account, local_file(tmp_path / "one"), key=RECOMMENDED_SCOPES_KEY)
        other = new_account(seed=99)
        sync("lists", other, local_file(tmp_path / "two"), key=other.keys.recommended_scopes)


def test_lock_paths_reveal_neither_key_nor_account(account: SandboxProcess) -> None:
    folders = [lock_folder(account, "unknown", RECOMMENDED_SCOPES_KEY), lock_folder(account, "ABC123")]

    assert len({*folders}) == 2
    for folder in folders:
        assert RECOMMENDED_SCOPES_KEY not in str(folder)
        assert "ABC123" not in str(folder)
        assert folder.parent.stat().st_mode & 0o077 == 0


def test_a_sync_runs_even_if_the_lock_folder_cannot_be_created(
    account: SandboxProcess, warehouse: LocalFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "no folder"
    file.write_text("")
    monkeypatch.setattr("tempfile.tempdir", str(file))

    assert sync("lists", account, warehouse).row.outcome == "succeeded"


@pytest.mark.parametrize("kind", ["a link", "a folder that anyone can write to"])
def test_locks_are_not_created_in_a_folder_that_others_control(
    kind: str, account: SandboxProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    elsewhere, root = tmp_path / "elsewhere", tmp_path / f"klaviyo_assets-{os.getuid()}"
    elsewhere.mkdir()
    if kind == "a link":
        root.symlink_to(elsewhere)
    else:
        root.mkdir()
        root.chmod(0o777)

    async def run() -> Path | None:
        async with KlaviyoClient(parse_api_key(ALL_SCOPES_KEY), ClientSettings(base_url=account.base_url)) as client:
            return account_folder(client, "ABC123")

    assert asyncio.run(run()) is None
    assert not list(root.iterdir())


async def acquired_while(folder: Path, other: Callable[[], None]) -> None:
    async with sync_lock_in_loop(folder, "events", "run-2", waits=True):
        other()


def test_a_cancelled_wait_ends_at_once_and_leaves_the_lock_to_its_holder(tmp_path: Path) -> None:
    reached: list[str] = []

    async def cancel() -> None:
        waiting = asyncio.create_task(acquired_while(tmp_path, lambda: reached.append("acquired")))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait({waiting})
        assert waiting.cancelled()

    with sync_lock(tmp_path, "events", "run-1"):
        asyncio.run(cancel())
        assert (tmp_path / "events.holder").read_text() == "run-1"
    assert not reached
    with sync_lock(tmp_path, "events", "run-3"):
        pass


def test_a_wait_in_a_thread_ends_when_its_work_is_cancelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cancellation.Reminder.__init__, "__defaults__", (0.0,))
    waits = threading.Event()
    monkeypatch.setattr(cancellation._log, "warning", lambda *_: waits.set())

    def build() -> None:
        with sync_lock(tmp_path, "_marts", "run-2", waits=True):
            pass

    async def cancel() -> None:
        waiting = asyncio.create_task(in_thread(build))
        await asyncio.to_thread(waits.wait)
        waiting.cancel()
        await asyncio.wait({waiting})
        assert waiting.cancelled()

    with sync_lock(tmp_path, "_marts", "run-1"):
        asyncio.run(cancel())


def test_while_a_sync_waits_others_in_its_event_loop_go_on(tmp_path: Path) -> None:
    lock, order = ExitStack(), list[str]()
    lock.enter_context(sync_lock(tmp_path, "events", "run-1"))

    async def both() -> None:
        waiting = asyncio.create_task(acquired_while(tmp_path, lambda: order.append("waiting")))
        await asyncio.sleep(0)
        order.append("another")
        lock.close()
        await waiting

    asyncio.run(both())

    assert order == ["another", "waiting"]


def test_the_other_step_of_one_run_is_called_so(tmp_path: Path) -> None:
    lock = sync_lock(tmp_path, "events", "run-1")
    with sync_lock(tmp_path, "events", "run-1"), pytest.raises(SyncAlreadyRunning, match="synced already by another step of this run; nothing"), lock:
        pass

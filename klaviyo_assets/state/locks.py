"""Locks: one sync of a resource type at a time per schema, and per account on this machine."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from filelock import Timeout

from klaviyo_assets._internal import cancellation, machine_folder, private_files
from klaviyo_assets._internal.file_lock import acquire, file_lock
from klaviyo_assets.api.client import KlaviyoClient
from klaviyo_assets.errors import SyncAlreadyRunning
from klaviyo_assets.state.identity import UNKNOWN_ACCOUNT

MARTS = "_marts"
"""Name of the lock of those who build the marts; no resource type can have it."""

LONGEST_WAIT = 6 * 3600.0
"""Seconds that a run waits for the lock, if it waits at all. A sync of a few days takes minutes, the first sync of a large account hours."""

_SECONDS_BETWEEN_LOCK_ATTEMPTS = 0.5


@contextlib.contextmanager
def sync_lock(folder: Path, resource_type: str, run_id: str | None, where: str = "", *, waits: bool = False) -> Iterator[None]:
    """Acquire the exclusive sync lock of a resource type. A file next to the lock records the run that holds it.

    Args:
        folder: Folder of the lock.
        resource_type: Name of the resource type, or :data:`MARTS`.
        run_id: Dagster run id, shown to other processes.
        where: What is locked, for the message, such as `` into another database``.
        waits: True to wait until the lock is free, up to :data:`LONGEST_WAIT`, and to log what it waits for.

    Raises:
        SyncAlreadyRunning: If another process holds it.
        Interrupted: If the wait was cancelled.
    """
    lock = _SyncLock(folder, resource_type, run_id, where)
    for seconds in lock.attempts(LONGEST_WAIT if waits else 0.0):
        time.sleep(seconds)
    with lock.held():
        yield


@contextlib.asynccontextmanager
async def sync_lock_in_loop(folder: Path, resource_type: str, run_id: str | None, where: str = "", *, waits: bool = False) -> AsyncIterator[None]:
    """Acquire the lock as :func:`sync_lock` does; while it waits, the event loop does other work."""
    lock = _SyncLock(folder, resource_type, run_id, where)
    for seconds in lock.attempts(LONGEST_WAIT if waits else 0.0):
        await asyncio.sleep(seconds)
    with lock.held():
        yield


class _SyncLock:
    """A lock, and the file that records the run that holds it."""

    def __init__(self, folder: Path, resource_type: str, run_id: str | None, where: str) -> None:
        self._lock = file_lock(folder / f"{resource_type}.lock")
        self._holder = folder / f"{resource_type}.holder"
        self._resource_type, self._run_id, self._where = resource_type, run_id, where

    def attempts(self, most_seconds: float) -> Iterator[float]:
        """Try to acquire the lock until that succeeds; yield the seconds to sleep before each further attempt.

        Raises:
            SyncAlreadyRunning: If another process holds it for that long.
            Interrupted: If the wait was cancelled.
        """
        timeout, reminder = cancellation.patience(most_seconds), cancellation.Reminder()
        while True:
            cancellation.raise_if_cancelled()
            try:
                acquire(self._lock, 0)
                return
            except Timeout as error:
                left = timeout - reminder.waited
                if left <= 0:
                    waited = f"; waited {timeout / 60:.0f} minutes for it" if timeout > 0 else ""
                    raise SyncAlreadyRunning(
                        f"{self._what_happens}{waited}; nothing was done.", "Wait for that run to end, then run again if it is still needed."
                    ) from error
            reminder.log(
                "%s; waiting up to %.0f minutes for it. What to do: nothing; if it takes long, see whether that run hangs.",
                self._what_happens,
                left / 60,
            )
            yield min(_SECONDS_BETWEEN_LOCK_ATTEMPTS, left)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Record the holder of the acquired lock, and release it at the end."""
        try:
            private_files.write(self._holder, (self._run_id or "outside of Dagster").encode())
            yield
        finally:
            self._holder.unlink(missing_ok=True)
            self._lock.release()

    @property
    def _what_happens(self) -> str:
        """What the other process does, and the run that it belongs to, if it has recorded that."""
        what = "The marts are being built" if self._resource_type == MARTS else f"{self._resource_type} is being synced"
        return f"{what} already{self._where}{self._by_whom}"

    @property
    def _by_whom(self) -> str:
        try:
            name = self._holder.read_text().strip()
        except FileNotFoundError:  # its run ends just now
            return ""
        if name == self._run_id:
            return " by another step of this run"
        return f" by run {name}" if name else ""


def account_folder(client: KlaviyoClient, account_id: str) -> Path | None:
    """Return the folder of an account's locks on this machine, for all databases; None if it cannot be created.

    If the account is unknown, the key is used instead.
    """
    base_url, key = client.settings.base_url, client.key.reveal()
    if account_id == UNKNOWN_ACCOUNT:
        return machine_folder.folder_of(base_url, key)
    machine_folder.note_account(base_url, key, account_id)
    return machine_folder.folder_of(base_url, account_id)

"""Locks: one sync of a resource type at a time per schema, and per account on this machine."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from filelock import Timeout

from klaviyo_assets._internal import machine_folder, private_files
from klaviyo_assets._internal.file_lock import acquire, file_lock
from klaviyo_assets.api.client import KlaviyoClient
from klaviyo_assets.errors import SyncAlreadyRunning
from klaviyo_assets.state.identity import UNKNOWN_ACCOUNT

MARTS = "_marts"
"""Name of the lock of those who build the marts; no resource type can have it."""


@contextlib.contextmanager
def sync_lock(folder: Path, resource_type: str, run_id: str | None, where: str = "") -> Iterator[None]:
    """Acquire the exclusive sync lock of a resource type. A file next to the lock records the run that holds it.

    Args:
        folder: Folder of the lock.
        resource_type: Name of the resource type, or :data:`MARTS`.
        run_id: Dagster run id, shown to other processes.
        where: What is locked, for the message, such as `` into another database``.

    Raises:
        SyncAlreadyRunning: If another process holds it.
    """
    lock = file_lock(folder / f"{resource_type}.lock")
    holder = folder / f"{resource_type}.holder"
    try:
        acquire(lock, 0)
    except Timeout as error:
        name = holder.read_text().strip() if holder.is_file() else ""
        raise SyncAlreadyRunning(
            f"{_what_happens(resource_type)} already{where}{f' by run {name}' if name else ''}; nothing was done.",
            "Wait for that run to end, then run again if it is still needed.",
        ) from error
    try:
        private_files.write(holder, (run_id or "outside of Dagster").encode())
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def _what_happens(resource_type: str) -> str:
    return "The marts are being built" if resource_type == MARTS else f"{resource_type} is being synced"


def account_folder(client: KlaviyoClient, account_id: str) -> Path | None:
    """Return the folder of an account's locks on this machine, for all databases; None if it cannot be created.

    If the account is unknown, the key is used instead.
    """
    base_url, key = client.settings.base_url, client.key.reveal()
    if account_id == UNKNOWN_ACCOUNT:
        return machine_folder.folder_of(base_url, key)
    machine_folder.note_account(base_url, key, account_id)
    return machine_folder.folder_of(base_url, account_id)

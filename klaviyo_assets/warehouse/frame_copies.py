"""Temporary copies of tables, which lazy frames scan: they are next to the database until the process that reads them ends.

Each copy has a folder with a lock that its process holds. Those of a killed process are not locked and are deleted when the database is opened next.
"""

import atexit
import secrets
import shutil
from pathlib import Path

from filelock import FileLock, Timeout

from klaviyo_assets._internal import private_files
from klaviyo_assets._internal.file_lock import acquire, file_lock

_COPIES_FOLDER = "copies"
_LOCK = "lock"

_ours: dict[Path, FileLock] = {}
"""Folders of this process. Frames that are derived from a frame outlive it, so the folders are kept until the process ends."""


def new_copy(state: Path) -> Path:
    """Return the path for a new Parquet file, in a folder for the owner only; it is deleted when the process ends.

    Args:
        state: Folder of the database's state; the file lock is held, so no other process cleans up meanwhile.

    Raises:
        OSError: If the folder cannot be created.
    """
    folder = state / _COPIES_FOLDER / secrets.token_hex(8)
    private_files.make_folder(folder)
    lock = file_lock(folder / _LOCK)
    acquire(lock, 0)
    _ours[folder] = lock
    return folder / "table.parquet"


def discard(copy: Path) -> None:
    """Delete a copy of this process that is not needed."""
    lock = _ours.pop(copy.parent)
    shutil.rmtree(copy.parent, ignore_errors=True)
    lock.release()


def remove_abandoned(state: Path) -> int:
    """Delete copies that no process uses any more, and return how many are in use; the database's file lock is held."""
    root = state / _COPIES_FOLDER
    in_use = 0
    for folder in root.iterdir() if root.is_dir() else ():
        if folder in _ours or not _remove_unless_locked(folder):
            in_use += 1
    return in_use


def _remove_unless_locked(folder: Path) -> bool:
    try:
        lock = file_lock(folder / _LOCK)
        acquire(lock, 0)
    except Timeout:
        return False
    except OSError:  # of another user, or not this library's
        return not any(folder.glob("*.parquet"))
    try:
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        lock.release()
    return True


@atexit.register
def _remove_ours() -> None:
    for folder in list(_ours):
        discard(folder / "table.parquet")

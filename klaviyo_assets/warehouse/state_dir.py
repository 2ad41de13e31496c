"""The folder ``<database>.sync`` next to a DuckDB file, and the permissions of files there."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from klaviyo_assets._internal import os_errors, private_files
from klaviyo_assets.warehouse import diagnosis
from klaviyo_assets.warehouse.database_path import checked_path
from klaviyo_assets.warehouse.interface import WarehouseError

_OWNER_ONLY = 0o077
"""Mode bits that our files do not get, since they hold customers' data."""


def state_folder(path: Path) -> Path:
    """Return the folder that belongs to a database file, whether or not it exists.

    Raises:
        WarehouseError: If the path cannot be that of a file.
    """
    path = checked_path(str(path))  # a link and its target share one set of locks
    return path.with_name(f"{path.name}.sync")


def prepared_state_folder(path: Path, owner: Path) -> Path:
    """Create the folder that belongs to a database file if it is missing, and return it.

    Args:
        path: The database file.
        owner: File or folder from which new files get their owner and group.

    Raises:
        WarehouseError: If it cannot be created or written, or is another user's link.
    """
    folder = state_folder(path)
    _refuse_link_of_others(folder)
    make_state_folder(folder, like=owner, mode=private_files.FOLDER_MODE)
    refuse_unwritable(folder)
    return folder


def make_state_folder(folder: Path, *, like: Path | None = None, mode: int = 0o777) -> None:
    """Create a folder if it is missing.

    Args:
        folder: The folder.
        like: File or folder from which it gets its owner and group, if root creates it.
        mode: Its mode.

    Raises:
        WarehouseError: If it cannot be created.
    """
    try:
        private_files.make_folder(folder, like=like, mode=mode)
    except OSError as error:
        what, advice = os_errors.meaning(error) or (error.strerror or str(error), "Check its permissions")
        raise WarehouseError(f"The folder {folder} cannot be created: {what}.", f"{advice}, or set KLAVIYO_DUCKDB_PATH to another place.") from error


def refuse_unwritable(folder: Path) -> None:
    """Refuse a folder in which no file can be created: DuckDB would fail only at the end of a load.

    Raises:
        WarehouseError: If it is one.
    """
    if not os.access(folder, os.W_OK | os.X_OK):
        raise not_writable(folder, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))


def not_writable(folder: Path, error: OSError) -> WarehouseError:
    """Return the error for a folder, or a file in it, that cannot be written."""
    what, advice = os_errors.meaning(error) or (error.strerror or str(error), "Check write permission and free disk space there")
    file = Path(error.filename) if error.filename else folder
    summary = f"{file}{diagnosis.owner(file)} cannot be opened" if file != folder and file.exists() else f"Files in {folder} cannot be created"
    return WarehouseError(f"{summary}: {what}.", f"{advice}, or set KLAVIYO_DUCKDB_PATH to another place.")


@contextmanager
def owner_only_files() -> Iterator[None]:
    """Create files for their owner only, DuckDB's own (file, log, spill) included."""
    before = os.umask(_OWNER_ONLY)
    try:
        yield
    finally:
        os.umask(before)


def _refuse_link_of_others(folder: Path) -> None:
    """Refuse a link in place of our folder unless this user or root has created it: it could lead anywhere."""
    if folder.is_symlink() and hasattr(os, "geteuid") and folder.lstat().st_uid not in {0, os.geteuid()}:
        raise WarehouseError(f"{folder} is a symbolic link that another user has created.", "Remove it, or set KLAVIYO_DUCKDB_PATH to another place.")

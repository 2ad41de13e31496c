"""Creates files and folders that only their owner can access, whatever the umask. Existing ones keep their mode.

If root creates them in a folder or for a database of another user, that user becomes the owner; otherwise the user would be locked out. The owner is
set through open descriptors, so another user cannot swap the file in between.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

FILE_MODE = 0o600
FOLDER_MODE = 0o700

_CREATE_NEW = os.O_CREAT | os.O_EXCL | os.O_WRONLY


def make_folder(folder: Path, *, like: Path | None = None, mode: int = FOLDER_MODE) -> None:
    """Create a folder and its missing parents. Existing ones are not changed.

    Args:
        folder: The folder.
        like: If root creates it, it gets the owner of this file or folder; by default of its parent folder.
        mode: Its mode; the umask may clear some bits.

    Raises:
        OSError: If it cannot be created, or something else has its name.
    """
    if not folder.parent.exists():
        make_folder(folder.parent, mode=mode)
    try:
        folder.mkdir(mode=mode)
    except FileExistsError:
        if not folder.is_dir():
            raise
        return
    _hand_over_folder(folder, like or folder.parent)


def make_file(path: Path, *, like: Path | None = None) -> None:
    """Create an empty file for a library that would otherwise create it readable by all. An existing regular file is not changed.

    Args:
        path: The file.
        like: If root creates it, it gets the owner of this file or folder; by default of its parent folder.

    Raises:
        OSError: If it cannot be created, or something else than a regular file has its name.
    """
    try:
        descriptor = os.open(path, _CREATE_NEW, FILE_MODE)
    except FileExistsError:
        if not stat.S_ISREG(path.lstat().st_mode):
            raise _irregular(path) from None
        return
    try:
        hand_over(descriptor, like or path.parent)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """Create a file and open it for writing, replacing an existing one; links are not followed.

    Raises:
        OSError: If it cannot be created, or a device, FIFO, socket or folder has its name.

    Example:
        >>> with new_file(Path("manifest.tmp")) as file:
        ...     file.write(b"{}")
    """
    remove_file(path)
    with os.fdopen(os.open(path, _CREATE_NEW, FILE_MODE), "wb") as file:
        hand_over(file.fileno(), path.parent)
        yield file


def write(path: Path, data: bytes) -> None:
    """Write a new file, replacing an existing one."""
    with new_file(path) as file:
        file.write(data)


def remove_file(path: Path) -> None:
    """Delete a regular file or a link, if there is one.

    Raises:
        OSError: If it cannot be deleted, or is a device, FIFO, socket or folder.
    """
    with contextlib.suppress(FileNotFoundError):
        mode = path.lstat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
            raise _irregular(path)
        path.unlink()


def hand_over(descriptor: int, like: Path) -> None:
    """If run by root, change the owner of a new file or folder; does nothing for other users.

    Args:
        descriptor: Descriptor of the new file or folder.
        like: File or folder with the owner and group to set.
    """
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return
    facts = like.stat()
    if facts.st_uid != 0:
        os.fchown(descriptor, facts.st_uid, facts.st_gid)


def _hand_over_folder(folder: Path, like: Path) -> None:
    if hasattr(os, "geteuid") and os.geteuid() == 0 and like.stat().st_uid != 0:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            hand_over(descriptor, like)
        finally:
            os.close(descriptor)


def _irregular(path: Path) -> OSError:
    return FileExistsError(errno.EEXIST, "not a regular file", str(path))

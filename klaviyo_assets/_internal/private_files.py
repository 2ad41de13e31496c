"""Files and folders that only their owner may read or write, whatever the umask; what is there already keeps its mode.

Where root makes them for a database or in a folder of another user, they belong to that user: otherwise they would lock the user out. Ownership is
set through open descriptors, so that another user cannot swap in something else meanwhile.
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

_NEW = os.O_CREAT | os.O_EXCL | os.O_WRONLY


def make_folder(folder: Path, *, like: Path | None = None, mode: int = FOLDER_MODE) -> None:
    """Make a folder and the parents that it lacks; nothing is changed about those that are there.

    Args:
        folder: The folder.
        like: File or folder that gives the owner if root creates it; by default its parent folder.
        mode: Its mode; the umask may take bits of it away.

    Raises:
        OSError: If it cannot be made, or something else has its name.
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
    """Make an empty file, for a library that would make it itself, readable by all; a regular file that is there is left alone.

    Args:
        path: The file.
        like: File or folder that gives the owner if root creates it; by default its parent folder.

    Raises:
        OSError: If it cannot be made, or something that is not a regular file has its name.
    """
    try:
        descriptor = os.open(path, _NEW, FILE_MODE)
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
    """Open a new file for writing, in place of one of the same name; links are not followed.

    Raises:
        OSError: If it cannot be made, or a device, FIFO, socket or folder has its name.

    Example:
        >>> with new_file(Path("manifest.tmp")) as file:
        ...     file.write(b"{}")
    """
    remove_file(path)
    with os.fdopen(os.open(path, _NEW, FILE_MODE), "wb") as file:
        hand_over(file.fileno(), path.parent)
        yield file


def write(path: Path, data: bytes) -> None:
    """Write a new file, in place of one of the same name."""
    with new_file(path) as file:
        file.write(data)


def remove_file(path: Path) -> None:
    """Delete a regular file or a link, if there is one.

    Raises:
        OSError: If it cannot be deleted, or is a device, FIFO, socket or folder: those are not ours.
    """
    with contextlib.suppress(FileNotFoundError):
        mode = path.lstat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
            raise _irregular(path)
        path.unlink()


def hand_over(descriptor: int, like: Path) -> None:
    """Give what root has just made to the owner of something else; other users keep what they make.

    Args:
        descriptor: What was made, open.
        like: A file or folder with the owner and group that it will have.
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

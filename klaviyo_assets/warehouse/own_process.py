"""Whether this process already has a file open, and how to read a file without releasing locks of this process.

DuckDB locks its file with POSIX locks (``fcntl``), which belong to a process and a file: when *any* descriptor of the file is closed, all locks that
the process has on it are gone. If a notebook has the database open, reading the file's first bytes in the same process would release its lock.
"""

import os
import sys
from pathlib import Path

_FOLDERS = (Path("/proc/self/fd"), Path("/dev/fd"))
"""Folders that list a process's descriptors, on Linux and on macOS."""

_left_open: list[int] = []
"""Descriptors that were not closed, since another thread had opened the file meanwhile."""


def descriptors(path: Path) -> list[int]:
    """Return this process's descriptors of a file, whatever name it was opened by, without opening anything.

    Windows has neither such a list nor such locks; there the result is empty.
    """
    try:
        wanted = path.stat()
    except OSError:
        return []
    folder = next((folder for folder in _FOLDERS if folder.is_dir()), None)
    found = []
    for entry in folder.iterdir() if folder else []:
        try:
            if os.path.samestat(os.fstat(int(entry.name)), wanted):
                found.append(int(entry.name))
        except (OSError, ValueError):  # the descriptor of the listing itself is closed by now
            continue
    return [descriptor for descriptor in found if descriptor not in _left_open]


def head(path: Path, size: int) -> bytes | None:
    """Return the first bytes of a file; None if this process has it open, because reading it would release its locks.

    Args:
        path: A regular file.
        size: Bytes at most.

    Raises:
        OSError: If it cannot be read.
    """
    if descriptors(path):
        return None
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    try:
        return os.read(descriptor, size)
    finally:
        if [other for other in descriptors(path) if other != descriptor]:
            _left_open.append(descriptor)  # another thread has opened the file meanwhile: closing ours would release its lock
        else:
            os.close(descriptor)


def lock_again(path: Path) -> bool:
    """Acquire the POSIX locks again that this process had on a file; return False if another process has acquired one meanwhile.

    DuckDB itself releases them when it opens a file that another of its instances in the process has attached: it reads the file's first bytes
    before it notices.
    """
    if sys.platform == "win32":
        return True
    import fcntl

    for descriptor in descriptors(path):
        writable = fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDWR
        try:
            fcntl.lockf(descriptor, (fcntl.LOCK_EX if writable else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except OSError:
            return False
    return True

"""File locks between processes, in files that only their owner can access."""

import errno
import inspect
import os
import sys
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from klaviyo_assets._internal import private_files

_NO_FALLBACK: dict[str, Any] = {"fallback_to_soft": False} if "fallback_to_soft" in inspect.signature(FileLock.__init__).parameters else {}
"""Without ``flock``, newer versions of filelock would treat the existing file itself as a held lock."""


def file_lock(path: Path, *, like: Path | None = None) -> FileLock:
    """Create a lock's file and return the lock, not acquired yet.

    Args:
        path: The lock's file.
        like: If root creates the file, it gets the owner of this file or folder; by default of its folder.

    Raises:
        OSError: If the file cannot be created, or something else than a regular file has its name.
    """
    private_files.make_file(path, like=like)
    return FileLock(str(path), mode=private_files.FILE_MODE, **_NO_FALLBACK)


def acquire(lock: FileLock, seconds: float) -> None:
    """Acquire a lock, waiting if it is held.

    Args:
        lock: The lock.
        seconds: How long to wait.

    Raises:
        Timeout: If another process holds it for that long.
        OSError: If the file system does not support locks.
    """
    path = Path(lock.lock_file)
    try:
        lock.acquire(timeout=seconds)
    except NotImplementedError as error:  # raised by filelock 3
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), str(path)) from error
    except Timeout:
        _refuse_missing_support(path)
        raise


def _refuse_missing_support(path: Path) -> None:
    """Raise an error if the file system does not support ``flock``, since filelock then reports the lock as held.

    Raises:
        OSError: If ``flock`` fails for another reason than a held lock.
    """
    if sys.platform == "win32":
        return
    import fcntl

    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    except OSError as error:
        error.filename = str(path)
        raise
    finally:
        os.close(descriptor)

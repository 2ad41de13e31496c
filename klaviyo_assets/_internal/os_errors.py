"""Explains errors of the operating system, with advice."""

import errno
import os
import re

_MEANINGS: dict[int, tuple[str, str]] = {
    errno.EACCES: ("the user that runs this has no permission", "Give the user that runs the sync read and write permission there"),
    errno.EPERM: ("the user that runs this has no permission", "Give the user that runs the sync read and write permission there"),
    errno.EROFS: ("the file system is read-only", "Mount it for writing"),
    errno.ENOSPC: ("the disk is full", "Make room on that disk"),
    errno.EDQUOT: ("the disk quota of this user is used up", "Make room or raise the quota"),
    errno.EMFILE: ("this process has too many files open", "Raise its limit (ulimit -n), or close connections and files that it no longer needs"),
    errno.ENFILE: ("this machine has too many files open", "Stop programs that leave files open, or raise the system's limit"),
    errno.ENOLCK: (
        "the file system has no file lock available",
        "Start the network file system's lock service, or use a local disk",
    ),
    errno.ENOSYS: ("the file system does not support file locks", "Use a folder on a local disk, or mount the file system with lock support"),
    errno.EOPNOTSUPP: ("the file system does not support file locks", "Use a folder on a local disk, or mount the file system with lock support"),
    errno.ENOTSUP: ("the file system does not support file locks", "Use a folder on a local disk, or mount the file system with lock support"),
    errno.EIO: ("the disk reports an error", "Check the disk"),
    errno.ESTALE: ("the network file system has lost the file", "Check its server and mount it again"),
    errno.ENAMETOOLONG: ("the name is too long for the file system", "Use a shorter path"),
    errno.ELOOP: ("a symbolic link is in the way", "Remove the link"),
    errno.ENOTDIR: ("a file is where a folder is needed", "Move that file away"),
    errno.EEXIST: ("something that is not a regular file has its name", "Move it away"),
    errno.EISDIR: ("a folder has its name", "Move it away"),
}


_ERROR_NUMBER = re.compile(r"\(os error (\d+)\)")
"""How libraries in Rust, such as Polars, quote an error of the system."""


def meaning(error: OSError) -> tuple[str, str] | None:
    """Return the meaning of an error and advice, both without a full stop; None for an unknown error.

    Example:
        >>> meaning(OSError(errno.ENOSPC, "No space left on device"))[0]
        'the disk is full (No space left on device)'
    """
    number = error.errno
    if number is None or number not in _MEANINGS:
        return None
    what, advice = _MEANINGS[number]
    return f"{what} ({error.strerror or os.strerror(number)})", advice


def named_in(text: str) -> OSError | None:
    """Return the operating system's error that another library's message quotes, such as ``...: No space left on device``.

    Example:
        >>> named_in('Cannot open file "x": Permission denied').errno == errno.EACCES
        True
        >>> named_in("File too large (os error 27)")
        OSError(27, 'File too large')
    """
    if (found := _ERROR_NUMBER.search(text)) is not None:
        return OSError(int(found[1]), os.strerror(int(found[1])))
    for number in _MEANINGS:
        if os.strerror(number) in text:
            return OSError(number, os.strerror(number))
    return None

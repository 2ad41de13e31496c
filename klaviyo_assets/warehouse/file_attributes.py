"""Gives a file the owner, group, mode and extended attributes of the file that it is about to replace."""

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

NO_LINK = getattr(os, "O_NOFOLLOW", 0)
"""Flag for opening a file by a name that must not be a link."""

_KERNEL_ATTRIBUTES = ("security.", "trusted.", "system.nfs4")
"""Prefixes of attributes that the system sets on new files itself, and that only root may set."""


def keep_attributes(path: Path, partial: Path, facts: os.stat_result) -> None:
    """Give the new file the owner, group, mode and extended attributes of the old one; the attributes last, since they hold access control lists.

    The new file is changed through a descriptor: in another user's folder, its name could lead elsewhere by now.
    """
    new = os.open(partial, os.O_RDWR | NO_LINK)
    try:
        if hasattr(os, "fchown"):
            os.fchown(new, facts.st_uid, facts.st_gid)
            os.fchmod(new, stat.S_IMODE(facts.st_mode))
        for name, value in _attributes(path):
            try:
                os.setxattr(new, name, value)
            except PermissionError:
                if not name.startswith(_KERNEL_ATTRIBUTES):
                    raise
    finally:
        os.close(new)


def _attributes(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield extended attributes by name, without opening the file."""
    if not hasattr(os, "listxattr"):
        return
    try:
        names = os.listxattr(path)
    except OSError as error:
        if error.errno != errno.ENOTSUP:  # a file system that has none
            raise
        return
    for name in names:
        yield name, os.getxattr(path, name)

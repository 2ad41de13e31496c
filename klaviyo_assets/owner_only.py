"""Files and folders that only their owner may read or write, whatever the umask; what is there already keeps its mode."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

FILE_MODE = 0o600
FOLDER_MODE = 0o700


def make_folder(folder: Path) -> None:
    """Make a folder and the parents that it lacks; nothing is changed about those that are there.

    Raises:
        OSError: If it cannot be made, or something else has its name.
    """
    if not folder.parent.exists():
        make_folder(folder.parent)
    folder.mkdir(mode=FOLDER_MODE, exist_ok=True)


def make_file(path: Path) -> None:
    """Make an empty file, for a library that would make it itself, readable by all; one that is there is left alone."""
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, FILE_MODE))


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """Open a new file for writing, in place of one of the same name; links are not followed.

    Example:
        >>> with new_file(Path("manifest.tmp")) as file:
        ...     file.write(b"{}")
    """
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, FILE_MODE), "wb") as file:
        yield file


def write(path: Path, data: bytes) -> None:
    """Write a new file, in place of one of the same name."""
    with new_file(path) as file:
        file.write(data)

"""The path of the DuckDB file, checked before anything is opened: it must name a regular file, or one that can be created.

A device, FIFO or socket is never opened: opening one may block, and replacing it would destroy it for the whole machine.
"""

import errno
import os
import re
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from klaviyo_assets.warehouse.interface import WarehouseError

SETTING = "KLAVIYO_DUCKDB_PATH"

_LONGEST_SUFFIX = ".compacting.wal"
"""The longest suffix of the files that this library and DuckDB create next to the database."""

_MAX_NAME_BYTES = 255 - len(_LONGEST_SUFFIX)
"""Bytes of the file's name; file systems allow 255 (``NAME_MAX``)."""

_QUOTES_OF_ANY_LANGUAGE = "\"'`´“”„‟‘’‚‛«»‹›′″"

# DuckDB takes every such prefix for the name of an extension ("md:", "sqlite:"); a single letter is a drive of Windows.
_EXTENSION_PREFIX = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*://|[A-Za-z0-9_]{2,}:)")
_WINDOWS_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
_UNEXPANDED = re.compile(r"\$\{?\w|%\w+%|\{\{")

_KERNEL_FOLDERS = ("/dev", "/proc", "/sys")
_MEMORY_FOLDER = "/dev/shm"  # noqa: S108 (files there are regular; it is only compared with)

_FILE_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFIFO: "a FIFO (named pipe)",
    stat.S_IFSOCK: "a socket",
    stat.S_IFLNK: "a symbolic link",
}

_MAX_LINKS = 40  # as Linux follows them


def checked_path(database: str) -> Path:
    """Return the absolute path of the DuckDB file, links resolved; the file need not exist.

    Raises:
        WarehouseError: If it does not name a regular file, or one that can be created; the message says what it names instead. Always on Windows.
    """
    _refuse_windows()
    _refuse_text(database)
    path = Path(_with_home(database))
    _refuse_kernel_files(path)
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        _refuse_dangling(path)
    except OSError as error:
        raise _unreachable(path, error) from error
    else:
        _refuse_other_kinds(path, mode)
    resolved = path.resolve()
    _refuse_long_name(resolved)
    return resolved


def file_kind(mode: int) -> str:
    """Name the kind of a file that is not regular.

    Args:
        mode: ``st_mode``.

    Example:
        >>> file_kind(stat.S_IFIFO)
        'a FIFO (named pipe)'
    """
    return _FILE_KINDS.get(stat.S_IFMT(mode), "a special file")


def refuse_irregular(path: Path) -> None:
    """Refuse a file of ours that exists and is not regular; a link is refused too, since writing would follow it.

    Raises:
        WarehouseError: If it is one.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise _unreachable(path, error) from error
    if not stat.S_ISREG(mode):
        raise WarehouseError(
            f"{path} is {file_kind(mode)}, not a regular file; it was left as it is.",
            f"Move it away, or set {SETTING} to a file in another folder.",
        )


def _refuse_windows() -> None:
    """Refuse Windows, where a file that a reader has open cannot be replaced, and a mode does not keep other users from a file."""
    if sys.platform == "win32":
        raise WarehouseError(
            "klaviyo_assets does not sync on Windows: it replaces files that readers have open, and relies on POSIX permissions.",
            "Run it in WSL 2, in a Linux container, or on Linux or macOS.",
        )


def _refuse_text(database: str) -> None:
    """Refuse a text that cannot be a path; the error does not repeat an address in full, since it may hold a password."""
    stripped = database.strip()
    if not stripped:
        raise _not_a_database("An empty path", "", f"Set {SETTING} to the path of a file, such as data/warehouse.duckdb.")
    if any(ord(character) < 32 or ord(character) == 127 for character in stripped):
        raise _not_a_database(_shown(database), "it contains a control character", f"Correct {SETTING}.")
    if database != stripped:
        raise _not_a_database(_shown(database), "it begins or ends with a space or line break", f"Remove that from {SETTING}.")
    if database[0] in _QUOTES_OF_ANY_LANGUAGE or database[-1] in _QUOTES_OF_ANY_LANGUAGE:
        raise _not_a_database(_shown(database), "it has quotation marks around it", f"Write {SETTING} without them.")
    if not _is_utf8(database):
        raise _not_a_database(_shown(database), "it is not UTF-8 text", f"Set {SETTING} to a path that is.")
    if database.lower().startswith(":memory"):
        raise _not_a_database(database, "it exists in memory only", f"Set {SETTING} to the path of a file.")
    if found := _EXTENSION_PREFIX.match(database):
        advice = f"Set {SETTING} to the path of a file on this machine (with ./ in front, if its name really contains the colon)."
        raise _not_a_database(f"{found[0]}…", "it is an address of another kind", advice)
    if _WINDOWS_DRIVE.match(database):
        raise _not_a_database(database, "it is a Windows path, and this machine does not run Windows", f"Set {SETTING} to a path of this machine.")
    if _UNEXPANDED.match(database):
        raise _not_a_database(database, "the variable in it was not replaced by its value", f"Write the path out in {SETTING}.")
    if database.endswith(("/", os.sep, "/.", "/..")):
        example = f"{database.rstrip('/')}/warehouse.duckdb"
        raise _not_a_database(database, "it ends like the path of a folder", f"Set {SETTING} to a file, such as {example}.")


def _not_a_database(what: str, reason: str, advice: str) -> WarehouseError:
    return WarehouseError(f"{what} is not a DuckDB file{': ' if reason else ''}{reason}.", advice)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _with_home(database: str) -> str:
    """Replace ``~/`` by ``HOME``, as DuckDB does; it does not look up other users' folders."""
    if not database.startswith("~"):
        return database
    if database != "~" and database[1] not in ("/", os.sep):
        advice = f"Write the path out in {SETTING}, or put ./ in front if the file's name really begins with ~."
        raise _not_a_database(database, "it begins with the home folder of another user, which DuckDB does not look up", advice)
    home = os.environ.get("HOME", "")
    if not home:
        raise _not_a_database(
            database, "it begins with ~, and this process has no home folder (HOME is not set)", f"Write the path out in {SETTING}."
        )
    return home + database[1:]


def _refuse_kernel_files(path: Path) -> None:
    """Refuse paths below ``/dev``, ``/proc`` and ``/sys``, also behind links: ``/dev/stdout`` may lead to a regular file."""
    for current in _chain(path):
        if current.is_relative_to(_MEMORY_FOLDER) or not any(current.is_relative_to(folder) for folder in _KERNEL_FOLDERS):
            continue
        raise WarehouseError(
            f"{path} is not a DuckDB file: {current} belongs to the operating system.", f"Set {SETTING} to the path of a regular file."
        )


def _chain(path: Path) -> Iterator[Path]:
    """Yield the absolute path, then the target of each link that it leads to, in order."""
    current = Path(os.path.normpath(path.absolute()))
    for _ in range(_MAX_LINKS):
        yield current
        try:
            current = Path(os.path.normpath(Path(os.path.realpath(current.parent)) / current.readlink()))
        except OSError:
            return


def _refuse_other_kinds(path: Path, mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise WarehouseError(f"{path} is a folder, not a DuckDB file.", f"Set {SETTING} to a file, such as {path / 'warehouse.duckdb'}.")
    if not stat.S_ISREG(mode):
        raise WarehouseError(f"{path} is {file_kind(mode)}, not a DuckDB file.", f"Set {SETTING} to the path of a regular file.")


def _refuse_dangling(path: Path) -> None:
    """Refuse a link into a folder that is missing: a disk that is not mounted is more likely than a new database there."""
    if path.is_symlink() and not path.resolve().parent.is_dir():
        raise WarehouseError(
            f"{path} is a symbolic link to {path.resolve()}, and that folder does not exist.",
            f"Mount the disk or make the folder, or set {SETTING} to another file.",
        )


def _refuse_long_name(path: Path) -> None:
    size = len(os.fsencode(path.name))
    if size > _MAX_NAME_BYTES:
        raise WarehouseError(
            f"The file name {_shortened(path.name)} is too long: it has {size} bytes, and at most {_MAX_NAME_BYTES} leave room for the names of the "
            "files next to it.",
            f"Set {SETTING} to a shorter name.",
        )


def _unreachable(path: Path, error: OSError) -> WarehouseError:
    shown = _shortened(str(path))
    match error.errno:
        case errno.ELOOP:
            return WarehouseError(f"{shown} is a symbolic link that leads back to itself.", f"Set {SETTING} to the path of a file.")
        case errno.ENOTDIR:
            file = next((parent for parent in path.parents if parent.exists() and not parent.is_dir()), path.parent)
            return WarehouseError(f"{shown} cannot be a DuckDB file: {file} is a file, not a folder.", f"Set {SETTING} to a file in a folder.")
        case errno.ENAMETOOLONG:
            return WarehouseError(f"The path {shown} is too long for this file system.", f"Set {SETTING} to a shorter path.")
        case errno.EACCES:
            return WarehouseError(
                f"{shown} cannot be reached: this process may not look into one of its folders (Permission denied).",
                f"Give the user that runs the sync access to it, or set {SETTING} to another place.",
            )
        case _:
            return WarehouseError(f"{shown} cannot be reached ({error.strerror or error}).", f"Check {SETTING}.")


def _shown(text: str) -> str:
    """Return a text in quotes, with control characters escaped."""
    return _shortened(ascii(text) if not text.isprintable() else repr(text))


def _shortened(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:100]}…{text[-60:]}"

"""Explains what is wrong with a database file, from DuckDB's error and the file's first bytes."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

import duckdb

from klaviyo_assets._internal import os_errors
from klaviyo_assets.warehouse import own_process
from klaviyo_assets.warehouse.interface import WarehouseBusy, WarehouseError

_ELSEWHERE = re.compile(r"Conflicting lock|Could not set lock .*Resource temporarily unavailable|File is already open in")
_OUT_OF_MEMORY = re.compile(r"Out of Memory Error|failed to (?:allocate|pin) (?:data|block)|could not allocate block", re.IGNORECASE)
_HOLDER = re.compile(r"lock is held in (.*?\(PID \d+\))")

_BACKUP = "restore a backup"

_NOT_OPENED = ("{path} cannot be opened as a DuckDB database ({text}).", "Check the file and KLAVIYO_DUCKDB_PATH.")

_REFUSES_SETTINGS = (
    duckdb.InvalidInputException,
    duckdb.CatalogException,
    duckdb.ParserException,
    duckdb.NotImplementedException,
    duckdb.SyntaxException,
)
"""Errors of a connection that DuckDB cannot open with its settings."""


class FileFault(Enum):
    """Why DuckDB cannot open or use a file."""

    OPEN_HERE = auto()
    NO_LOCKS = auto()
    LOG = auto()
    NEWER = auto()
    OLDER = auto()
    ENCRYPTED = auto()
    FOREIGN = auto()
    INCOMPLETE = auto()
    DAMAGED = auto()


@dataclass(frozen=True)
class _Case:
    """A cause of errors.

    Attributes:
        fault: Its name.
        pattern: What DuckDB's message contains (versions 1.5 and 2.0).
        summary: What it means; ``{path}`` is the file.
        advice: What to do.
    """

    fault: FileFault
    pattern: re.Pattern[str]
    summary: str
    advice: str


_CASES = (
    _Case(
        FileFault.OPEN_HERE,
        re.compile(r"different configuration than existing connections|Unique file handle conflict|already held in current process"),
        "{path} is already open in this process, by another connection (in a notebook, for example).",
        "Close that connection there (connection.close(), or DETACH), or run the sync in another process; then run again.",
    ),
    _Case(
        FileFault.NO_LOCKS,
        re.compile(r"locks are not supported|lock .*(?:not supported|not implemented)", re.IGNORECASE),
        "{path} is on a file system that does not support file locks, so DuckDB cannot open it.",
        "Set KLAVIYO_DUCKDB_PATH to a file on a local disk, or mount the file system with lock support.",
    ),
    _Case(
        FileFault.LOG,
        re.compile(r"\bWAL\b"),
        "The log {path}.wal is damaged or belongs to another database, so {path} cannot be opened.",
        f"If the two were copied apart, put the matching log next to the file; otherwise {_BACKUP} of both. With the log moved away the file opens "
        "without the transactions in it, and the next sync reads what Klaviyo still has.",
    ),
    _Case(
        FileFault.NEWER,
        re.compile(r"newer version of DuckDB|database file with version number (?:6[4-9]|[7-9]\d|\d{3,})"),
        "{path} was written by a newer version of DuckDB than the installed one ({version}).",
        "Upgrade it (pip install --upgrade duckdb), or set KLAVIYO_DUCKDB_PATH to another file.",
    ),
    _Case(
        FileFault.OLDER,
        re.compile(r"older version of DuckDB|database file with version number \d+"),
        "{path} was written by a version of DuckDB that is too old for the installed one ({version}).",
        "Export it with the version that wrote it (EXPORT DATABASE) and import that, or set KLAVIYO_DUCKDB_PATH to another file.",
    ),
    _Case(
        FileFault.ENCRYPTED,
        re.compile(r"encrypt|ENCRYPTION_KEY", re.IGNORECASE),
        "{path} is an encrypted DuckDB database, which syncs cannot open.",
        "Set KLAVIYO_DUCKDB_PATH to a file that is not encrypted; keep it on an encrypted disk.",
    ),
    _Case(
        FileFault.FOREIGN,
        re.compile(r"not a valid DuckDB database"),
        "{path} is not a DuckDB database.",
        "Set KLAVIYO_DUCKDB_PATH to another file.",
    ),
    _Case(
        FileFault.INCOMPLETE,
        re.compile(r"Could not read enough bytes|Could not read all|attempted to read|unexpected end of file", re.IGNORECASE),
        "{path} is incomplete: the end of the file is missing.",
        f"Copy it again if it was copied, or {_BACKUP}; or move it away, and the next sync makes a new one.",
    ),
    _Case(
        FileFault.DAMAGED,
        re.compile(r"Corrupt|checksum|Serialization Error|Failed to load metadata|INTERNAL Error|database has been invalidated", re.IGNORECASE),
        "{path} is damaged ({text}).",
        f"Check the disk, then {_BACKUP}; or move the file away, and the next sync makes a new one.",
    ),
)

_FOREIGN = (
    (b"SQLite format 3\0", "an SQLite database"),
    (b"PAR1", "a Parquet file"),
    (b"PARE", "an encrypted Parquet file"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"PK\x05\x06", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x28\xb5\x2f\xfd", "a file compressed with Zstandard"),
    (b"BZh", "a file compressed with bzip2"),
    (b"\xfd7zXZ\0", "a file compressed with xz"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself (git lfs pull fetches it)"),
    (b"%PDF-", "a PDF document"),
    (b"ARROW1", "an Arrow file"),
    (b"\x89PNG", "a picture"),
)
"""First bytes of other kinds of files."""

_MAGIC = b"DUCK"
_MAGIC_AT = 8
"""Offset in a DuckDB file: after a checksum of eight bytes."""

_WAL_HEAD = b"\x64\x00\x62\x65\x00"
"""First bytes of DuckDB's log: field 100 (kind of entry) with the value 98 (version), field 101 (the version)."""

_HEAD = 512


def elsewhere(error: duckdb.Error) -> str | None:
    """Return which other program has the file open, as DuckDB reports it; None for any other error."""
    if not _ELSEWHERE.search(str(error)):
        return None
    holder = _HOLDER.search(str(error))
    return holder[1].strip() if holder else "DuckDB does not say which"


def open_in_this_process(path: Path) -> WarehouseError:
    """Return the error for a file that another connection of this process has open."""
    return WarehouseError(_CASES[0].summary.format(path=path), _CASES[0].advice)


def diagnosed(
    path: Path,
    error: duckdb.Error,
    fallback: tuple[str, str] = _NOT_OPENED,
    *,
    opening: bool = False,
    advice: Mapping[FileFault, str] | None = None,
) -> WarehouseError:
    """Return a WarehouseError that explains an error of DuckDB.

    Args:
        path: The database file.
        error: What DuckDB has raised.
        fallback: Summary and advice for an error that is not listed.
        opening: True if DuckDB opened the file with the settings of the resource, which may be the cause.
        advice: What to do about a fault, for a file to which the usual advice for a database does not apply.
    """
    holder = elsewhere(error)
    if holder is not None:
        return open_elsewhere(path, holder)
    whole = str(error)
    if "Unique file handle conflict" in whole and not own_process.lock_again(path):
        return open_elsewhere(path, "which opened it just after DuckDB had released this process's lock")
    text = whole.splitlines()[0] if whole else type(error).__name__
    if (refused := refused_by_system(path, error)) is not None:
        return refused
    for case in _CASES:
        if case.pattern.search(whole):
            summary = case.summary.format(path=path, text=text, version=duckdb.__version__)
            return WarehouseError(summary, (advice or {}).get(case.fault, case.advice))
    if opening and (refused := settings_refused(path, error)) is not None:
        return refused
    return WarehouseError(fallback[0].format(path=path, text=text), fallback[1])


def refused_by_system(path: Path, error: duckdb.Error) -> WarehouseError | None:
    """Return the error for what the operating system refused; None for any other error.

    Args:
        path: The file, unless DuckDB's message names another one.
        error: What DuckDB has raised.
    """
    text = (str(error).splitlines() or [""])[0]
    system = os_errors.named_in(text)
    meaning = None if system is None else os_errors.meaning(system)
    if meaning is None:
        return None
    return WarehouseError(f"{_file_named_in(text, path)} could not be opened, read or written: {meaning[0]}.", f"{meaning[1]}; then run again.")


def settings_refused(path: Path, error: Exception) -> WarehouseError | None:
    """Return the error for a connection that DuckDB cannot open with its settings; None for any other error.

    Args:
        path: The database file.
        error: What DuckDB raised when it opened the file; an error that no case above explains.
    """
    if not isinstance(error, _REFUSES_SETTINGS):
        return None
    text = str(error).splitlines()[0].rstrip(".")
    return WarehouseError(
        f"{path} cannot be opened with the settings of the DuckDB resource ({text}).", "Correct connection_config of the DuckDBResource."
    )


def is_out_of_memory(error: duckdb.Error) -> bool:
    """Return whether DuckDB ran out of memory; in a commit or a checkpoint, it wraps that in a fatal error."""
    return isinstance(error, duckdb.OutOfMemoryException) or _OUT_OF_MEMORY.search(str(error)) is not None


def open_elsewhere(path: Path, details: str) -> WarehouseBusy:
    """Return the error for a file that another program has open.

    Args:
        path: The database file.
        details: Which program.
    """
    return WarehouseBusy(
        f"{path} is open in another program ({details}).",
        "Close it there (a DuckDB shell, a BI tool, a notebook), or let that program open a copy; then run again. "
        "KLAVIYO_DUCKDB_PATIENCE sets how many seconds to wait.",
    )


def refuse_other_files(path: Path) -> None:
    """Refuse a file that is not a DuckDB database before DuckDB opens it: for some kinds it would download an extension and then write to them.

    Raises:
        WarehouseError: If it is something else, or cannot be read.
    """
    try:
        head = own_process.head(path, _HEAD) if path.is_file() else b""
    except OSError as error:
        raise _unreadable(path, error) from error
    if not head or head[_MAGIC_AT : _MAGIC_AT + len(_MAGIC)] == _MAGIC:
        return
    kind = _kind_of(head)
    if not head.strip(b"\0"):
        raise WarehouseError(
            f"{path} begins with zeros: it is not a DuckDB database, or its beginning was lost.",
            f"Check the disk, then {_BACKUP}; or move the file away, and the next sync makes a new one.",
        )
    raise WarehouseError(f"{path} is not a DuckDB database{f' but {kind}' if kind else ''}.", "Set KLAVIYO_DUCKDB_PATH to another file.")


def refuse_damaged_log(path: Path) -> None:
    """Refuse a file that cannot be a DuckDB log: DuckDB would silently ignore it, and the transactions in it.

    A log that is empty, zeros, or cut short is what a crash leaves before the first commit, or in the middle of one; DuckDB handles those.

    Raises:
        WarehouseError: If it begins with something else.
    """
    log = path.with_name(f"{path.name}.wal")
    try:
        with log.open("rb") as file:
            head = file.read(len(_WAL_HEAD))
    except FileNotFoundError:
        return
    except OSError as error:
        raise _unreadable(log, error) from error
    if head.strip(b"\0") and not _WAL_HEAD.startswith(head):
        case = next(case for case in _CASES if case.fault is FileFault.LOG)
        raise WarehouseError(case.summary.format(path=path), case.advice)


def _kind_of(head: bytes) -> str | None:
    for beginning, kind in _FOREIGN:
        if head.startswith(beginning):
            return kind
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:15].lower()
    if start.startswith((b"<!doctype html", b"<html", b"<head")):
        return "an HTML page (a download that went wrong, perhaps)"
    if start.startswith(b"<?xml"):
        return "an XML document"
    if start.startswith((b"{", b"[")):
        return "a JSON file"
    return None


def _unreadable(path: Path, error: OSError) -> WarehouseError:
    what, advice = os_errors.meaning(error) or (error.strerror or str(error), "Check the file")
    return WarehouseError(f"{path} cannot be read: {what}{owner(path)}.", f"{advice}, or set KLAVIYO_DUCKDB_PATH to another file.")


def _file_named_in(text: str, path: Path) -> str:
    """Return the file that a message of DuckDB names (the log, say), and its owner, if that is another user."""
    found = re.search(r'"([^"]+)"', text)
    file = Path(found[1]) if found and Path(found[1]).is_absolute() else path
    return f"{file}{owner(file)}"


def owner(path: Path) -> str:
    """Return the owner of a file, in brackets, if it is another user; otherwise nothing."""
    try:
        uid = path.stat().st_uid
    except OSError:
        return ""
    return f" (owned by uid {uid}, this process runs as {os.geteuid()})" if hasattr(os, "geteuid") and uid != os.geteuid() != 0 else ""

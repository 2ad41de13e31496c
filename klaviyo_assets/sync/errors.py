"""What can go wrong in a sync other than Klaviyo and the database.

The hierarchy::

    SyncError
      - InvalidRange      the run's config asks for something that cannot be read
      - InvalidMode       the run's config asks for a mode that the resource type does not have
      - SyncTaken         another run is syncing this resource type
      - AccountMismatch   the schema holds another account's data
      - NewerLayout       a later version of this library has written the schema
      - FolderFailed      what belongs beside the database cannot be written (a full disk, a missing permission)
      - TableChanged      another program has changed a table while the sync was running
      - NotOurs           another program uses the name of one of our tables, or has added a constraint to one
      - StillLocked       another process keeps a file beside the database locked
"""

import errno

from klaviyo_assets.errors import KlaviyoAssetsError

_WHAT_TO_CHECK = {
    "Make room on the disk": (errno.ENOSPC, errno.EDQUOT, errno.EFBIG),
    "Give this process the permission to write there": (errno.EACCES, errno.EPERM, errno.EROFS),
    "Allow this process more open files (ulimit -n)": (errno.EMFILE, errno.ENFILE),
    "Put the database on a file system that supports locks": (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP),
}

_ELSE = "Check free disk space and write permission there"
"""What Polars makes of a full disk has no number."""


class SyncError(KlaviyoAssetsError):
    """Base of the errors of a sync."""


class InvalidRange(SyncError):
    """The run's config names a field or span that cannot be read."""


class InvalidMode(SyncError):
    """The run's config names a mode that the resource type does not have."""


class SyncTaken(SyncError):
    """Another run is syncing this resource type; nothing was done."""


class AccountMismatch(SyncError):
    """The key belongs to one account, the schema holds another's data; nothing was done."""


class NewerLayout(SyncError):
    """A later version of this library has written the schema; nothing was done.

    Args:
        schema: DuckDB schema.
        found: Version of its layout.
        written_by: Version of the library that wrote it.
        known: Version that this library knows.
    """

    def __init__(self, schema: str, *, found: int, written_by: str, known: int) -> None:
        super().__init__(
            f"The schema {schema} has the table layout {found}, written by klaviyo_assets {written_by}; this version knows layouts up to {known}.",
            "Upgrade klaviyo_assets (pip install --upgrade klaviyo-assets), or use another schema or KLAVIYO_DUCKDB_PATH.",
        )


class FolderFailed(SyncError):
    """What belongs beside the database, such as staged files, cannot be written or read.

    Args:
        error: What the system says.
    """

    def __init__(self, error: OSError) -> None:
        where = f" {error.filename}" if error.filename else ""
        check = next((advice for advice, numbers in _WHAT_TO_CHECK.items() if error.errno in numbers), _ELSE)
        super().__init__(
            f"The files{where} beside the database could not be written or read ({error.strerror or error}).",
            f"{check}, then run again. What was committed is kept.",
        )


class TableChanged(SyncError):
    """Another program has emptied, replaced or dropped a table while the sync was running.

    Args:
        schema: DuckDB schema.
        table: The table.
        what: What is wrong with it, as the end of a sentence.
    """

    def __init__(self, schema: str, table: str, what: str) -> None:
        super().__init__(
            f"Another program has changed the table {schema}.{table} while the sync was running: it {what}.", "Run again: everything is read again."
        )


class NotOurs(SyncError):
    """Another program uses the name of one of our tables, or has added to one what could make a sync fail; nothing was done."""


class StillLocked(SyncError):
    """Another process keeps a file beside the database locked.

    Args:
        lock: Path of the lock.
    """

    def __init__(self, lock: str) -> None:
        super().__init__(f"Another process has kept {lock} locked for a minute.", "See whether a sync hangs, then run again.")


def first_error(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first error of a group of tasks; the others are mostly the same fault met by others."""
    inner = errors.exceptions[0]
    return first_error(inner) if isinstance(inner, BaseExceptionGroup) else inner

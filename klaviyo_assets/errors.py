"""The root of all errors that this package raises.

Every error that a user can see derives from :class:`KlaviyoAssetsError`. Classes that several
packages raise are defined here, the others in the module that the tree names. The hierarchy, by indentation::

    KlaviyoAssetsError
        KlaviyoError                the Klaviyo API: key, scopes, limits, network (its own tree: klaviyo_assets/api/klaviyo_errors.py)
        SyncError                   a sync, an audit or an erasure cannot be done
            InvalidRange            the run config names a field or time window that cannot be read
            InvalidMode             the run config names a mode that the resource type does not have
            NotSynced               a user's ``execute`` has not run a sync, or has not passed its results on
            AssetUnknown            the keys of assets were changed in a way that their op does not know
            UnknownMetric           a setting names a metric that the account does not have (klaviyo_assets/extract/metric_selection.py)
            SyncAlreadyRunning      another run is syncing this resource type
            AccountMismatch         the schema holds another account's data
            NewerLayout             a later version of this package has written the schema
            FolderFailed            the files next to the database cannot be written (a full disk, a missing permission)
            TableChanged            another program has changed a table while the sync was running
            NotOurs                 another program uses the name of one of our tables, or has added a constraint to one
            DaysDiffer              an audit has found differences, and the days are marked as failed partitions
            StillLocked             another process keeps a file next to the database locked
        WarehouseError              the database cannot be used (klaviyo_assets/warehouse/interface.py)
            WarehouseBusy           another process has it open
        MartError                   a model of the marts cannot be built (klaviyo_assets/marts/mart_errors.py)
            InvalidModel            its header or its SQL has a mistake
            ModelFailed             DuckDB cannot build it
            ModelSkipped            a model that it needs was not built
            FolderMissing           a folder of models does not exist
        InvalidSetting              an environment variable has an unusable value (klaviyo_assets/settings/options.py)
        InvalidDefinition           code passes an unusable value to this package (klaviyo_assets/validation.py)
        InvalidFieldRules           a field rule names an unknown field or an impossible action (klaviyo_assets/privacy/rules.py)
        CatalogError                resource types do not form a catalog (klaviyo_assets/catalog/catalog_errors.py)
            UnknownResourceType     a name is not in the catalog
            MissingTrait            a resource type is used as a child, for example, but has no parent
        AmbiguousName               the schema and the database have the same name (klaviyo_assets/warehouse/default_name.py)
        DemoFailed                  ``klaviyo-assets demo`` cannot start (klaviyo_assets/cli/demo.py)
        NotPublished                a running sync postpones the published copy (klaviyo_assets/publish/target.py)
        OutputFailed                the terminal output cannot be written (klaviyo_assets/cli/output.py)
"""

import errno
from collections.abc import Sequence
from typing import ClassVar

from klaviyo_assets._internal.redaction import redact
from klaviyo_assets._internal.sanitize import MAX_LENGTH, one_line

_WHAT_TO_CHECK = {
    "Make room on the disk": (errno.ENOSPC, errno.EDQUOT, errno.EFBIG),
    "Give this process the permission to write there": (errno.EACCES, errno.EPERM, errno.EROFS),
    "Allow this process more open files (ulimit -n)": (errno.EMFILE, errno.ENFILE),
    "Put the database on a file system that supports locks": (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP),
}

_CHECK_BOTH = "Check free disk space and write permission there"
"""For errors without a number, or with another one."""


class KlaviyoAssetsError(Exception):
    """Base of all errors of this package.

    Control characters in the texts are escaped, and anything that looks like a private API key is masked.

    Args:
        summary: What happened and where, one sentence.
        advice: What the user can do next; the class's own advice if empty.
    """

    advice: str = ""
    longest: ClassVar[int] = MAX_LENGTH
    """Characters of a summary or advice; longer texts are cut."""

    def __init__(self, summary: str, advice: str = "") -> None:
        self.summary = one_line(redact(summary), self.longest)
        if advice:
            self.advice = one_line(redact(advice), self.longest)
        super().__init__(str(self))

    @property
    def message(self) -> str:
        """What happened and where, without the advice."""
        return self.summary

    def __str__(self) -> str:
        return f"{self.message} What to do: {self.advice}" if self.advice else self.message


class SyncError(KlaviyoAssetsError):
    """A sync, an audit or an erasure cannot be done."""


class InvalidRange(SyncError):
    """The run config names a field or time window that cannot be read."""


class InvalidMode(SyncError):
    """The run config names a mode that the resource type does not have."""


class DaysDiffer(SyncError):
    """The audit has found days with another number of events than Klaviyo counts; they are marked as failed.

    Args:
        partitions: Number of partitions.
        asset: The asset with the partitions.
    """

    def __init__(self, partitions: int, asset: str) -> None:
        super().__init__(
            f"The audit found differences in {partitions} partition{'' if partitions == 1 else 's'} of {asset}. Dagster shows them as failed; "
            "see the check complete.",
            "Run the repair job, or materialize these partitions: both read the days again.",
        )


class NotSynced(SyncError):
    """The user's ``execute`` has not run a sync to its end, or has not passed on what it materialized, so Dagster would show something else."""

    advice = "Let execute yield what sync.run() yields, and raise its failure."


class AssetUnknown(SyncError):
    """A selected asset is none of the op's resource types; nothing was done.

    Args:
        keys: Keys of the assets.
        op_name: The op.
    """

    def __init__(self, keys: Sequence[str], op_name: str) -> None:
        super().__init__(
            f"The op {op_name} must sync {', '.join(keys)}, but none of its resource types has that asset key.",
            "Change asset keys with a translator, with key_prefix of load_assets_from_modules or with asset_key_replacements of with_attributes.",
        )


class SyncAlreadyRunning(SyncError):
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
    """Files next to the database, such as staged files, cannot be written or read.

    Args:
        error: What the system says.
    """

    def __init__(self, error: OSError) -> None:
        where = f" {error.filename}" if error.filename else ""
        check = next((advice for advice, numbers in _WHAT_TO_CHECK.items() if error.errno in numbers), _CHECK_BOTH)
        super().__init__(
            f"The files{where} next to the database could not be written or read ({error.strerror or error}).",
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
    """Another process keeps a file next to the database locked.

    Args:
        lock: Path of the lock.
    """

    def __init__(self, lock: str) -> None:
        super().__init__(f"Another process has kept {lock} locked for a minute.", "See whether a sync hangs, then run again.")

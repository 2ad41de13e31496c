"""Loads the staged files of an interrupted sync if account, options, columns and checksums match and their time is plausible."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

from klaviyo_assets.extract.chain_position import UnfinishedChain
from klaviyo_assets.load.access.row_access import RowAccess
from klaviyo_assets.load.loader import Loader
from klaviyo_assets.load.parts.divide import load_divided
from klaviyo_assets.staging.background_writer import MAX_ROWS_PER_LOAD
from klaviyo_assets.staging.manifest import Manifest
from klaviyo_assets.staging.staging import leftovers
from klaviyo_assets.state.identity import UNKNOWN_ACCOUNT
from klaviyo_assets.state.sync_log import SyncLogEntry
from klaviyo_assets.warehouse.interface import WarehouseError

CLOCKS_DIFFER = timedelta(seconds=5)
"""How far two syncs may disagree about Klaviyo's time, which has whole seconds; if they differ more, the clock of this machine was wrong."""


@dataclass(frozen=True)
class ResumeConditions:
    """Conditions for loading staged files.

    Attributes:
        account_id: The account of this sync.
        key_seen: True if the key has filled this schema before: while the account was unknown, the key identified it.
        fingerprint: Fingerprint of the current options and columns.
        columns: Names of the current columns of the table.
        latest: Files with a later time were read with a wrong clock.
    """

    account_id: str
    key_seen: bool
    fingerprint: str
    columns: list[str]
    latest: datetime

    def accepts(self, manifest: Manifest, resource_type: str) -> bool:
        """Return whether staged files match what this sync would read: same type, account, options and columns."""
        same_account = manifest.account_id == self.account_id or (manifest.account_id == UNKNOWN_ACCOUNT and self.key_seen)
        same_content = manifest.fingerprint == self.fingerprint and manifest.columns == self.columns
        return same_account and manifest.resumable and manifest.resource_type == resource_type and same_content


@dataclass(frozen=True)
class Resumed:
    """What interrupted syncs have left.

    Attributes:
        loaded: True if files or coverage were loaded.
        unfinished: Chains that can be continued; what they have read before is stored.
    """

    loaded: bool
    unfinished: tuple[UnfinishedChain, ...] = ()


def resume(root: Path, loader: Loader, row: SyncLogEntry, conditions: ResumeConditions | None, note: Callable[[str], None]) -> Resumed:
    """Load the staged files of interrupted syncs if they match, and delete them.

    Args:
        root: Folder of the type's staged files.
        loader: Loads the files.
        row: The sync's row of ``_syncs``.
        conditions: Conditions for loading files; None to load none.
        note: Receives messages for the user.
    """
    resumed, unfinished, name = False, list[UnfinishedChain](), loader.entry.name
    for left in leftovers(root):
        if not left.is_intact():
            note(f"The staged files of an interrupted sync of {name} are damaged; their records are read again.")
        elif conditions is not None and left.manifest.read_at > conditions.latest:
            note(f"The staged files of an interrupted sync of {name} are dated later than now, by a wrong clock; their records are read again.")
        elif conditions is not None and not RowAccess(loader).has_sync(left.manifest.sync_id):
            note(f"The staged files of an interrupted sync of {name} belong to another state of the database; their records are read again.")
        elif conditions is not None and conditions.accepts(left.manifest, name):
            try:
                for batch in left.batches(MAX_ROWS_PER_LOAD):
                    load_divided(lambda part: loader.load(part, row), batch, _is_about_the_rows)
                    resumed |= bool(batch.files or batch.covered)
                unfinished += left.manifest.unfinished()
            except (duckdb.Error, WarehouseError) as error:
                if not _is_about_the_rows(error):
                    raise
                # Delete them below: otherwise every later sync would fail in the same way.
                reason = type(error if isinstance(error, duckdb.Error) else error.__cause__).__name__
                note(f"The staged files of an interrupted sync of {name} cannot be loaded ({reason}); their records are read again.")
        left.remove()
    return Resumed(resumed, tuple(unfinished))


def _is_about_the_rows(error: Exception) -> bool:
    """Return whether the rows may have caused an error, for example by needing too much memory; false for the file, the disk or another program."""
    cause = error.__cause__ if isinstance(error, WarehouseError) else error
    return isinstance(cause, duckdb.Error) and not isinstance(cause, duckdb.IOException)

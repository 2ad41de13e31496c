"""Resume: load the staged files of an interrupted sync if account, options, columns and checksums match, and their time is plausible."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

from klaviyo_assets.load.divide import load_divided
from klaviyo_assets.load.loader import Loader
from klaviyo_assets.staging.manifest import Manifest
from klaviyo_assets.staging.staging import leftovers
from klaviyo_assets.staging.writer import MOST_ROWS_PER_LOAD
from klaviyo_assets.state.identity import UNKNOWN_ACCOUNT
from klaviyo_assets.state.sync_log import SyncLogEntry
from klaviyo_assets.warehouse.base import WarehouseError

CLOCKS_DIFFER = timedelta(seconds=5)
"""How much two syncs may disagree about Klaviyo's time, which has whole seconds; more than that is a wrong clock of this machine."""


@dataclass(frozen=True)
class Wanted:
    """What staged files must match to be loaded.

    Attributes:
        account_id: The account of this sync.
        key_seen: True if the key has filled this schema before: while the account was unknown, the key identified it.
        fingerprint: Of the options and columns that are read now.
        columns: Names of the columns that the table has now.
        latest: What is dated later was read with a wrong clock.
    """

    account_id: str
    key_seen: bool
    fingerprint: str
    columns: list[str]
    latest: datetime

    def accepts(self, manifest: Manifest, resource_type: str) -> bool:
        """Whether staged files hold what this sync would read: of this type and account, with the same options."""
        same_account = manifest.account_id == self.account_id or (manifest.account_id == UNKNOWN_ACCOUNT and self.key_seen)
        same_content = manifest.fingerprint == self.fingerprint and manifest.columns == self.columns
        return same_account and manifest.resumable and manifest.resource_type == resource_type and same_content


def resume(root: Path, loader: Loader, row: SyncLogEntry, wanted: Wanted | None, note: Callable[[str], None]) -> bool:
    """Load what is left in staging, and delete it.

    Args:
        root: Folder of the type's staged files.
        loader: Loads.
        row: The sync's row.
        wanted: What may be loaded; None if nothing is.
        note: Receives messages for the user.

    Returns:
        True if there was anything.
    """
    resumed, name = False, loader.entry.name
    for left in leftovers(root):
        if not left.is_intact():
            note(f"What an interrupted sync of {name} had read is damaged; it is read again.")
        elif wanted is not None and left.manifest.read_at > wanted.latest:
            note(f"What an interrupted sync of {name} had read is dated later than now, by a wrong clock; it is read again.")
        elif wanted is not None and not loader.knows(left.manifest.sync_id):
            note(f"What an interrupted sync of {name} had read belongs to another state of the database; it is read again.")
        elif wanted is not None and wanted.accepts(left.manifest, name):
            try:
                for batch in left.batches(MOST_ROWS_PER_LOAD):
                    load_divided(lambda part: loader.load(part, row), batch, _is_about_the_rows)
                    resumed |= bool(batch.files or batch.covered)
            except (duckdb.Error, WarehouseError) as error:
                if not _is_about_the_rows(error):
                    raise
                # If it stayed, it would stop every later sync in the same way.
                reason = type(error if isinstance(error, duckdb.Error) else error.__cause__).__name__
                note(f"What an interrupted sync of {name} had read cannot be loaded ({reason}); it is read again.")
        left.remove()
    return resumed


def _is_about_the_rows(error: Exception) -> bool:
    """Whether an error may be caused by the rows, such as too little memory for them; not by the file, the disk or another program."""
    cause = error.__cause__ if isinstance(error, WarehouseError) else error
    return isinstance(cause, duckdb.Error) and not isinstance(cause, duckdb.IOException)

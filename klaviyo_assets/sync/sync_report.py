"""The report of a sync."""

from dataclasses import dataclass

from klaviyo_assets.state.sync_log import SyncLogEntry


@dataclass(frozen=True)
class SyncReport:
    """The result of a sync.

    Attributes:
        row: Its row of ``_syncs``.
        row_count: Rows of the table that are not marked as deleted.
        slices: Names of the slices that were read.
        seconds: How long it took.
        resumed: True if it loaded staged files of a killed or failed sync.
        notes: Messages for the user.
        data_version: Version of the table's rows: the same as before if the sync has changed none.
    """

    row: SyncLogEntry
    row_count: int
    slices: tuple[str, ...]
    seconds: float
    resumed: bool
    notes: tuple[str, ...]
    data_version: str = ""

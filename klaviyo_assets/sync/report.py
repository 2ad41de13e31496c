"""What a sync reports when it has ended."""

from dataclasses import dataclass

from klaviyo_assets.state.sync_log import SyncLogEntry


@dataclass(frozen=True)
class SyncReport:
    """What a sync did.

    Attributes:
        row: Its row of ``_syncs``.
        row_count: Rows of the table that are not marked as deleted.
        slices: Names of the slices that were read.
        seconds: How long it took.
        resumed: True if it loaded what a killed or failed sync had staged.
        notes: Messages for the user.
    """

    row: SyncLogEntry
    row_count: int
    slices: tuple[str, ...]
    seconds: float
    resumed: bool
    notes: tuple[str, ...]

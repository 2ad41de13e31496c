"""Old name of :mod:`klaviyo_assets.errors`."""

from klaviyo_assets._internal.event_loop import first_error
from klaviyo_assets.errors import (
    AccountMismatch,
    FolderFailed,
    InvalidMode,
    InvalidRange,
    NewerLayout,
    NotOurs,
    StillLocked,
    SyncError,
    SyncTaken,
    TableChanged,
)

__all__ = [
    "AccountMismatch",
    "FolderFailed",
    "InvalidMode",
    "InvalidRange",
    "NewerLayout",
    "NotOurs",
    "StillLocked",
    "SyncError",
    "SyncTaken",
    "TableChanged",
    "first_error",
]

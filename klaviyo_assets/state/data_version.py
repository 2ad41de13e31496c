"""The data version of a table: it changes when its rows change, and only then."""

from klaviyo_assets.state.sync_log import SyncLog
from klaviyo_assets.state.tombstones import Tombstones

NEVER_CHANGED = "empty"
"""Version of a table in which no sync has changed rows."""


def data_version(log: SyncLog, resource_type: str) -> str:
    """Return the id of the last sync that has changed rows, and the number of erased records, which no sync has removed.

    Args:
        log: The log of syncs.
        resource_type: The resource type.
    """
    version = log.last_change(resource_type) or NEVER_CHANGED
    tombstones = Tombstones(log.connection, log.warehouse, log.schema)
    erased = len(tombstones.hashes())
    return f"{version}-{erased}" if erased else version

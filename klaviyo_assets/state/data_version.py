"""The data version of a table: it changes when its rows change, and only then."""

from klaviyo_assets.state.erasures import Erasures
from klaviyo_assets.state.sync_log import SyncLog

NEVER_CHANGED = "empty"
"""Version of a table in which no sync has changed rows."""


def data_version(log: SyncLog, resource_type: str) -> str:
    """Return the id of the last sync that has changed rows, and the number of erasures that have: these are no syncs.

    Args:
        log: The log of syncs.
        resource_type: The resource type.
    """
    version = log.last_change(resource_type) or NEVER_CHANGED
    erasures = Erasures(log.connection, log.warehouse, log.schema).count(resource_type)
    return f"{version}-{erasures}" if erasures else version

"""The table of a child type's parent: its ids, and whether it has all of them."""

from dataclasses import dataclass
from datetime import datetime

from duckdb import DuckDBPyConnection

from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.load.schema.tables import Tables
from klaviyo_assets.state.sync_log import CompleteSync, SyncLog
from klaviyo_assets.state.table_fingerprint import current_state


@dataclass(frozen=True)
class ParentTable:
    """What a sync of a child type knows about its parent's table.

    Attributes:
        ids: Ids that are not marked as deleted, ascending.
        last_complete: The last sync that has read the parent completely; None if none is recorded, so parents may be missing.
        lost: Why the table has lost rows since then, as the end of a sentence; None if it has not.
    """

    ids: tuple[str, ...]
    last_complete: CompleteSync | None
    lost: str | None


def read_parent_table(connection: DuckDBPyConnection, tables: Tables, parent: ResourceType, account_id: str, latest: datetime) -> ParentTable | None:
    """Read the table of a child type's parent.

    Args:
        connection: The database.
        tables: The tables of the child type; ``_syncs`` is prepared.
        parent: The parent's resource type.
        account_id: The account of the sync.
        latest: What later syncs recorded about the table does not count, since their clock was wrong.

    Returns:
        None if there is no such table.
    """
    ids = tables.ids_of(connection, parent)
    if ids is None:
        return None
    last = SyncLog(connection, tables.warehouse, tables.schema).last_complete(parent.name, account_id)
    before = last.state if last is not None and last.started_at <= latest else None
    now = current_state(connection, tables.warehouse.qualified(tables.schema, parent.name))
    return ParentTable(tuple(ids), last, None if before is None else before.lost_reason(now))

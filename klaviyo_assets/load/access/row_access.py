"""Reads what is stored of one resource type, one short connection per call."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.load.children.parent_table import ParentTable, read_parent_table
from klaviyo_assets.load.deletions.deletions import Deletions, Key
from klaviyo_assets.load.loader import Loader
from klaviyo_assets.state.coverage import CoverageRow
from klaviyo_assets.state.coverage_store import CoverageStore
from klaviyo_assets.state.sync_log import SyncLog, SyncLogEntry


@dataclass(frozen=True)
class RowAccess:
    """The stored rows of one resource type, its coverage and its syncs, for planning and for comparisons.

    Args:
        loader: The sync's access to the database.
    """

    loader: Loader

    def has_sync(self, sync_id: str) -> bool:
        """Return whether ``_syncs`` has an entry of a sync. It has none if the file was replaced by an older copy."""
        with self.loader.warehouse.connection() as connection:
            return SyncLog(connection, self.loader.warehouse, self.loader.schema).has_sync(sync_id)

    def coverage(self) -> list[CoverageRow]:
        """Return the coverage so far."""
        with self.loader.warehouse.connection() as connection:
            return CoverageStore(connection, self.loader.warehouse, self.loader.schema).rows(self.loader.entry.name)

    def missing_keys(self, files: Sequence[Path]) -> list[Key]:
        """Return the keys of rows that are not marked as deleted and not in the staged files of a complete read."""
        with self.loader.warehouse.connection() as connection:
            return Deletions(connection, self.loader.tables).missing_keys(files)

    def values_of(self, column: str, keys: Sequence[Key]) -> list[str]:
        """Return the different values of a text column in the rows with these keys."""
        with self.loader.warehouse.connection() as connection:
            return Deletions(connection, self.loader.tables).values_of(column, keys)

    def live_values(self, column: str) -> set[str]:
        """Return the different values of a text column in the rows that are not marked as deleted."""
        with self.loader.warehouse.connection() as connection:
            return Deletions(connection, self.loader.tables).live_values(column)

    def parent_table(self, parent: ResourceType, row: SyncLogEntry) -> ParentTable | None:
        """Return what is known about the table of a child type's parent; None if there is no such table."""
        with self.loader.warehouse.connection() as connection:
            return read_parent_table(connection, self.loader.tables, parent, row.account_id, row.started_at + timedelta(days=1))

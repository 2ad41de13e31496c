"""Reads which rows lack included resources, and records which of these Klaviyo did not return, one short connection or transaction per call."""

from collections.abc import Collection
from dataclasses import dataclass

from klaviyo_assets.load.access.incomplete_rows import MAX_INCOMPLETE, incomplete_ids
from klaviyo_assets.load.loader import Loader
from klaviyo_assets.load.transaction_retry import retry_on_conflict
from klaviyo_assets.state.sync_log import SyncLogEntry
from klaviyo_assets.state.unanswered import Unanswered
from klaviyo_assets.warehouse.interface import Warehouse


@dataclass(frozen=True)
class IncompleteRows:
    """Rows that name included resources which are not stored.

    Attributes:
        ids: Some of their ids, without those that Klaviyo recently did not return.
        asked: Hashes of the ids that Klaviyo recently did not return.
    """

    ids: tuple[str, ...] = ()
    asked: frozenset[str] = frozenset()


@dataclass(frozen=True)
class IncompleteAccess:
    """The incomplete rows of one resource type.

    Args:
        loader: The sync's access to the database.
    """

    loader: Loader

    @property
    def warehouse(self) -> Warehouse:
        """The database."""
        return self.loader.warehouse

    def rows(self, row: SyncLogEntry) -> IncompleteRows:
        """Return what a sync may complete."""
        loader = self.loader
        with loader.warehouse.connection() as connection:
            asked = Unanswered(connection, loader.warehouse, loader.schema).recent(loader.entry.name, row.started_at)
            return IncompleteRows(tuple(incomplete_ids(connection, loader.tables, MAX_INCOMPLETE, asked)), asked)

    @retry_on_conflict
    def note_unanswered(self, ids: Collection[str], row: SyncLogEntry) -> None:
        """Record that Klaviyo did not return records that a sync has requested."""
        loader = self.loader
        with loader.warehouse.transaction() as connection:
            Unanswered(connection, loader.warehouse, loader.schema).note(loader.entry.name, ids, row.started_at)

"""Reads what is stored of the children of each parent, one short connection or transaction per call."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from klaviyo_assets.catalog.resource_type import Parent, ResourceType
from klaviyo_assets.load.children.child_rows import ChildRows, CompleteRead, ParentCount
from klaviyo_assets.load.children.group_rows import GroupRead, GroupRows
from klaviyo_assets.load.loader import Loader
from klaviyo_assets.load.transaction_retry import retry_on_conflict
from klaviyo_assets.state.coverage_store import CoverageStore
from klaviyo_assets.state.parent_facts import ParentFacts
from klaviyo_assets.state.sync_log import SyncLogEntry
from klaviyo_assets.warehouse.interface import Warehouse


@dataclass(frozen=True)
class ChildAccess:
    """The stored children of one child type, for planning and for comparisons.

    Args:
        loader: The sync's access to the database.
    """

    loader: Loader

    @property
    def warehouse(self) -> Warehouse:
        """The database."""
        return self.loader.warehouse

    @property
    def _parent(self) -> Parent:
        return self.loader.entry.required_parent

    def facts(self, ids: Sequence[str], row: SyncLogEntry, changed_with: str | None) -> dict[str, ParentFacts]:
        """Return what is known about parents and their children; arguments as in :meth:`ChildRows.facts`."""
        with self.loader.warehouse.connection() as connection:
            return ChildRows(connection, self.loader.tables).facts(ids, row.started_at, changed_with)

    def names_of(self, parent: ResourceType) -> dict[str, str]:
        """Return the names of the records of a type by id; as :meth:`ChildRows.names_of`."""
        with self.loader.warehouse.connection() as connection:
            return ChildRows(connection, self.loader.tables).names_of(parent)

    @retry_on_conflict
    def compare(self, counts: Mapping[str, ParentCount]) -> dict[str, bool | None]:
        """Compare counts with the stored children, as :meth:`ChildRows.compare`; parents that differ are no longer verified.

        That is committed before they are read again: if that read is interrupted, the next sync compares them.
        """
        with self.warehouse.transaction() as connection:
            found = ChildRows(connection, self.loader.tables).compare(counts)
            different = [id_ for id_, is_equal in found.items() if is_equal is False]
            if different:
                coverage = CoverageStore(connection, self.warehouse, self.loader.schema)
                coverage.clear_parents(self.loader.entry.name, self._parent.column, different)
            return found

    def missing(self, reads: Sequence[CompleteRead]) -> dict[str, bool]:
        """Return the parents with rows that a complete read did not return, and whether it returned none of their children at all."""
        with self.loader.warehouse.connection() as connection:
            rows = ChildRows(connection, self.loader.tables)
            return {id_: is_empty for read in reads for id_, is_empty in rows.missing(read).items()}

    def missing_in_parts(self, read: GroupRead) -> dict[str, tuple[int, int]]:
        """Return the parents with rows that a read did not return; as :meth:`GroupRows.missing`."""
        with self.loader.warehouse.connection() as connection:
            return GroupRows(connection, self.loader.tables).missing(read)

    def missing_ids(self, read: GroupRead, parents: Collection[str], most: int | None = None) -> list[tuple[str, str]]:
        """Return the parents and ids of rows that a read did not return; as :meth:`GroupRows.missing_ids`."""
        with self.loader.warehouse.connection() as connection:
            return GroupRows(connection, self.loader.tables).missing_ids(read, parents, most)

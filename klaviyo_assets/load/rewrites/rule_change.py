"""Applies changed field rules to the stored rows of one resource type."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from duckdb import DuckDBPyConnection

from klaviyo_assets.load.parts.row_ranges import RowRange
from klaviyo_assets.load.rewrites.reapply_rules import StoredRules
from klaviyo_assets.load.rewrites.rewriting import OpenRewriting, Rewriting
from klaviyo_assets.load.schema.tables import Tables
from klaviyo_assets.load.transaction_retry import retry_on_conflict
from klaviyo_assets.privacy.apply import FieldRuleSet
from klaviyo_assets.state.sync_log import SyncLog
from klaviyo_assets.warehouse.interface import Warehouse
from klaviyo_assets.warehouse.sql import count_rows


@dataclass(frozen=True)
class RuleChange:
    """A change of field rules, in separate transactions.

    Args:
        tables: The tables of the resource type.
        field_rules: The rules.
        fingerprint: Returns the fingerprint of a read, given the fingerprint of its rules.
        rewriting: Opens a transaction that rewrites rows.
    """

    tables: Tables
    field_rules: FieldRuleSet
    fingerprint: Callable[[str | None], str]
    rewriting: OpenRewriting

    @property
    def warehouse(self) -> Warehouse:
        """The database."""
        return self.tables.warehouse

    @retry_on_conflict
    def apply(self) -> tuple[bool, int]:
        """Apply the rules to rows that were stored without them; return whether rules have changed, and how many rows were rewritten."""
        with self.rewriting() as transaction:
            stored = self._stored(transaction)
            if stored.are_up_to_date:
                return False, 0
            if stored.are_tightened and self.warehouse.capabilities.can_compact and self._was_synced_before(transaction.connection):
                # Even if no row changes: free blocks may contain earlier values.
                self.warehouse.request_compaction()
            parts = stored.ranges()
            if len(parts) <= 1:
                transaction.rows = sum(map(stored.rewrite, parts))
                stored.finish(self.fingerprint)
                return True, transaction.rows
            stored.begin_rewrite(self.fingerprint)
        return True, self._rewrite_wide_rows(parts)

    def _rewrite_wide_rows(self, parts: Sequence[Sequence[RowRange]]) -> int:
        """Apply the rules in several transactions; the last one records them."""
        rewritten = 0
        for part in parts:
            with self.rewriting() as transaction:
                transaction.rows = self._stored(transaction).rewrite(part)
                rewritten += transaction.rows
        with self.rewriting() as transaction:
            stored = self._stored(transaction)
            # If the user lets DuckDB vacuum, a checkpoint may have moved rows in between. Almost always there is nothing left to change.
            transaction.rows = sum(map(stored.rewrite, stored.ranges()))
            stored.finish(self.fingerprint)
        return rewritten + transaction.rows

    def _stored(self, transaction: Rewriting) -> StoredRules:
        return StoredRules(transaction.connection, self.tables, self.field_rules, note=transaction.note)

    def _was_synced_before(self, connection: DuckDBPyConnection) -> bool:
        """Whether the file may have contained rows of the type: the table has rows, or an earlier sync ran."""
        tables = self.tables
        syncs = SyncLog(connection, self.warehouse, tables.schema).count(tables.entry.name)
        return syncs > 1 or count_rows(connection, f"FROM (FROM {tables.rows} LIMIT 1)") > 0

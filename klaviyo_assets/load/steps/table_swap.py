"""Replaces a table with the one that a full read has filled, in one transaction, or in several if rows to carry over are wide."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from klaviyo_assets.load.parts.row_ranges import RowRange
from klaviyo_assets.load.rows.rebuild import Rebuild
from klaviyo_assets.load.steps.load_transaction import LoadTransaction, LoadTransactions
from klaviyo_assets.load.transaction_retry import retry_on_conflict
from klaviyo_assets.state.coverage import CoverageRow
from klaviyo_assets.state.sync_log import SyncLogEntry
from klaviyo_assets.warehouse.interface import Warehouse


@dataclass(frozen=True)
class TableSwap:
    """The swap of a full read, and the end of its sync.

    Args:
        transactions: Opens the transactions of the sync.
        row: The sync's log entry, up to date.
        covered: Coverage of the full read; it replaces the stored one.
        requested_from: Records before this time were not requested; None if all were.
        now: When the sync ends.
    """

    transactions: LoadTransactions
    row: SyncLogEntry
    covered: Sequence[CoverageRow]
    requested_from: datetime | None
    now: datetime

    @property
    def warehouse(self) -> Warehouse:
        """The database."""
        return self.transactions.warehouse

    def run(self) -> None:
        """Swap the tables.

        Rows that the full read did not return are carried over and marked as deleted. Rows from before the start date were not requested and do not
        change. If such rows are wide, they are carried over in several transactions before the swap. Until then no one reads the rebuilt table, and
        the next sync drops it if this one is interrupted.
        """
        parts = self._swap_unless_wide()
        for part in parts:
            self._carry_over(part)
        if parts:
            self._finish()

    @retry_on_conflict
    def _swap_unless_wide(self) -> Sequence[Sequence[RowRange]]:
        """Compare and swap in one transaction, or return the parts to carry over first."""
        with self.transactions.open(self.row) as transaction:
            rebuild = self._rebuild(transaction)
            transaction.progress.counts = rebuild.compare()
            parts = rebuild.vanished_parts()
            if len(parts) <= 1:
                self._replace_table(transaction)
                return []
        return parts

    @retry_on_conflict
    def _carry_over(self, part: Sequence[RowRange]) -> None:
        with self.transactions.open(self.row) as transaction:
            self._rebuild(transaction).carry_over(self.row.started_at, part)

    @retry_on_conflict
    def _finish(self) -> None:
        with self.transactions.open(self.row) as transaction:
            self._replace_table(transaction)

    def _replace_table(self, transaction: LoadTransaction) -> None:
        rebuild = self._rebuild(transaction)
        rebuild.carry_over(self.row.started_at)
        transaction.changes.note_rebuilt(transaction.connection, self.row.started_at)
        rebuild.replace_rows()
        transaction.coverage.clear(transaction.tables.entry.name)
        transaction.extend_coverage(self.covered)
        transaction.end(self.now)

    def _rebuild(self, transaction: LoadTransaction) -> Rebuild:
        return Rebuild(transaction.connection, transaction.tables, self.requested_from)

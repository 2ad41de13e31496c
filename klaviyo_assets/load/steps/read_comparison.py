"""Compares complete reads with the table, and marks rows as deleted that they did not return."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from klaviyo_assets.load.batch import Batch
from klaviyo_assets.load.deletions.child_deletions import ChildDeletions
from klaviyo_assets.load.deletions.deletions import Key
from klaviyo_assets.load.deletions.report_ending import ReportEnding
from klaviyo_assets.load.deletions.report_window import ReportWindow
from klaviyo_assets.load.steps.load_transaction import LoadTransactions
from klaviyo_assets.load.transaction_retry import retry_on_conflict
from klaviyo_assets.state.coverage import TimeWindow
from klaviyo_assets.state.requested_rereads import Reread, Rereads
from klaviyo_assets.state.sync_log import SyncLogEntry
from klaviyo_assets.warehouse.interface import Warehouse


@dataclass(frozen=True)
class ReadComparison:
    """Comparisons of complete reads with the table, each in one transaction.

    Args:
        transactions: Opens the transactions of the sync.
        row: The sync's log entry, up to date.
    """

    transactions: LoadTransactions
    row: SyncLogEntry

    @property
    def warehouse(self) -> Warehouse:
        """The database."""
        return self.transactions.warehouse

    @retry_on_conflict
    def finish_whole(self, batch: Batch, deleted: Sequence[Key], now: datetime) -> None:
        """Load a complete read, mark deleted rows and end the sync."""
        with self.transactions.open(self.row) as transaction:
            transaction.upsert(batch.files, transaction.tables.rows)
            transaction.progress.counts.deleted += transaction.deletions.mark(deleted, self.row.started_at)
            transaction.end(now)

    @retry_on_conflict
    def finish_parents(self, ending: ChildDeletions, now: datetime) -> None:
        """Mark rows that complete reads of their parents did not return, and rows of deleted parents; end the sync."""
        with self.transactions.open(self.row) as transaction:
            transaction.progress.counts.deleted += ending.mark(transaction.deletions, transaction.coverage, self.row.started_at)
            transaction.extend_coverage(ending.verified)
            transaction.end(now)

    @retry_on_conflict
    def mark_report(self, ending: ReportEnding) -> list[ReportWindow]:
        """Mark rows that Klaviyo no longer reports; result as in :meth:`ReportEnding.mark`."""
        with self.transactions.open(self.row) as transaction:
            marked, empty = ending.mark(transaction.deletions, transaction.coverage, self.row.started_at)
            transaction.progress.counts.deleted += marked
            transaction.update_log()
        return empty

    @retry_on_conflict
    def mark_missing(self, field: str, window: TimeWindow, files: Sequence[Path]) -> bool:
        """Mark rows of a window that a complete read of it did not return.

        Returns:
            False if the read returned nothing although the table has rows in the window; then no row is marked.
        """
        with self.transactions.open(self.row) as transaction:
            if not files:
                return not transaction.deletions.is_suspiciously_empty(field, window, files)
            transaction.mark_missing(field, window, files)
            transaction.update_log()
        return True

    @retry_on_conflict
    def finish_rereads(self, rereads: Sequence[Reread], files: Sequence[Path]) -> list[TimeWindow]:
        """Mark rows of windows that a complete read of them did not return, and record that these windows were read again.

        Args:
            rereads: What was read, from :func:`klaviyo_assets.state.requested_rereads.rereads_within`.
            files: Parquet files with the key and the time of every record that the read returned.

        Returns:
            Windows for which the read returned nothing although the table has rows; none of these rows is marked.
        """
        empty = []
        with self.transactions.open(self.row) as transaction:
            tables = transaction.tables
            for one in rereads:
                if not one.expects_none and transaction.deletions.is_suspiciously_empty(one.field, one.window, files):
                    empty.append(one.window)
                else:
                    transaction.mark_missing(one.field, one.window, files)
            store = Rereads(transaction.connection, tables.warehouse, tables.schema)
            store.done(tables.entry.name, [one.window for one in rereads], self.row.started_at)
            transaction.update_log()
        return empty

"""Loads staged rows into the table, together with the coverage and the sync's log entry, in short transactions.

    Loader ─begin──────────────────► Beginning ─────┐
           ─load, end───────────────────────────────┤
           ─swap───────────────────► TableSwap ─────┼──► LoadTransaction ──► rows, deletions, views, coverage, log
           ─apply_rules, recompute─► rewrites ──────┤
    ReadComparison (of complete reads) ─────────────┘

Each of them opens its transactions with ``LoadTransactions`` and leaves what was committed in ``LoadProgress``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.load.batch import Batch
from klaviyo_assets.load.integrity.table_changes import fail_if_changed
from klaviyo_assets.load.rewrites.recompute import Recompute
from klaviyo_assets.load.rewrites.rule_change import RuleChange
from klaviyo_assets.load.schema.tables import Tables
from klaviyo_assets.load.steps.beginning import Beginning, Begun
from klaviyo_assets.load.steps.load_progress import LoadProgress
from klaviyo_assets.load.steps.load_transaction import LoadTransactions
from klaviyo_assets.load.steps.read_comparison import ReadComparison
from klaviyo_assets.load.steps.table_swap import TableSwap
from klaviyo_assets.load.transaction_retry import retry_on_conflict
from klaviyo_assets.load.views.staged_properties import StagedProperties
from klaviyo_assets.privacy.apply import FieldRuleSet
from klaviyo_assets.state.coverage import CoverageRow
from klaviyo_assets.state.periods import Periods
from klaviyo_assets.state.sync_log import SyncLogEntry
from klaviyo_assets.warehouse.interface import Warehouse


@dataclass
class Loader:
    """All database work of one sync.

    Each method opens the database for one transaction and closes it. A process that is killed at any time leaves the last committed state.

    Args:
        warehouse: The database.
        entry: The resource type.
        schema: DuckDB schema.

    Attributes:
        discard_staged: Deletes staged files of interrupted syncs.
        selected: SQL condition for rows that the sync reads.
        periods: Periods (days or months) by which changes are recorded; None to record none.
        staged_properties: Properties of staged events, for the views of metrics.
        begun: What the sync has found in the database; set by :meth:`begin`.
        progress: What the sync has changed so far.
    """

    warehouse: Warehouse
    entry: ResourceType
    schema: str
    discard_staged: Callable[[], None] = lambda: None
    selected: str = "true"
    periods: Periods | None = None
    staged_properties: StagedProperties = field(default_factory=StagedProperties)
    begun: Begun = field(default_factory=Begun)
    progress: LoadProgress = field(default_factory=LoadProgress)

    @property
    def tables(self) -> Tables:
        """Names of the tables."""
        return Tables(self.warehouse, self.schema, self.entry, self.selected)

    @property
    def _transactions(self) -> LoadTransactions:
        return LoadTransactions(self.tables, self.progress, self.periods, self.staged_properties)

    @retry_on_conflict
    def begin(
        self,
        row: SyncLogEntry,
        *,
        key_seen: bool = True,
        account_failure: str | None = None,
        accept_other_account: bool = False,
        latest: datetime | None = None,
    ) -> Begun:
        """Prepare the tables and write the sync's log entry; arguments and errors as those of :class:`Beginning`."""
        # The transaction that ends the sync frees the space of deleted rows.
        with self._transactions.open(row, frees_space=False) as transaction:
            self.begun = Beginning(transaction, self.discard_staged, key_seen, account_failure, accept_other_account, latest).run()
        self.periods = self.begun.periods
        return self.begun

    def apply_rules(self, field_rules: FieldRuleSet, fingerprint: Callable[[str | None], str], row: SyncLogEntry) -> tuple[bool, int]:
        """Apply field rules to rows that were stored without them; see :class:`RuleChange`."""
        return RuleChange(self.tables, field_rules, fingerprint, partial(self._transactions.rewriting, row)).apply()

    def recompute(self, row: SyncLogEntry) -> tuple[list[str], int]:
        """Fill computed columns of stored rows; see :class:`Recompute`."""
        if not self.begun.needs_recompute:
            return [], 0
        return Recompute(self.tables, partial(self._transactions.rewriting, row)).apply()

    @retry_on_conflict
    def load(self, batch: Batch, row: SyncLogEntry, *, rebuilt: bool = False) -> None:
        """Upsert staged rows and extend the coverage. A full read fills a separate table and leaves the coverage to :meth:`swap`.

        Args:
            batch: Files and their coverage.
            row: The sync's log entry, up to date.
            rebuilt: True for a full read.
        """
        with self._transactions.open(row) as transaction:
            tables = transaction.tables
            table = tables.rebuilt if rebuilt else tables.rows
            fail_if_changed(transaction.connection, tables, table, self.progress.table_state)
            transaction.upsert(batch.files, table)
            if not rebuilt:
                transaction.extend_coverage(batch.covered)
                transaction.record_state()
            transaction.update_log()

    @retry_on_conflict
    def create_rebuilt(self) -> None:
        """Create an empty table for a full read."""
        with self.warehouse.transaction() as connection:
            self.tables.create_rebuilt(connection)

    def swap(self, row: SyncLogEntry, covered: Sequence[CoverageRow], requested_from: datetime | None, now: datetime) -> None:
        """Replace the table with the rebuilt one, and the coverage with it, and end the sync; see :class:`TableSwap`."""
        TableSwap(self._transactions, row, covered, requested_from, now).run()

    def comparison(self, row: SyncLogEntry) -> ReadComparison:
        """Return what compares complete reads with the table."""
        return ReadComparison(self._transactions, row)

    @retry_on_conflict
    def end(self, row: SyncLogEntry, now: datetime) -> None:
        """Write the outcome of the sync."""
        with self._transactions.open(row) as transaction:
            transaction.end(now)

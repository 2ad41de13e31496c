"""The beginning of a sync: prepares the tables, closes syncs that were killed, and writes the sync's log entry."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from klaviyo_assets.load.integrity.clock_repair import undo_future_dates
from klaviyo_assets.load.integrity.lost_rows import LostRows
from klaviyo_assets.load.rewrites.derived_state import DerivedState
from klaviyo_assets.load.rewrites.reapply_rules import StoredRules
from klaviyo_assets.load.rows.period_recorder import PeriodRecorder
from klaviyo_assets.load.schema.tables import Prepared, Tables
from klaviyo_assets.load.steps.load_transaction import LoadTransaction
from klaviyo_assets.privacy.apply import FieldRuleSet
from klaviyo_assets.state.account import AccountPin
from klaviyo_assets.state.bookkeeping_copy import BookkeepingCopy
from klaviyo_assets.state.changed_periods import ChangedPeriods
from klaviyo_assets.state.coverage import CoverageRow
from klaviyo_assets.state.periods import Periods
from klaviyo_assets.state.requested_rereads import Reread, Rereads
from klaviyo_assets.state.tombstones import Tombstones
from klaviyo_assets.warehouse.ddl import SchemaColumns


@dataclass(frozen=True)
class Begun:
    """What a sync has found in the database when it began.

    Attributes:
        coverage: The coverage so far.
        last_end: When the last sync of this type ended; None if there was none.
        has_field_rules: Whether rows of the schema were stored with field rules.
        erased: Hashes of ids that were erased and must not be stored again.
        periods: Periods by which changes are recorded; None to record none.
        rereads: Windows that must be read again.
        needs_recompute: Whether values that are derived from JSON may be missing in stored rows.
    """

    coverage: Sequence[CoverageRow] = ()
    last_end: datetime | None = None
    has_field_rules: bool = False
    erased: frozenset[str] = frozenset()
    periods: Periods | None = None
    rereads: Sequence[Reread] = ()
    needs_recompute: bool = True


@dataclass(frozen=True)
class Beginning:
    """The beginning of a sync, in one transaction.

    Args:
        transaction: The open transaction, with the sync's new log entry.
        discard_staged: Deletes staged files of interrupted syncs.
        key_seen: True if the key has filled this schema before.
        account_failure: Why the account could not be requested, if a later request may succeed.
        accept_other_account: True to let the schema change to another account.
        latest: Later dates were written by a sync with a wrong clock; None if the current time is uncertain.
    """

    transaction: LoadTransaction
    discard_staged: Callable[[], None]
    key_seen: bool
    account_failure: str | None
    accept_other_account: bool
    latest: datetime | None

    @property
    def _tables(self) -> Tables:
        return self.transaction.tables

    def run(self) -> Begun:
        """Prepare the tables, close syncs that were killed, and write the sync's log entry.

        Raises:
            AccountMismatch: If the schema contains another account's data, or may contain it.
            NewerLayout: If a later version of this library has written the schema.
        """
        connection, row, name = self.transaction.connection, self.transaction.row, self._tables.entry.name
        known = SchemaColumns(connection, self._tables.schema)
        prepared = self._tables.prepare(connection, known)
        self._note(prepared.notes)
        connection.execute(f"DROP TABLE IF EXISTS {self._tables.rebuilt}")  # left by an interrupted full read
        self._pin_account()
        self.transaction.log.delete_old(name, row.started_at)
        self._check_rows(prepared)
        last_end = self._write_log()
        has_field_rules, erased = self._restore_from_copy(known, is_new=name in prepared.made)
        periods = self._prepare_periods(known)
        rereads = Rereads(connection, self._tables.warehouse, self._tables.schema).pending(name)
        needs_recompute = self._needs_recompute(prepared)
        self.transaction.count_rows()
        return Begun(self.transaction.coverage.rows(name), last_end, has_field_rules, erased, periods, rereads, needs_recompute)

    def _note(self, messages: Iterable[str]) -> None:
        self.transaction.progress.notes.extend(messages)

    def _pin_account(self) -> None:
        """Fail if the schema contains another account's data."""
        row = self.transaction.row
        row.account_id = AccountPin(self.transaction.log, self.transaction.coverage, self.transaction.progress.notes).pin(
            row.account_id, key_seen=self.key_seen, accept_other=self.accept_other_account, failure=self.account_failure
        )

    def _check_rows(self, prepared: Prepared) -> None:
        """Clear the coverage of a table that has lost rows, and correct dates in the future."""
        log, coverage, now = self.transaction.log, self.transaction.coverage, self.transaction.row.started_at
        found = LostRows(self._tables, log, coverage).compare(prepared, self.latest or now + timedelta(days=1))
        self._note(found.notes)
        if found.staged_is_void:
            # Before the commit: an interrupted sync's manifest counts rows as read that the table has lost.
            self.discard_staged()
        if self.latest is not None:
            self._note(undo_future_dates(self._tables, log, coverage, after=self.latest, now=now))

    def _write_log(self) -> datetime | None:
        """Close syncs that were killed and write the sync's log entry; return when the last sync ended."""
        log, row, name = self.transaction.log, self.transaction.row, self._tables.entry.name
        log.close_killed(name, row.started_at)
        last_end = log.last_end(name)
        self.transaction.record_state()
        log.insert(row)
        return last_end

    def _restore_from_copy(self, known: SchemaColumns, *, is_new: bool) -> tuple[bool, frozenset[str]]:
        """Restore lost bookkeeping about field rules and erased ids; return whether there are field rules, and the hashes of the ids."""
        connection, tables = self.transaction.connection, self._tables
        stored = StoredRules(connection, tables, FieldRuleSet(), known)
        self._note(stored.update_copy(is_new=is_new))
        has_field_rules = stored.log_exists
        tombstones = Tombstones(connection, tables.warehouse, tables.schema, known)
        self._note(BookkeepingCopy(tables.warehouse, tables.schema).restore_erased(tombstones))
        return has_field_rules, tombstones.hashes()

    def _needs_recompute(self, prepared: Prepared) -> bool:
        """Return whether derived values may be missing in stored rows; a new table has none."""
        state = DerivedState(self.transaction.connection, self._tables)
        if self._tables.entry.name in prepared.made:
            state.record_new_table()
        else:
            state.forget_columns(prepared.changed)
        return not state.is_current

    def _prepare_periods(self, known: SchemaColumns) -> Periods | None:
        """Return the periods by which changes are recorded, and create their table."""
        periods = self.transaction.periods
        if periods is None and self._tables.entry.period_field and known.of(ChangedPeriods.NAME):
            periods = Periods()  # another code location has partitions, or this one had: they are reported there, or later
        PeriodRecorder(self._tables, periods, self.transaction.row.id).prepare(self.transaction.connection)
        return periods

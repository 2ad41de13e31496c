"""Erases a person from the tables, staged files and free blocks of the file, and prevents later syncs from storing them again."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import duckdb
from duckdb import DuckDBPyConnection

from klaviyo_assets._internal import os_errors, private_files
from klaviyo_assets.catalog import CATALOG, Catalog
from klaviyo_assets.erasure.delete import ErasedRows, Found
from klaviyo_assets.erasure.subject import DataSubject
from klaviyo_assets.erasure.unknown_tables import UnknownTables
from klaviyo_assets.errors import SyncError
from klaviyo_assets.load.rewrites.reapply_rules import StoredRules
from klaviyo_assets.load.schema.tables import Tables
from klaviyo_assets.load.transaction_retry import retry_on_conflict
from klaviyo_assets.privacy.apply import FieldRuleSet
from klaviyo_assets.privacy.hashing import Salt
from klaviyo_assets.publish.refresh import rewrite_outdated
from klaviyo_assets.state.bookkeeping_copy import BookkeepingCopy
from klaviyo_assets.state.layout_migration import LayoutMigration
from klaviyo_assets.state.locks import sync_lock
from klaviyo_assets.state.schema_version import SchemaVersion
from klaviyo_assets.state.sync_log import SyncLog
from klaviyo_assets.state.tombstones import Tombstones
from klaviyo_assets.warehouse.ddl import table_exists
from klaviyo_assets.warehouse.interface import Warehouse, WarehouseError

__all__ = ["DataSubject", "Erased", "Erasure", "Found"]

_COPIES = (
    "Running programs still read temporary copies of tables ({}), made for lazy frames, which may hold the person; each is deleted when its program "
    "ends. Run erase again then to see that none is left."
)

_COPIES_NOT_REACHED = "The person was erased from the database, but published copies may still hold the person. {}"

_NOT_COMPACTED = (
    "This warehouse does not remove what deleted rows held: its older snapshots and files may still hold the person. Expire and delete them there."
)

_OTHER_SCHEMAS = "Syncs have filled other schemas of this database too, which are erased one by one (--schema): {}."


@dataclass(frozen=True)
class Erased:
    """What an erasure did.

    Attributes:
        found: What each table contained; tables without a match are left out.
        remembered: Whether hashes of the person's ids are kept, so later syncs do not store them.
        notes: What could not be identified and what was deliberately kept.
        copies_reached: False if published copies may still hold the person; a note says which and why.
    """

    found: tuple[Found, ...]
    remembered: bool
    notes: tuple[str, ...]
    copies_reached: bool = True


@dataclass(frozen=True)
class Erasure:
    """Erases people from one schema.

    Args:
        warehouse: The database.
        schema: DuckDB schema.
        salt: Salt of the field rules, if e-mail addresses are stored as hashes.
        catalog: Resource types that syncs of this schema know besides those of this package: the catalog of your code location.

    Example:
        >>> Erasure(warehouse, "klaviyo", catalog=CATALOG.with_(MY_TYPE)).run(DataSubject.named("ann@example.com"))
    """

    warehouse: Warehouse
    schema: str
    salt: Salt | None = None
    catalog: Catalog = field(default_factory=lambda: CATALOG)

    def run(self, person: DataSubject, *, dry_run: bool = False) -> Erased:
        """Erase a person. All files that interrupted syncs have staged are deleted; the next sync reads their records again.

        One transaction changes the tables while all syncs of the schema are locked out. Then the file is rewritten, even if no row was found: free
        blocks may contain data of earlier rows. Published copies are written again; a note says so if that fails.

        Args:
            person: The person.
            dry_run: True to report what would be done and change nothing.

        Raises:
            SyncAlreadyRunning: If a sync is running.
            NewerLayout: If a later version of this library has written the schema.
            SyncError: If the schema does not exist, has tables of resource types that are not in the catalog, or the person's rows cannot be
                identified; nothing was changed.
            WarehouseError: If the database cannot be opened, or cannot be rewritten: the rows are deleted, and the next sync retries.
        """
        with self.warehouse.connection() as connection:
            others = self._refuse_unknown_schema(connection)
            SchemaVersion(connection, self.warehouse, self.schema).reject_newer()
        with ExitStack() as stack:
            if not dry_run:
                stack.enter_context(self._syncs_locked_out())
            erased = self._in_transaction(person, dry_run=dry_run)
            if not dry_run:
                if self.warehouse.capabilities.can_compact:
                    self.warehouse.compact_if_requested()
                else:
                    erased = replace(erased, notes=(*erased.notes, _NOT_COMPACTED))
                notes, reached = self._reach_copies()
                erased = replace(erased, notes=(*erased.notes, *notes), copies_reached=reached)
                if copies := self.warehouse.copies_in_use():
                    erased = replace(erased, notes=(*erased.notes, _COPIES.format(copies)))
        if others:
            erased = replace(erased, notes=(*erased.notes, _OTHER_SCHEMAS.format(", ".join(others))))
        return erased

    def _reach_copies(self) -> tuple[list[str], bool]:
        """Write published copies again; return notes, and whether all copies were reached. The rows are deleted by now, so an error is a note."""
        try:
            return rewrite_outdated(self.warehouse), True
        except WarehouseError as error:
            return [_COPIES_NOT_REACHED.format(error)], False
        except OSError as error:
            what, advice = os_errors.meaning(error) or (error.strerror or str(error), "Check permissions there")
            undeleted = WarehouseError(f"{error.filename or 'One'} could not be deleted: {what}.", f"{advice}; the next sync tries again.")
            return [_COPIES_NOT_REACHED.format(undeleted)], False

    @cached_property
    def _known(self) -> Catalog:
        """All resource types whose tables can be searched."""
        return CATALOG.updated(self.catalog)

    @property
    def _folder(self) -> Path:
        """The schema's part of the state folder."""
        return self.warehouse.state_dir / self.schema.lower()

    @contextmanager
    def _syncs_locked_out(self) -> Iterator[None]:
        """Lock out the syncs of the schema, also those of resource types that are not known here but have been synced before."""
        private_files.make_folder(self._folder)
        names = {*self._known, *(lock.stem for lock in self._folder.glob("*.lock"))}
        with ExitStack() as stack:
            for name in sorted(names):
                stack.enter_context(sync_lock(self._folder, name, "an erasure"))
            yield

    @retry_on_conflict
    def _in_transaction(self, person: DataSubject, *, dry_run: bool) -> Erased:
        person = deepcopy(person)  # identifiers that are found are added, and a repeated transaction must not begin with them
        with self.warehouse.connection() as connection:
            connection.execute("BEGIN TRANSACTION")
            try:
                notes = LayoutMigration(connection, self.warehouse, self.schema).run()
                UnknownTables(connection, self.warehouse, self.schema, self._known).refuse()
                self._refuse_lost_rules(connection)
                copy, tombstones = BookkeepingCopy(self.warehouse, self.schema), Tombstones(connection, self.warehouse, self.schema)
                notes += [] if dry_run else [*copy.restore_erased(tombstones)]
                rows = ErasedRows(connection, self.warehouse, self.schema, self._known, self.salt, person)
                erased = Erased(tuple(rows.run()), bool(person.ids), (*notes, *rows.notes))
                if not dry_run:
                    copy.note_erased(tombstones)
                    # Before the commit: staged files would store the person again.
                    shutil.rmtree(self._folder / "staging", ignore_errors=True)
                    if self.warehouse.capabilities.can_compact:
                        self.warehouse.request_compaction()
            except BaseException:
                with suppress(duckdb.Error):  # the first error is the one to report
                    connection.execute("ROLLBACK")
                raise
            connection.execute("ROLLBACK" if dry_run else "COMMIT")
        return erased

    def _refuse_lost_rules(self, connection: DuckDBPyConnection) -> None:
        """Fail if the field rules of a table are no longer recorded: rows with hashed or dropped values would be missed."""
        for name, entry in self._known.items():
            tables = Tables(self.warehouse, self.schema, entry)
            if table_exists(connection, self.schema, name) and StoredRules(connection, tables, FieldRuleSet()).are_lost:
                raise SyncError(
                    f"The table {self.schema}._field_rules lacks the field rules that the rows of {name} were stored with, so the rows of the "
                    "person cannot be identified. Nothing was erased.",
                    f"Run a sync of {name}, which records them again; then erase again.",
                )

    def _refuse_unknown_schema(self, connection: DuckDBPyConnection) -> list[str]:
        """Fail if no sync has filled the schema; return the other schemas of the database that syncs have filled."""
        tables = connection.execute("SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = current_database()").fetchall()
        schemas = {schema for schema, table in tables if table in self._known or table == SyncLog.NAME}
        if self.schema.lower() not in {name.lower() for name in schemas}:
            filled = (
                f"Name one that syncs have filled, with --schema: {', '.join(sorted(schemas))}." if schemas else "See whether it is the right file."
            )
            raise SyncError(f"The database has no schema {self.schema!r} with tables of Klaviyo.", filled)
        return sorted({schema for schema, table in tables if table == SyncLog.NAME and schema.lower() != self.schema.lower()})

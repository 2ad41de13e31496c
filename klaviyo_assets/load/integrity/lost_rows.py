"""Clears the coverage of a table that has lost rows since the last sync."""

from dataclasses import dataclass
from datetime import datetime

from klaviyo_assets.load.schema.tables import DELETED_AT, Prepared, Tables
from klaviyo_assets.state import lost_bookkeeping
from klaviyo_assets.state.coverage_store import CoverageStore
from klaviyo_assets.state.sync_log import SyncLog
from klaviyo_assets.state.table_fingerprint import check_coverage, current_state


@dataclass(frozen=True)
class Comparison:
    """Result of comparing a table with what the last sync recorded about it.

    Attributes:
        notes: Messages for the user.
        staged_is_void: True if staged files of an interrupted sync must not be loaded.
    """

    notes: tuple[str, ...]
    staged_is_void: bool


@dataclass(frozen=True)
class LostRows:
    """Compares one table with the log of syncs and the coverage, in the caller's transaction.

    Args:
        tables: The tables of the resource type.
        log: The log of syncs.
        coverage: The coverage.
    """

    tables: Tables
    log: SyncLog
    coverage: CoverageStore

    def compare(self, prepared: Prepared, latest: datetime) -> Comparison:
        """Clear the coverage if the table has lost rows that it covers.

        Args:
            prepared: Tables and columns that were missing when the tables were prepared.
            latest: Syncs that began later had a wrong clock and do not count.
        """
        resource_type = self.tables.entry.name
        is_new = resource_type in prepared.made
        self.coverage.delete_incomplete(resource_type)
        name = f"{self.tables.schema}.{resource_type}"
        found = current_state(self.log.connection, self.tables.rows)
        was_synced = self.log.count(resource_type) > 0
        notes = [*lost_bookkeeping.notes(self.tables.schema, resource_type, prepared.made, has_rows=bool(found.rows), was_synced=was_synced)]
        lost, note = check_coverage(
            self.log.table_state(resource_type, latest),
            found,
            name,
            was_missing=is_new,
            is_covered=self.coverage.covers_anything(resource_type),
            has_coverage=not self.tables.entry.replication.is_complete_read and CoverageStore.NAME not in prepared.made,
        )
        if note is not None:
            notes.append(note)
        if DELETED_AT in prepared.changed:
            notes.append(
                f"The column {DELETED_AT} of {name} was missing, so rows that were marked as deleted are no longer marked. "
                "Run a sync with mode full: it marks them again."
            )
        if lost:
            self.coverage.clear(resource_type)
        return Comparison(tuple(notes), lost or is_new)

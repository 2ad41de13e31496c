"""Finds and marks rows that complete reads did not return."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import polars as pl
from duckdb import DuckDBPyConnection

from klaviyo_assets.load.children.child_rows import ChildRows
from klaviyo_assets.load.deletions.report_window import ReportWindow
from klaviyo_assets.load.rows.upsert import parquet
from klaviyo_assets.load.schema.tables import DELETED_AT, Tables
from klaviyo_assets.state.coverage import TimeWindow
from klaviyo_assets.warehouse.sql import changed_rows, key_columns, key_value, quoted

Key = tuple[str, ...]
"""Values of a primary key."""


@dataclass(frozen=True)
class Deletions:
    """Marks deleted rows of one table, in the caller's transaction. Methods that mark rows return their number.

    Args:
        connection: The database.
        tables: The tables of the resource type.
    """

    connection: DuckDBPyConnection
    tables: Tables

    def missing_keys(self, files: Sequence[Path]) -> list[Key]:
        """Return the keys of rows that are not marked as deleted and not in the staged files of a complete read."""
        columns = key_columns(self.tables.entry.primary_key)
        return self.connection.execute(f"SELECT {columns} FROM {self.tables.rows} WHERE {self._are_missing(files)} ORDER BY ALL").fetchall()

    def values_of(self, column: str, keys: Sequence[Key]) -> list[str]:
        """Return the different values of a text column in the rows with these keys, in order; null is none."""
        key, name = self.tables.entry.primary_key, quoted(column)
        self.connection.register("wanted_keys", pl.DataFrame(list(keys), schema=dict.fromkeys(key, pl.String), orient="row"))
        rows = self.connection.execute(
            f"SELECT DISTINCT {name} FROM {self.tables.rows} WHERE {name} IS NOT NULL AND {key_value(key)} IN "
            f"(SELECT {key_columns(key)} FROM wanted_keys) ORDER BY {name}"
        ).fetchall()
        self.connection.unregister("wanted_keys")
        return [str(value) for (value,) in rows]

    def mark(self, keys: Sequence[Key], at: datetime) -> int:
        """Mark rows by their keys."""
        if not keys:
            return 0
        key = self.tables.entry.primary_key
        self.connection.register("deleted_keys", pl.DataFrame(list(keys), schema=dict.fromkeys(key, pl.String), orient="row"))
        marked = self._mark(f"{DELETED_AT} IS NULL AND {key_value(key)} IN (SELECT {key_columns(key)} FROM deleted_keys)", at)
        self.connection.unregister("deleted_keys")
        return marked

    def mark_missing(self, field: str, window: TimeWindow, files: Sequence[Path], at: datetime) -> int:
        """Mark rows with a time in a window that a complete read of the window did not return.

        Args:
            field: The time field.
            window: The window.
            files: Staged files with the keys that were returned.
            at: When the read began.
        """
        column = quoted(field)
        return self._mark(f"{column} >= ? AND {column} < ? AND {self._are_missing(files)}", at, window.start, window.end)

    def mark_missing_of_report(self, window: ReportWindow, files: Sequence[Path], at: datetime) -> int | None:
        """Mark rows of a report's window that a complete read of it did not return; None if it returned nothing although the table has rows.

        Args:
            window: The window.
            files: Staged files with the keys that were returned, also those of other windows.
            at: When the read began.
        """
        key, own = self.tables.entry.primary_key, window.condition
        if not files or not self.connection.execute(f"SELECT 1 FROM {parquet(files, key)} WHERE {own} LIMIT 1").fetchall():
            known = self.connection.execute(f"SELECT 1 FROM {self.tables.rows} WHERE {DELETED_AT} IS NULL AND {own} LIMIT 1").fetchall()
            return None if known else 0
        return self._mark(f"{own} AND {self._are_missing(files)}", at)

    def mark_missing_of_parents(self, column: str, parents: Sequence[str], files: Sequence[Path], at: datetime) -> int:
        """Mark the rows of some parents that a complete read of these did not return. Rows of other parents do not change.

        Args:
            column: Column that has the parent's id.
            parents: Ids of parents that were read completely.
            files: Staged files of their reads; none if they returned nothing.
            at: When the read began.
        """
        check = self.tables.entry.replication.count_check
        return self._mark_of_parents(column, parents, self._are_missing(files), at, removed=check.removed_column if check is not None else None)

    def mark_outdated(self, column: str, parents: Sequence[str], at: datetime) -> int:
        """Mark rows of some parents if the child's own record, such as a member's profile, has been marked as deleted.

        Args:
            column: Column that has the parent's id.
            parents: Ids of the parents.
            at: When the read began.
        """
        check = self.tables.entry.replication.count_check
        removed = check.removed_column if check is not None else None
        return self._mark_of_parents(column, parents, ChildRows(self.connection, self.tables).are_outdated, at, removed=removed)

    def mark_of_parents(self, column: str, parents: Sequence[str], at: datetime) -> int:
        """Mark all rows of parents that are gone, also those that were returned before their parent was deleted.

        Args:
            column: Column that has the parent's id.
            parents: Ids of the parents.
            at: When the read began.
        """
        return self._mark_of_parents(column, parents, f"{DELETED_AT} IS NULL", at)

    def _mark_of_parents(self, column: str, parents: Sequence[str], condition: str, at: datetime, removed: str | None = None) -> int:
        if not parents:
            return 0
        self.connection.register("marked_parents", pl.DataFrame({"id": list(parents)}, schema={"id": pl.String}))
        marked = self._mark(f"{quoted(column)} IN (SELECT id FROM marked_parents) AND {condition}", at, removed=removed)
        self.connection.unregister("marked_parents")
        return marked

    def live_values(self, column: str) -> set[str]:
        """Return the different values of a text column, such as the parent's id, in the rows that are not marked as deleted."""
        rows = self.connection.execute(f"SELECT DISTINCT {quoted(column)} FROM {self.tables.rows} WHERE {DELETED_AT} IS NULL").fetchall()
        return {value for (value,) in rows}

    def is_suspiciously_empty(self, field: str, window: TimeWindow, files: Sequence[Path]) -> bool:
        """Return whether a read of a window returned nothing although the table has rows in it; arguments as in :meth:`mark_missing`."""
        in_window, bounds = f"{quoted(field)} >= ? AND {quoted(field)} < ?", [window.start, window.end]
        returned = parquet(files, self.tables.entry.primary_key)
        if files and self.connection.execute(f"SELECT 1 FROM {returned} WHERE {in_window} LIMIT 1", bounds).fetchall():
            return False
        known = self.connection.execute(f"SELECT 1 FROM {self.tables.rows} WHERE {self._present} AND {in_window} LIMIT 1", bounds).fetchall()
        return bool(known)

    def _mark(self, condition: str, at: datetime, *parameters: object, removed: str | None = None) -> int:
        """Mark rows; ``removed`` is a column that gets the same time."""
        columns = [DELETED_AT] if removed is None else [DELETED_AT, quoted(removed)]
        changes = ", ".join(f"{column} = ?" for column in columns)
        return changed_rows(self.connection, f"UPDATE {self.tables.rows} SET {changes} WHERE {condition}", [at] * len(columns) + [*parameters])

    def _are_missing(self, files: Sequence[Path]) -> str:
        """SQL condition for rows that are not marked as deleted and not in staged files."""
        key = self.tables.entry.primary_key
        return f"{self._present} AND {key_value(key)} NOT IN (SELECT {key_columns(key)} FROM {parquet(files, key)})"

    @property
    def _present(self) -> str:
        """SQL condition for rows that the sync reads and that are not marked as deleted."""
        return f"{DELETED_AT} IS NULL" + (f" AND {self.tables.selected}" if self.tables.selected != "true" else "")

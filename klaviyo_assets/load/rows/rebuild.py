"""Replaces a table with the one that a full read has filled: compares the two, carries over rows that were not returned, and swaps them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from duckdb import DuckDBPyConnection

from klaviyo_assets.decode import SYNCED_AT
from klaviyo_assets.load.parts.row_ranges import RowRange, row_ranges, transactions_of
from klaviyo_assets.load.rows.null_rate_recorder import NullRateRecorder
from klaviyo_assets.load.rows.row_counts import RowCounts
from klaviyo_assets.load.rows.upsert import hashed, own_columns, text_columns
from klaviyo_assets.load.schema.foreign_objects import foreign_columns, has_indexes, insert_keeping
from klaviyo_assets.load.schema.tables import DELETED_AT, Tables
from klaviyo_assets.warehouse.sql import count_rows, instant_literal, key_columns, key_value, keys_equal, quoted


@dataclass(frozen=True)
class Rebuild:
    """The end of one full read, in the caller's transaction.

    Args:
        connection: The database.
        tables: The tables of the resource type.
        requested_from: Records before this time were not requested; None if all were.
    """

    connection: DuckDBPyConnection
    tables: Tables
    requested_from: datetime | None

    def compare(self) -> RowCounts:
        """Count what the full read has changed, before rows are carried over. Unchanged rows get the time of their earlier read."""
        tables, key, columns = self.tables, key_value(self.tables.entry.primary_key), key_columns(self.tables.entry.primary_key)
        inserted = count_rows(self.connection, f"FROM {tables.rebuilt} WHERE {key} NOT IN (SELECT {columns} FROM {tables.rows})")
        content = f"{hashed(tables.entry, 'old')} AS content"
        before = f"SELECT {columns}, {SYNCED_AT}, {DELETED_AT} IS NOT NULL AS was_deleted, {content} FROM {tables.rows} AS old"
        after = f"SELECT {columns}, {hashed(tables.entry, 'new')} AS content FROM {tables.rebuilt} AS new"
        self.connection.execute(
            f"CREATE OR REPLACE TEMP TABLE compared AS SELECT {columns}, old.{SYNCED_AT}, old.was_deleted OR old.content <> new.content AS differs "
            f"FROM ({before}) AS old JOIN ({after}) AS new USING ({columns})"
        )
        updated = count_rows(self.connection, "FROM compared WHERE differs")
        if inserted or updated:
            NullRateRecorder(self.connection, tables).note(tables.rebuilt)
        deleted = count_rows(self.connection, f"{self._vanished} AND {DELETED_AT} IS NULL AND ({self._requested})")
        self.connection.execute(
            f"UPDATE {tables.rebuilt} AS new SET {SYNCED_AT} = old.{SYNCED_AT} FROM compared AS old "
            f"WHERE {keys_equal(tables.entry.primary_key, 'new', 'old')} AND NOT old.differs"
        )
        self.connection.execute("DROP TABLE temp.compared")
        return RowCounts(inserted, updated, deleted)

    def vanished_parts(self) -> list[list[RowRange]]:
        """Return the places of the rows to carry over, grouped by transaction; empty without ``rowid``: then one transaction is enough."""
        if not self.tables.warehouse.capabilities.rowid:
            return []
        source = f"(SELECT old.rowid AS place, old.* {self._vanished})"
        return transactions_of(row_ranges(self.connection, source, text_columns(self.tables.entry)))

    def carry_over(self, at: datetime, part: Sequence[RowRange] | None = None) -> None:
        """Insert rows that the full read did not return into the rebuilt table, marking them as deleted if they were requested.

        Args:
            at: When the read began.
            part: The rows; None for all remaining ones.
        """
        names = ", ".join(f"old.{quoted(name)}" for name in (*own_columns(self.tables.entry), SYNCED_AT))
        marked = f"CASE WHEN {self._requested} THEN coalesce({DELETED_AT}, {instant_literal(at)}) ELSE {DELETED_AT} END AS {DELETED_AT}"
        places = f" AND old.rowid BETWEEN {part[0].first} AND {part[-1].last}" if part is not None else ""
        self.connection.execute(f"INSERT INTO {self.tables.rebuilt} BY NAME SELECT {names}, {marked} {self._vanished}{places}")

    def replace_rows(self) -> None:
        """Replace the old rows with the rebuilt ones. Columns and indexes that users added are kept."""
        rows, rebuilt, key = self.tables.rows, self.tables.rebuilt, self.tables.entry.primary_key
        users = foreign_columns(self.connection, rows, own_columns(self.tables.entry))
        if not users and not has_indexes(self.connection, self.tables.schema, self.tables.entry.name):
            self.connection.execute(f"DROP TABLE {rows}")
            self.connection.execute(f"ALTER TABLE {rebuilt} RENAME TO {quoted(self.tables.entry.name)}")
            return
        if users:
            self.connection.execute(f"CREATE OR REPLACE TEMP TABLE user_values AS SELECT {', '.join((key_columns(key), *users))} FROM {rows}")
        self.connection.execute(f"DELETE FROM {rows}")
        if users:
            insert_keeping(self.connection, rows, f"(FROM {rebuilt})", key=key, kept="user_values", columns=users)
            self.connection.execute("DROP TABLE temp.user_values")
        else:
            self.connection.execute(f"INSERT INTO {rows} BY NAME FROM {rebuilt}")
        self.connection.execute(f"DROP TABLE {rebuilt}")

    @property
    def _requested(self) -> str:
        """SQL condition for rows of the old table that the full read requested."""
        replication = self.tables.entry.replication
        start_field = replication.start_date_field
        requested = f"{quoted(start_field)} >= {instant_literal(self.requested_from)}" if self.requested_from and start_field else "true"
        if replication.range_field:
            # A full read filters by this time, so it does not request records without one.
            requested += f" AND {quoted(replication.range_field)} IS NOT NULL"
        return f"{requested} AND {self.tables.selected}"

    @property
    def _vanished(self) -> str:
        """SQL for the rows of the old table that the rebuilt one does not have."""
        key = self.tables.entry.primary_key
        return f"FROM {self.tables.rows} AS old WHERE {key_value(key)} NOT IN (SELECT {key_columns(key)} FROM {self.tables.rebuilt})"

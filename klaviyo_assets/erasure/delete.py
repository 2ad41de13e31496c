"""The rows of a person are deleted, and their names taken out of other rows, inside of a transaction."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

import polars as pl
from duckdb import DuckDBPyConnection

from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.erasure.mentions import Mentions
from klaviyo_assets.erasure.resolve import SubjectResolver
from klaviyo_assets.erasure.subject import DataSubject
from klaviyo_assets.load.tables import Tables
from klaviyo_assets.privacy.hashing import Salt
from klaviyo_assets.state.table_fingerprint import note_deleted
from klaviyo_assets.state.tombstones import remember
from klaviyo_assets.warehouse.base import Warehouse
from klaviyo_assets.warehouse.sql import key_text, literal, quoted


@dataclass(frozen=True)
class Found:
    """What a table holds of a person.

    Attributes:
        table: Its name.
        rows: Rows that are about the person, which are deleted.
        mentions: Rows about something else that name the person; there the name is taken out.
    """

    table: str
    rows: int
    mentions: int


@dataclass(frozen=True)
class ErasedRows:
    """One erasure, inside of a transaction.

    Args:
        connection: The database.
        warehouse: The same.
        schema: DuckDB schema.
        salt: Of the field rules.
        person: Whom; what else they are called is added.

    Attributes:
        notes: What could not be told, and what was left on purpose, in words; known after :meth:`run`.
    """

    connection: DuckDBPyConnection
    warehouse: Warehouse
    schema: str
    salt: Salt | None
    person: DataSubject
    notes: list[str] = field(default_factory=list)

    def run(self) -> Iterator[Found]:
        """Delete and take out; yield what each table held.

        Raises:
            SyncError: If it cannot be told whose rows are the person's.
        """
        whose = SubjectResolver(self.connection, self.warehouse, self.schema, self.salt, self.person, self._columns)
        known = whose.look_up()
        self.notes.extend(whose.notes)
        if self.person.ids:
            remember(self.connection, self.warehouse, self.schema, self.person.ids)
        yield from self._drop_rebuilt(whose)
        mentions = self.person.mentions(known)
        for table, columns in sorted(self._columns.items()):
            rows = self._delete_rows(table, whose.are_theirs(table)) if table in CATALOG else 0
            named = self._take_out(table, columns, mentions) if mentions.are_there else 0
            if rows or named:
                yield Found(table, rows, named)

    @cached_property
    def _columns(self) -> dict[str, dict[str, str]]:
        """The columns that may hold text, and their types, by table."""
        rows = self.connection.execute(
            "SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE database_name = current_database() "
            f"AND lower(schema_name) = lower({literal(self.schema)}) AND data_type IN ('VARCHAR', 'JSON', 'VARCHAR[]') "
            "AND (schema_name, table_name) IN "
            "(SELECT (schema_name, table_name) FROM duckdb_tables() WHERE database_name = current_database()) ORDER BY ALL"
        ).fetchall()
        tables: dict[str, dict[str, str]] = {}
        for table, column, type_ in rows:
            tables.setdefault(table, {})[column] = type_
        return tables

    def _drop_rebuilt(self, whose: SubjectResolver) -> Iterator[Found]:
        """Drop what full reads that were broken off have left; no sync is under way, and the next full read begins anew."""
        for entry in CATALOG.values():
            tables = Tables(self.warehouse, self.schema, entry)
            if tables.rebuilt_name in self._columns:
                ((rows,),) = self.connection.execute(
                    f"SELECT count(*) FROM {tables.rebuilt} WHERE {whose.are_theirs(tables.rebuilt_name)}"
                ).fetchall()
                self.connection.execute(f"DROP TABLE {tables.rebuilt}")
                del self._columns[tables.rebuilt_name]
                if rows:
                    yield Found(tables.rebuilt_name, rows, 0)

    def _delete_rows(self, table: str, theirs: str) -> int:
        qualified = self.warehouse.qualified(self.schema, table)
        rows = self.connection.execute(f"SELECT {key_text(CATALOG[table].primary_key)} FROM {qualified} WHERE {theirs}").fetchall()
        if rows and "profile_id" not in self._columns[table]:
            remember(self.connection, self.warehouse, self.schema, {id_ for (id_,) in rows})
        self.connection.execute(f"DELETE FROM {qualified} WHERE {theirs}")
        if rows:
            note_deleted(self.connection, Tables(self.warehouse, self.schema, CATALOG[table]))
        return len(rows)

    def _take_out(self, table: str, columns: dict[str, str], mentions: Mentions) -> int:
        """Replace the person's names in texts about something else; return in how many rows."""
        key = CATALOG[table].primary_key if table in CATALOG else ()
        touched: set[int] = set()
        for column, type_ in columns.items():
            if column not in key:
                touched |= self._replace(self.warehouse.qualified(self.schema, table), column, type_, mentions)
        return len(touched)

    def _replace(self, table: str, column: str, type_: str, mentions: Mentions) -> set[int]:
        name = quoted(column)
        frame = self.connection.sql(
            f"SELECT rowid AS place, {name} AS text FROM {table} WHERE regexp_matches({name}::VARCHAR, {literal(mentions.candidate)}, 'i')"
        ).pl()
        change = mentions.without_in_json if type_ == "JSON" else mentions.without
        new = [_changed(value, change) for value in frame["text"]]
        changed = frame.with_columns(pl.Series("new", new, dtype=frame["text"].dtype)).filter(pl.col("text").ne_missing(pl.col("new")))
        if changed.height:
            self.connection.register("renamed", changed.select("place", "new"))
            self.connection.execute(f"UPDATE {table} SET {name} = renamed.new::{type_} FROM renamed WHERE {table}.rowid = renamed.place")
            self.connection.unregister("renamed")
        return set(changed["place"])


def _changed(value: str | list[str | None] | None, change: Callable[[str], str]) -> str | list[str | None] | None:
    if isinstance(value, str):
        return change(value)
    return None if value is None else [None if one is None else change(one) for one in value]

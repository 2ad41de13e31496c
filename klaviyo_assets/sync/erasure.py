"""A person is erased: from the tables, from what is staged, and from the free blocks of the file; and is not let in again."""

import json
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import polars as pl
from duckdb import DuckDBPyConnection

from klaviyo_assets.catalog import CATALOG, PROFILES
from klaviyo_assets.privacy.hashing import Kind, Salt, normalised
from klaviyo_assets.sync.erased import remember
from klaviyo_assets.sync.errors import SyncError
from klaviyo_assets.sync.taken import taken
from klaviyo_assets.warehouse.base import Warehouse, literal, quoted

ERASED = "[erased]"
"""Stands in rows of others where they named the person."""

_SHORTEST_PHONE = 8  # the + included

_PERSON_OF = {"email": Kind.EMAIL, "phone_number": Kind.PHONE}
"""Columns by which a row belongs to a person who has no id in it."""


@dataclass
class Person:
    """Whom a row may be about.

    Attributes:
        ids: Ids of profiles.
        emails: E-mail addresses, in small letters.
        phones: Phone numbers, as + and digits.
    """

    ids: set[str] = field(default_factory=set)
    emails: set[str] = field(default_factory=set)
    phones: set[str] = field(default_factory=set)

    @classmethod
    def named(cls, text: str) -> "Person":
        """Return the person that a user names by an e-mail address, a phone number with its +, or a profile's id.

        Example:
            >>> Person.named("Ann@Example.com").emails
            {'ann@example.com'}

        Raises:
            SyncError: If it cannot be any of them.
        """
        text = text.strip()
        if re.fullmatch(r"[^@\s]+@[^@\s]+", text):
            return cls(emails={normalised(text, Kind.EMAIL)})
        if text.startswith("+") and len(phone := normalised(text, Kind.PHONE)) >= _SHORTEST_PHONE:
            return cls(phones={phone})
        if re.fullmatch(r"[A-Za-z0-9_-]+", text):
            return cls(ids={text})
        raise SyncError(
            f"{text!r} names nobody.", "Name an e-mail address, a whole phone number that begins with +, or the id of a profile, such as 01H2…."
        )

    def values(self, kind: Kind) -> set[str]:
        """Return the e-mail addresses or phone numbers."""
        return self.emails if kind is Kind.EMAIL else self.phones

    @property
    def names(self) -> list[str]:
        """All that the person may be called by in a text, longest first."""
        return sorted(self.ids | self.emails | self.phones, key=lambda name: (-len(name), name))


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
class Erasure:
    """Erases people from one schema.

    Args:
        warehouse: The database.
        schema: DuckDB schema.
        salt: Of the field rules, where e-mail addresses are stored as hashes.
    """

    warehouse: Warehouse
    schema: str
    salt: Salt | None = None

    def run(self, person: Person, *, dry_run: bool = False) -> list[Found]:
        """Erase a person; what an interrupted sync has staged goes as a whole, since the next one reads it again.

        All is done in one transaction, with every sync of the schema kept out; then the file is written anew.

        Args:
            person: Whom.
            dry_run: Only tell what would be done.

        Returns:
            What each table held, tables that held nothing left out.

        Raises:
            SyncTaken: If a sync is under way.
            WarehouseError: If the database cannot be opened, or not be written anew; then the rows are gone, and the next sync tries again.
        """
        state = self.warehouse.state_dir / self.schema.lower()
        with ExitStack() as stack:
            if not dry_run:
                state.mkdir(mode=0o700, exist_ok=True)
                for name in CATALOG:
                    stack.enter_context(taken(state, name, "an erasure"))
                shutil.rmtree(state / "staging", ignore_errors=True)
            found = self._in_transaction(person, dry_run=dry_run)
            if not dry_run:
                self.warehouse.compact_if_asked()
        return found

    def _in_transaction(self, person: Person, *, dry_run: bool) -> list[Found]:
        with self.warehouse.connection() as connection:
            connection.execute("BEGIN TRANSACTION")
            try:
                found = list(_Work(connection, self.warehouse, self.schema, self.salt, person).run())
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            if found and not dry_run:
                self.warehouse.ask_for_compaction()
            connection.execute("ROLLBACK" if dry_run else "COMMIT")
        return found


@dataclass(frozen=True)
class _Work:
    """One erasure, inside of a transaction."""

    connection: DuckDBPyConnection
    warehouse: Warehouse
    schema: str
    salt: Salt | None
    person: Person

    def run(self) -> Iterator[Found]:
        texts = self._text_columns()
        self._learn(texts)
        for table in sorted(texts):
            rows = self._delete_rows(table, texts[table]) if table in CATALOG else 0
            mentions = self._take_out_names(table, texts[table])
            if rows or mentions:
                yield Found(table, rows, mentions)

    def _text_columns(self) -> dict[str, dict[str, str]]:
        """Return the columns that may hold text, and their types, by table."""
        rows = self.connection.execute(
            "SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE database_name = current_database() "
            f"AND lower(schema_name) = lower({literal(self.schema)}) AND data_type IN ('VARCHAR', 'JSON', 'VARCHAR[]') "
            "AND table_name IN (SELECT table_name FROM duckdb_tables()) ORDER BY ALL"
        ).fetchall()
        tables: dict[str, dict[str, str]] = {}
        for table, column, type_ in rows:
            tables.setdefault(table, {})[column] = type_
        return tables

    def _learn(self, texts: dict[str, dict[str, str]]) -> None:
        """Look the person up, and add what else they are called by; an id that is nobody's is forgotten, since it may be any word."""
        owners = [(table, "profile_id") for table, columns in texts.items() if "profile_id" in columns]
        columns = texts.get(PROFILES.name, {})
        owners += [(PROFILES.name, "id")] if columns else []
        wanted = _listed(self.person.ids)
        self.person.ids = {
            id_
            for table, column in owners
            for (id_,) in self.connection.execute(f"SELECT DISTINCT {column} FROM {self._qualified(table)} WHERE {column} IN ({wanted})").fetchall()
        }
        if not columns:
            return
        known = [name for name in _PERSON_OF if name in columns]
        frame = self.connection.sql(
            f"SELECT {', '.join(['id', *known])} FROM {self._qualified(PROFILES.name)} WHERE {self._is_theirs(PROFILES.name, columns)}"
        ).pl()
        self.person.ids.update(frame["id"])
        for name in known:
            kind = _PERSON_OF[name]
            self.person.values(kind).update(normalised(value, kind) for value in frame[name].drop_nulls() if not value.startswith("sha256:"))

    def _delete_rows(self, table: str, columns: dict[str, str]) -> int:
        theirs = self._is_theirs(table, columns)
        entry = CATALOG[table]
        gone = {
            id_ for (id_,) in self.connection.execute(f"SELECT {quoted(entry.primary_key)} FROM {self._qualified(table)} WHERE {theirs}").fetchall()
        }
        if "profile_id" not in columns:
            remember(self.connection, self.warehouse, self.schema, gone | (self.person.ids if entry is PROFILES else set()))
        self.connection.execute(f"DELETE FROM {self._qualified(table)} WHERE {theirs}")
        return len(gone)

    def _is_theirs(self, table: str, columns: dict[str, str]) -> str:
        """SQL that says whether a row is about the person."""
        conditions = ["false"]
        id_column = "id" if table == PROFILES.name else "profile_id"
        if id_column in columns and self.person.ids:
            conditions.append(f"{id_column} IN ({_listed(self.person.ids)})")
        for column, kind in _PERSON_OF.items():
            if column in columns and (values := self.person.values(kind)):
                hashes = {self.salt.hash(value, kind) for value in values} if self.salt else set()
                plain = f"lower(trim({column}))" if kind is Kind.EMAIL else f"'+' || regexp_replace({column}, '[^0-9]', '', 'g')"
                conditions.append(f"{plain} IN ({_listed(values)}) OR {column} IN ({_listed(hashes | values)})")
        return f"({' OR '.join(conditions)})"

    def _take_out_names(self, table: str, columns: dict[str, str]) -> int:
        """Replace the person's names in texts about something else."""
        touched: set[int] = set()
        for column, type_ in columns.items():
            for name in self.person.names:
                touched |= self._replace(table, column, type_, name)
        return len(touched)

    def _replace(self, table: str, column: str, type_: str, name: str) -> set[int]:
        qualified, quoted_column = self._qualified(table), quoted(column)
        text = f"{quoted_column}::VARCHAR"
        spellings = {name, json.dumps(name)[1:-1]}
        where = " OR ".join(f"contains(lower({text}), {literal(spelling.lower())})" for spelling in spellings)
        frame = self.connection.sql(f"SELECT rowid AS place, {quoted_column} AS text FROM {qualified} WHERE {where}").pl()
        pattern = _pattern(spellings)
        new = [_without(value, pattern) for value in frame["text"]]
        changed = frame.with_columns(pl.Series("new", new, dtype=frame["text"].dtype)).filter(pl.col("text").ne_missing(pl.col("new")))
        if changed.height:
            self.connection.register("renamed", changed.select("place", "new"))
            self.connection.execute(
                f"UPDATE {qualified} SET {quoted_column} = renamed.new::{type_} FROM renamed WHERE {qualified}.rowid = renamed.place"
            )
            self.connection.unregister("renamed")
        return set(changed["place"])

    def _qualified(self, table: str) -> str:
        return self.warehouse.qualified(self.schema, table)


def _listed(values: Iterable[str]) -> str:
    return ", ".join(literal(value) for value in sorted(values)) or "NULL"


def _pattern(spellings: Iterable[str]) -> re.Pattern[str]:
    """Match a name where it stands alone: ``ann@example.com`` is no part of ``joann@example.com`` or ``ann@example.com.au``."""
    alternatives = "|".join(re.escape(spelling) for spelling in sorted(spellings))
    return re.compile(rf"(?<![\w.%+-])(?:{alternatives})(?![\w-])(?!\.\w)", re.IGNORECASE)


def _without(value: str | list[str] | None, pattern: re.Pattern[str]) -> str | list[str] | None:
    if isinstance(value, str):
        return pattern.sub(ERASED, value)
    return None if value is None else [pattern.sub(ERASED, one) for one in value]

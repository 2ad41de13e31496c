"""Objects of other programs in the schema: rejects tables, views and constraints that break a sync, and keeps columns."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from duckdb import DuckDBPyConnection

from klaviyo_assets.catalog.columns import ADDED_COLUMNS
from klaviyo_assets.errors import NotOurs
from klaviyo_assets.warehouse.ddl import SchemaColumns
from klaviyo_assets.warehouse.interface import Warehouse
from klaviyo_assets.warehouse.sql import key_columns, keys_equal, quoted

OWN_COLUMNS = tuple(column.name for column in ADDED_COLUMNS)
"""Columns of every table of a resource type that Klaviyo does not fill."""


@dataclass(frozen=True)
class Ownership:
    """Checks of one schema, in the caller's transaction.

    Args:
        connection: The database.
        warehouse: The same.
        schema: DuckDB schema.
        known: The schema's columns, if they have been read.
    """

    connection: DuckDBPyConnection
    warehouse: Warehouse
    schema: str
    known: SchemaColumns | None = None

    def check(self, resource_tables: Mapping[str, Sequence[str]], bookkeeping: Mapping[str, Collection[str]]) -> None:
        """Reject a schema in which another program uses our names. Like in DuckDB, case does not matter.

        Args:
            resource_tables: Primary key by name of each table of the resource type.
            bookkeeping: Our columns by name of each bookkeeping table. A table that has fewer than half of them is not ours.

        Raises:
            NotOurs: Naming the table, view, column, constraint or index, and what removes it.
        """
        names = {*resource_tables, *bookkeeping}
        self._reject_views(names)
        tables = self._tables
        for name, key in resource_tables.items():
            if name in tables:
                self._reject_foreign_table(tables[name], key)
        for name, columns in bookkeeping.items():
            if name in tables and 2 * len(self._columns[name] & {*columns}) <= len(columns):
                raise NotOurs(
                    f"The table {self.schema}.{tables[name]} was not made by klaviyo_assets: it lacks columns such as "
                    f"{', '.join(sorted({*columns} - self._columns[name])[:3])}.",
                    self._rename_advice("table", tables[name]),
                )
        for name in sorted(names & tables.keys()):
            self._reject_constraints(tables[name])
            self._reject_unique_indexes(tables[name])

    def reject_indexes(self, table: str, columns: Iterable[str]) -> None:
        """Fail if an index of the table prevents a change of a column's type.

        Raises:
            NotOurs: Naming the index.
        """
        if indexes := self._indexes.get(table.lower()):
            name, sql, _ = indexes[0]
            raise NotOurs(
                f"The index {name} on {self.schema}.{table} prevents a change of the type of the column {next(iter(columns))}.",
                f"Run DROP INDEX {self._qualified(name)}, then a sync, then {sql}",
            )

    def _reject_views(self, names: Collection[str]) -> None:
        for (view,) in self._listed("view_name", "duckdb_views()", "AND NOT internal"):
            if view.lower() in names:
                raise NotOurs(
                    f"{self.schema}.{view} is a view of another program, and klaviyo_assets needs this name for a table.",
                    self._rename_advice("view", view),
                )

    def _reject_foreign_table(self, table: str, key: Sequence[str]) -> None:
        columns = self._columns[table.lower()]
        if columns >= {*key} and columns & {*OWN_COLUMNS}:
            if self.warehouse.capabilities.rowid and "rowid" in columns:
                raise NotOurs(
                    f"The column rowid of {self.schema}.{table} hides DuckDB's own rowid, which klaviyo_assets needs.",
                    f'Rename it: ALTER TABLE {self._qualified(table)} RENAME COLUMN "rowid" TO another_name.',
                )
            return
        lacking = ", ".join(key) if not columns >= {*key} else f"any of {', '.join(OWN_COLUMNS)}"
        raise NotOurs(
            f"The table {self.schema}.{table} was not made by klaviyo_assets: it does not have {lacking}.", self._rename_advice("table", table)
        )

    def _reject_constraints(self, table: str) -> None:
        rebuild = f"CREATE OR REPLACE TABLE {self._qualified(table)} AS FROM {self._qualified(table)}"
        # A primary key is listed as NOT NULL too, but cannot be removed that way.
        for kind, text, columns in sorted(self._constraints.get(table.lower(), ()), key=lambda one: one[0] == "NOT NULL"):
            remove = rebuild
            if kind == "NOT NULL":
                remove = f"ALTER TABLE {self._qualified(table)} ALTER COLUMN {quoted(columns[0])} DROP NOT NULL"
            what = f"{text} of {', '.join(columns)}" if kind == "NOT NULL" else text
            raise NotOurs(
                f"The table {self.schema}.{table} has a constraint that klaviyo_assets did not make: {what}.",
                f"A constraint can make a sync fail half-way. Remove it, the rows stay: {remove}",
            )
        if table.lower() in self._with_generated_columns:
            raise NotOurs(
                f"The table {self.schema}.{table} has a generated column, which klaviyo_assets did not make.",
                f"Put the expression into a view. This makes it an ordinary column: {rebuild}",
            )

    def _reject_unique_indexes(self, table: str) -> None:
        for name, _, is_unique in self._indexes.get(table.lower(), ()):
            if is_unique:
                raise NotOurs(
                    f"The table {self.schema}.{table} has a unique index that klaviyo_assets did not make: {name}.",
                    f"It can make a sync fail half-way. Run DROP INDEX {self._qualified(name)}; an index that is not unique may stay.",
                )

    def _rename_advice(self, kind: str, name: str) -> str:
        return (
            f"Rename it (ALTER {kind.upper()} {self._qualified(name)} RENAME TO another_name), or use another schema or KLAVIYO_DUCKDB_PATH "
            "for klaviyo_assets."
        )

    def _qualified(self, name: str) -> str:
        return self.warehouse.qualified(self.schema, name)

    @cached_property
    def _tables(self) -> dict[str, str]:
        """The tables' names as they are written, by name in lower case."""
        return {name.lower(): name for name, _ in self._tables_and_kinds}

    @cached_property
    def _with_generated_columns(self) -> set[str]:
        """Names of tables with a generated column, in lower case."""
        return {name.lower() for name, is_one in self._tables_and_kinds if is_one}

    @cached_property
    def _tables_and_kinds(self) -> list[tuple[Any, ...]]:
        """Name of each table, and whether it has a generated column."""
        return self._listed("table_name, contains(sql, 'GENERATED ALWAYS AS')", "duckdb_tables()")

    @cached_property
    def _columns(self) -> dict[str, set[str]]:
        """Names of the columns of each table, in lower case."""
        known = self.known or SchemaColumns(self.connection, self.schema)
        return {table: {*columns} for table, columns in known.tables.items()}

    @cached_property
    def _indexes(self) -> dict[str, list[tuple[Any, ...]]]:
        """Name, definition and uniqueness of the indexes of each table."""
        return self._by_table("index_name, sql, is_unique", "duckdb_indexes()")

    @cached_property
    def _constraints(self) -> dict[str, list[tuple[Any, ...]]]:
        """Kind, text and columns of the constraints of each table."""
        return self._by_table("constraint_type, constraint_text, constraint_column_names", "duckdb_constraints()")

    def _by_table(self, select: str, function: str) -> dict[str, list[tuple[Any, ...]]]:
        """List objects by their table's name in lower case. One query per schema, since each query reads the whole catalog of the database."""
        found: dict[str, list[tuple[Any, ...]]] = {}
        for table, *values in self._listed(f"table_name, {select}", function):
            found.setdefault(table.lower(), []).append(tuple(values))
        return found

    def _listed(self, select: str, function: str, condition: str = "") -> list[tuple[Any, ...]]:
        return self.connection.execute(
            f"SELECT {select} FROM {function} WHERE database_name = current_database() AND lower(schema_name) = lower(?) {condition} ORDER BY ALL",
            [self.schema],
        ).fetchall()


def foreign_columns(connection: DuckDBPyConnection, table: str, ours: Iterable[str]) -> list[str]:
    """Return the columns of a table that users have added, quoted.

    Args:
        connection: The database.
        table: The table, qualified.
        ours: Names of the columns that Klaviyo fills; our bookkeeping columns count as ours too.
    """
    known = {*ours, *OWN_COLUMNS}
    described = connection.execute(f"DESCRIBE {table}").fetchall()
    return [quoted(name) for name, *_ in described if name.lower() not in known]


def insert_keeping(connection: DuckDBPyConnection, table: str, rows: str, *, key: Sequence[str], kept: str, columns: Iterable[str]) -> None:
    """Insert new versions of deleted rows, keeping the values of the users' columns. New rows get the columns' defaults.

    Args:
        connection: The database, in a transaction.
        table: The table, qualified.
        rows: SQL for the rows, in parentheses.
        key: Columns of the primary key.
        kept: Table with the key and the users' columns of earlier versions.
        columns: The users' columns, quoted.
    """
    connection.execute(
        f"INSERT INTO {table} BY NAME SELECT new.*, {', '.join(f'old.{name}' for name in columns)} FROM {rows} AS new "
        f"JOIN (FROM {kept} QUALIFY row_number() OVER (PARTITION BY {key_columns(key)}) = 1) AS old ON {keys_equal(key, 'new', 'old')}"
    )
    connection.execute(f"INSERT INTO {table} BY NAME FROM {rows} AS new WHERE NOT EXISTS (FROM {kept} AS old WHERE {keys_equal(key, 'old', 'new')})")


def has_indexes(connection: DuckDBPyConnection, schema: str, name: str) -> bool:
    """Return whether users have made indexes on a table; its name unquoted."""
    found = connection.execute(
        "SELECT 1 FROM duckdb_indexes() WHERE database_name = current_database() AND lower(schema_name) = lower(?) AND lower(table_name) = lower(?)",
        [schema, name],
    ).fetchall()
    return bool(found)

"""What other programs have put into the schema under our names: tables, views and constraints that stop a sync, and columns that are kept."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from duckdb import DuckDBPyConnection

from klaviyo_assets.decode import EXTRA, SYNCED_AT
from klaviyo_assets.errors import NotOurs
from klaviyo_assets.warehouse.base import Warehouse
from klaviyo_assets.warehouse.sql import key_columns, keys_equal, quoted

DELETED_AT = "_deleted_at"

OWN_COLUMNS = (EXTRA, SYNCED_AT, DELETED_AT)
"""Columns of every table of a resource type that Klaviyo does not fill."""

RARE_TABLES: Mapping[str, Collection[str]] = {
    "_erased": ("record", "erased_at"),
    "_field_rules": ("resource_type", "field", "action", "salt"),
    "_audits": ("audited_at", "compared_from", "compared_to", "metrics", "days", "requests", "excluded"),
    "_audit_days": ("metric_id", "day", "state", "audited_at"),
}
"""Columns of the bookkeeping tables that only some schemas have."""


@dataclass(frozen=True)
class Ownership:
    """Checks of one schema, in the caller's transaction.

    Args:
        connection: The database.
        warehouse: The same.
        schema: DuckDB schema.
    """

    connection: DuckDBPyConnection
    warehouse: Warehouse
    schema: str

    def check(self, resource_tables: Mapping[str, Sequence[str]], bookkeeping: Mapping[str, Collection[str]]) -> None:
        """Refuse a schema in which another program uses our names. Names are compared as DuckDB does, without case.

        Args:
            resource_tables: Primary key by name of each table of the resource type.
            bookkeeping: Our columns by name of each bookkeeping table. A table that has fewer than half of them is not ours.

        Raises:
            NotOurs: Naming the table, view, column, constraint or index, and what removes it.
        """
        names = {*resource_tables, *bookkeeping}
        self._refuse_views(names)
        tables = self._tables()
        for name, key in resource_tables.items():
            if name in tables:
                self._refuse_foreign_table(tables[name], key)
        for name, columns in bookkeeping.items():
            if name in tables and 2 * len(self._columns(name) & {*columns}) <= len(columns):
                raise NotOurs(
                    f"The table {self.schema}.{tables[name]} was not made by klaviyo_assets: it lacks columns such as "
                    f"{', '.join(sorted({*columns} - self._columns(name))[:3])}.",
                    self._another_place("table", tables[name]),
                )
        for name in sorted(names & tables.keys()):
            self._refuse_constraints(tables[name])
            self._refuse_unique_indexes(tables[name])

    def refuse_indexes(self, table: str, columns: Iterable[str]) -> None:
        """Refuse to go on where an index of the table does not let columns get another type.

        Raises:
            NotOurs: Naming the index.
        """
        if indexes := self._rows("index_name, sql", "duckdb_indexes()", table):
            name, sql = indexes[0]
            raise NotOurs(
                f"The index {name} on {self.schema}.{table} does not let the column {next(iter(columns))} get its new type.",
                f"Run DROP INDEX {self._qualified(name)}, then a sync, then {sql}",
            )

    def _refuse_views(self, names: Collection[str]) -> None:
        views = self.connection.execute(
            "SELECT view_name FROM duckdb_views() WHERE database_name = current_database() AND lower(schema_name) = lower(?) AND NOT internal "
            "ORDER BY view_name",
            [self.schema],
        ).fetchall()
        for (view,) in views:
            if view.lower() in names:
                raise NotOurs(
                    f"{self.schema}.{view} is a view of another program, and klaviyo_assets needs this name for a table.",
                    self._another_place("view", view),
                )

    def _refuse_foreign_table(self, table: str, key: Sequence[str]) -> None:
        columns = self._columns(table)
        if columns >= {*key} and columns & {*OWN_COLUMNS}:
            if self.warehouse.capabilities.rowid and "rowid" in columns:
                raise NotOurs(
                    f"The column rowid of {self.schema}.{table} hides DuckDB's own rowid, which klaviyo_assets needs.",
                    f'Rename it: ALTER TABLE {self._qualified(table)} RENAME COLUMN "rowid" TO another_name.',
                )
            return
        lacking = ", ".join(key) if not columns >= {*key} else f"any of {', '.join(OWN_COLUMNS)}"
        raise NotOurs(
            f"The table {self.schema}.{table} was not made by klaviyo_assets: it does not have {lacking}.", self._another_place("table", table)
        )

    def _refuse_constraints(self, table: str) -> None:
        rebuild = f"CREATE OR REPLACE TABLE {self._qualified(table)} AS FROM {self._qualified(table)}"
        found = self._rows("constraint_type, constraint_text, constraint_column_names", "duckdb_constraints()", table)
        # A primary key is listed as NOT NULL too, but cannot be removed that way.
        for kind, text, columns in sorted(found, key=lambda one: one[0] == "NOT NULL"):
            remove = rebuild
            if kind == "NOT NULL":
                remove = f"ALTER TABLE {self._qualified(table)} ALTER COLUMN {quoted(columns[0])} DROP NOT NULL"
            what = f"{text} of {', '.join(columns)}" if kind == "NOT NULL" else text
            raise NotOurs(
                f"The table {self.schema}.{table} has a constraint that klaviyo_assets did not make: {what}.",
                f"A constraint can make a sync fail half-way. Remove it, the rows stay: {remove}",
            )
        for (sql,) in self._rows("sql", "duckdb_tables()", table):
            if "GENERATED ALWAYS AS" in sql:
                raise NotOurs(
                    f"The table {self.schema}.{table} has a generated column, which klaviyo_assets did not make.",
                    f"Put the expression into a view. This makes it an ordinary column: {rebuild}",
                )

    def _refuse_unique_indexes(self, table: str) -> None:
        for (name,) in self._rows("index_name", "duckdb_indexes()", table, "AND is_unique"):
            raise NotOurs(
                f"The table {self.schema}.{table} has a unique index that klaviyo_assets did not make: {name}.",
                f"It can make a sync fail half-way. Run DROP INDEX {self._qualified(name)}; an index that is not unique may stay.",
            )

    def _another_place(self, kind: str, name: str) -> str:
        return (
            f"Rename it (ALTER {kind.upper()} {self._qualified(name)} RENAME TO another_name), or use another schema or KLAVIYO_DUCKDB_PATH "
            "for klaviyo_assets."
        )

    def _qualified(self, name: str) -> str:
        return self.warehouse.qualified(self.schema, name)

    def _tables(self) -> dict[str, str]:
        """Return the tables' names as they are spelled, by name in lower case."""
        found = self.connection.execute(
            "SELECT table_name FROM duckdb_tables() WHERE database_name = current_database() AND lower(schema_name) = lower(?)", [self.schema]
        ).fetchall()
        return {name.lower(): name for (name,) in found}

    def _columns(self, table: str) -> set[str]:
        return {name.lower() for (name,) in self._rows("column_name", "duckdb_columns()", table)}

    def _rows(self, select: str, function: str, table: str, condition: str = "") -> list[tuple[str, ...]]:
        return self.connection.execute(
            f"SELECT {select} FROM {function} WHERE database_name = current_database() AND lower(schema_name) = lower(?) "
            f"AND lower(table_name) = lower(?) {condition} ORDER BY ALL",
            [self.schema, table],
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
    """Insert rows whose earlier versions were deleted, with the values that the users' columns had there; new rows get the columns' defaults.

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

"""Tables of a schema: whether they exist, and how they are created, extended, converted and commented."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from duckdb import DuckDBPyConnection

from klaviyo_assets.warehouse.interface import Warehouse
from klaviyo_assets.warehouse.sql import literal, quoted

Columns = dict[str, tuple[str, str]]
"""Type and comment of a table's columns, by name."""

ExistingColumns = dict[str, tuple[str, str | None]]
"""Type and comment of the columns that a table has, by name in lower case."""

INSTANT = "TIMESTAMP WITH TIME ZONE"
"""Type of columns with a point in time."""

Convert = Callable[[str, str, str], str]
"""Returns SQL for the values of a column (quoted name, current type, new type) in its new type."""


@dataclass
class SchemaColumns:
    """The columns of all tables of a schema, read once: each query of DuckDB's catalog goes through all of it. For use within one transaction.

    Args:
        connection: The database.
        schema: DuckDB schema.

    Example:
        >>> known = SchemaColumns(connection, "klaviyo")
        >>> known.of("lists")["id"]
        ('VARCHAR', "Klaviyo's id of the list.")
    """

    connection: DuckDBPyConnection
    schema: str
    _tables: dict[str, ExistingColumns] | None = None

    def of(self, name: str) -> ExistingColumns:
        """Return the columns of a table; empty if there is no such table. Names are compared without case, as DuckDB does."""
        return self.tables.get(name.lower(), {})

    @property
    def tables(self) -> Mapping[str, ExistingColumns]:
        """The columns of all tables and views, by name in lower case."""
        if self._tables is None:
            self._tables = self._read()
        return self._tables

    def forget(self) -> None:
        """Read again next time. Call it after each change of a table."""
        self._tables = None

    def _read(self) -> dict[str, ExistingColumns]:
        rows = self.connection.execute(
            "SELECT lower(table_name), lower(column_name), data_type, comment FROM duckdb_columns() "
            "WHERE lower(schema_name) = lower(?) AND database_name = current_database()",
            [self.schema],
        ).fetchall()
        tables: dict[str, ExistingColumns] = {}
        for table, column, data_type, comment in rows:
            tables.setdefault(table, {})[column] = (data_type, comment)
        return tables


def table_exists(connection: DuckDBPyConnection, schema: str, name: str) -> bool:
    """Return whether a table exists, names compared without case as DuckDB does.

    Args:
        connection: The database.
        schema: DuckDB schema.
        name: Name of the table, unquoted.
    """
    return bool(existing_columns(connection, schema, name))


def has_column(connection: DuckDBPyConnection, schema: str, name: str, column: str) -> bool:
    """Return whether a table exists and has a column; names as in :func:`table_exists`."""
    return column in existing_columns(connection, schema, name)


def existing_columns(connection: DuckDBPyConnection, schema: str, name: str) -> ExistingColumns:
    """Return type and comment of a table's columns by name in lower case; empty if there is no such table."""
    rows = connection.execute(
        "SELECT column_name, data_type, comment FROM duckdb_columns() "
        "WHERE lower(schema_name) = lower(?) AND lower(table_name) = lower(?) AND database_name = current_database()",
        [schema, name],
    ).fetchall()
    return {column.lower(): (data_type, comment) for column, data_type, comment in rows}


def prepare_table(
    connection: DuckDBPyConnection,
    warehouse: Warehouse,
    schema: str,
    name: str,
    columns: Columns,
    description: str,
    convert: Convert = lambda column, _, after: f"{column}::{after}",
    known: SchemaColumns | None = None,
) -> list[str]:
    """Create a table if it is missing, add the columns that it lacks, and change types and comments that differ.

    Args:
        connection: An open connection of the warehouse.
        warehouse: The database.
        schema: DuckDB schema; it exists.
        name: Name of the table, unquoted.
        columns: Type and comment of each column.
        description: The table's comment.
        convert: How to convert values to a new type. By default, one that does not fit is an error.
        known: The schema's columns, if they have been read; forgotten if this changes the table.

    Returns:
        Columns that were added to an existing table, or whose type was changed.
    """
    table, known = warehouse.qualified(schema, name), known or SchemaColumns(connection, schema)
    existing = known.of(name)
    if not existing:
        declared = ", ".join(f"{quoted(column)} {type_}" for column, (type_, _) in columns.items())
        connection.execute(f"CREATE TABLE IF NOT EXISTS {table} ({declared})")
        connection.execute(f"COMMENT ON TABLE {table} IS {literal(description)}")
    added = [column for column in columns if existing and column not in existing]
    types = {column: _plain(type_) for column, (type_, _) in columns.items()}
    for column in added:
        connection.execute(f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {quoted(column)} {types[column]}")
    changed = {column: existing[column][0] for column in columns if column in existing and existing[column][0] != types[column]}
    new_types = {column: (types[column], convert(quoted(column), before, types[column])) for column, before in changed.items()}
    if change_types(connection, warehouse, schema, name, new_types):
        known.forget()
        existing = known.of(name)
    comments = {column: comment for column, (_, comment) in columns.items() if existing.get(column, ("", None))[1] != comment}
    for column, comment in comments.items():
        connection.execute(f"COMMENT ON COLUMN {table}.{quoted(column)} IS {literal(comment)}")
    if not existing or added or changed or comments:
        known.forget()
    return [column for column in columns if column in added or column in changed]


def change_types(connection: DuckDBPyConnection, warehouse: Warehouse, schema: str, name: str, types: Mapping[str, tuple[str, str]]) -> bool:
    """Change the types of a table's columns in the caller's transaction; if the warehouse cannot alter them, rebuild the table.

    Args:
        connection: An open connection of the warehouse.
        warehouse: The database.
        schema: DuckDB schema.
        name: Name of the table, unquoted.
        types: New type and SQL for the values, by column.

    Returns:
        Whether the table was rebuilt: then the comments and defaults of all columns are lost.
    """
    table = warehouse.qualified(schema, name)
    if types and not warehouse.capabilities.alter_type_using:
        _rebuild(connection, warehouse, schema, name, types)
        return True
    for column, (type_, values) in types.items():
        connection.execute(f"ALTER TABLE {table} ALTER COLUMN {quoted(column)} SET DATA TYPE {type_} USING {values}")
    return False


def _rebuild(connection: DuckDBPyConnection, warehouse: Warehouse, schema: str, name: str, types: Mapping[str, tuple[str, str]]) -> None:
    table, converted = warehouse.qualified(schema, name), warehouse.qualified(schema, f"_{name}_converted")
    values = ", ".join(f"CAST({sql} AS {type_}) AS {quoted(column)}" for column, (type_, sql) in types.items())
    connection.execute(f"CREATE OR REPLACE TABLE {converted} AS SELECT * REPLACE ({values}) FROM {table}")
    connection.execute(f"DROP TABLE {table}")
    connection.execute(f"ALTER TABLE {converted} RENAME TO {quoted(name)}")


def _plain(type_: str) -> str:
    """Return a column's type without its storage options."""
    return type_.split(" USING ")[0]

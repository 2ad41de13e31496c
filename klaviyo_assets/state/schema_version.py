"""The version of the tables' layout, kept in the schema: older files are brought up to date, newer ones are refused.

Columns that are missing are added and types that have changed are converted wherever tables are prepared; the version is raised when a table of an
older version cannot be understood by that alone.
"""

from duckdb import DuckDBPyConnection

from klaviyo_assets._version import __version__
from klaviyo_assets.errors import NewerLayout
from klaviyo_assets.warehouse.base import Warehouse

LAYOUT = 1
"""Version of the layout that this library reads and writes. A schema without a version is older than versions are."""

NAME = "_layout"

COLUMNS = {
    "version": ("BIGINT", "Version of the tables' layout."),
    "written_by": ("VARCHAR", "Version of klaviyo_assets that brought it to this layout."),
}


def refuse_newer(connection: DuckDBPyConnection, warehouse: Warehouse, schema: str) -> None:
    """Refuse a schema that a later version of this library has written.

    Raises:
        NewerLayout: Naming both versions, before anything is changed.
    """
    found = _version(connection, warehouse, schema)
    if found is not None and found[0] > LAYOUT:
        raise NewerLayout(schema, found=found[0], written_by=found[1], known=LAYOUT)


def is_recorded(connection: DuckDBPyConnection, warehouse: Warehouse, schema: str) -> bool:
    """Return whether the schema says which layout it has."""
    return _version(connection, warehouse, schema) is not None


def record(connection: DuckDBPyConnection, warehouse: Warehouse, schema: str) -> None:
    """Write this version into a schema whose tables have been brought up to date; the table is there."""
    found = _version(connection, warehouse, schema)
    if found is None or found[0] != LAYOUT:
        table = warehouse.qualified(schema, NAME)
        connection.execute(f"DELETE FROM {table}")
        connection.execute(f"INSERT INTO {table} (version, written_by) VALUES (?, ?)", [LAYOUT, __version__])


def _version(connection: DuckDBPyConnection, warehouse: Warehouse, schema: str) -> tuple[int, str] | None:
    known = connection.execute(
        "SELECT 1 FROM duckdb_tables() WHERE lower(schema_name) = lower(?) AND table_name = ? AND database_name = current_database()",
        [schema, NAME],
    ).fetchall()
    if not known:
        return None
    rows = connection.execute(f"SELECT version, written_by FROM {warehouse.qualified(schema, NAME)} ORDER BY version DESC LIMIT 1").fetchall()
    return (int(rows[0][0]), str(rows[0][1])) if rows else None

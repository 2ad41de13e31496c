"""Detects that another program has changed a table while a sync fills it."""

from duckdb import DuckDBPyConnection

from klaviyo_assets.errors import TableChanged
from klaviyo_assets.load.schema.tables import Tables
from klaviyo_assets.state.table_fingerprint import TableState, current_state
from klaviyo_assets.warehouse.ddl import table_exists


def fail_if_changed(connection: DuckDBPyConnection, tables: Tables, table: str, state: TableState | None) -> None:
    """Fail if another program has emptied or dropped a table since this sync's last commit: the rows it loaded are lost.

    Args:
        connection: The database.
        tables: The tables of the resource type.
        table: Qualified name of the table that the sync fills: that of the rows, or the rebuilt one.
        state: The state of the table of the rows at the last commit; None if it is not known.

    Raises:
        TableChanged: The next sync detects the loss too, and reads everything again.
    """
    names = {tables.rows: tables.entry.name, tables.rebuilt: tables.rebuilt_name}
    if not all(table_exists(connection, tables.schema, name) for name in {tables.entry.name, names[table]}):
        raise TableChanged(tables.schema, names[table], "is gone")
    if state is not None and (what := state.lost_reason(current_state(connection, tables.rows))):
        raise TableChanged(tables.schema, tables.entry.name, what)

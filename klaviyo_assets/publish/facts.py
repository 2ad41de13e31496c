"""What a copy of the database says about itself: up to when each resource type is complete."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from duckdb import DuckDBPyConnection

from klaviyo_assets.marts.library import marts_schema
from klaviyo_assets.marts.stores import BuiltModels
from klaviyo_assets.state.erasures import Erasures
from klaviyo_assets.state.sync_log import ROWS_COMMITTED, SyncLog, rows_changed
from klaviyo_assets.warehouse.ddl import INSTANT, Columns, has_column, table_exists
from klaviyo_assets.warehouse.sql import count_rows, literal, quoted

TABLE = "_published"
"""Name of the table in each schema of the copy."""

DESCRIPTION = "One row per resource type: up to when this copy is complete."

COLUMNS: Columns = {
    "resource_type": ("VARCHAR", "Table."),
    "complete_until": (INSTANT, "Start of the last sync that read the type completely; null if none has, and then the table is empty in this copy."),
    "latest_outcome": ("VARCHAR", "Outcome of the latest sync. Unless it is succeeded, the table may also hold some rows that are newer."),
    "table_rows": ("BIGINT", "Rows of the table, those marked as deleted included."),
    "published_at": (INSTANT, "When this copy was made."),
}


@dataclass(frozen=True)
class TypeFacts:
    """A resource type in the copy.

    Attributes:
        schema: DuckDB schema.
        resource_type: Name of the type and its table.
        complete_until: Start of the last sync that read it completely; None if none has.
        latest_outcome: Outcome of the latest sync.
        changed_by_latest: Whether the latest sync has committed rows.
    """

    schema: str
    resource_type: str
    complete_until: datetime | None
    latest_outcome: str
    changed_by_latest: bool

    @property
    def is_partial(self) -> bool:
        """Whether the latest sync has committed a part of what it reads, or none has ever read the type completely."""
        return self.latest_outcome != "succeeded" and (self.changed_by_latest or self.complete_until is None)


def schemas_of(connection: DuckDBPyConnection) -> list[str]:
    """Return the schemas that syncs have filled."""
    return [
        schema
        for (schema,) in connection.execute(
            "SELECT schema_name FROM duckdb_tables() WHERE table_name = ? AND database_name = current_database() ORDER BY ALL", [SyncLog.NAME]
        ).fetchall()
    ]


def read_facts(connection: DuckDBPyConnection, schema: str) -> list[TypeFacts]:
    """Return the facts of each resource type of a schema that has a table."""
    log = f"{quoted(schema)}.{quoted(SyncLog.NAME)}"
    rows = connection.execute(
        f"""
        SELECT
            resource_type,
            max(started_at) FILTER (outcome = 'succeeded' AND mode IS DISTINCT FROM 'range'),
            arg_max(outcome, started_at),
            arg_max({ROWS_COMMITTED}, started_at) > 0
        FROM {log} GROUP BY resource_type ORDER BY resource_type
        """
    ).fetchall()
    return [TypeFacts(schema, name, until, outcome, changed) for name, until, outcome, changed in rows if table_exists(connection, schema, name)]


def version_of(connection: DuckDBPyConnection, schemas: Collection[str], published_at: datetime) -> str:
    """Return the data version of a copy: it changes only if rows of its tables have changed.

    With tables of other programs in the database, each copy has another version, since no log says whether these have changed.

    Args:
        connection: The copy, with the bookkeeping tables.
        schemas: The schemas that syncs have filled.
        published_at: When the copy is made.
    """
    ours = [name for schema in schemas for name in (schema, marts_schema(schema))]
    others = connection.execute(
        "SELECT 1 FROM duckdb_tables() WHERE database_name = current_database() AND NOT list_contains(?, schema_name) LIMIT 1", [ours]
    ).fetchall()
    if others:
        return published_at.isoformat()
    parts = []
    for schema in sorted(schemas):
        changed = f"{rows_changed(connection, schema)} > 0"
        parts.append(_rows(connection, schema, SyncLog.NAME, f"resource_type, arg_max(id, started_at) FILTER ({changed})", "GROUP BY resource_type"))
        parts.append(_rows(connection, schema, Erasures.NAME, "table_name, count(*)", "GROUP BY table_name"))
        version = "coalesce(version, generation)" if has_column(connection, marts_schema(schema), BuiltModels.NAME, "version") else "generation"
        parts.append(_rows(connection, marts_schema(schema), BuiltModels.NAME, f"model, {version}"))
    return sha256("\n".join(parts).encode()).hexdigest()[:16]


def _rows(connection: DuckDBPyConnection, schema: str, table: str, columns: str, grouping: str = "") -> str:
    """Return what a query of a bookkeeping table returns, as text; nothing if there is no such table."""
    if not table_exists(connection, schema, table):
        return ""
    return f"{schema}.{table} {connection.execute(f'SELECT {columns} FROM {quoted(schema)}.{quoted(table)} {grouping} ORDER BY ALL').fetchall()}"


def write_facts(connection: DuckDBPyConnection, facts: list[TypeFacts], published_at: datetime) -> None:
    """Write the table ``_published`` of one schema, with comments.

    Args:
        connection: The copy.
        facts: The resource types of the schema; at least one.
        published_at: When the copy is made.
    """
    table = f"{quoted(facts[0].schema)}.{TABLE}"
    declared = ", ".join(f"{name} {type_}" for name, (type_, _) in COLUMNS.items())
    connection.execute(f"CREATE OR REPLACE TABLE {table} ({declared})")
    connection.execute(f"COMMENT ON TABLE {table} IS {literal(DESCRIPTION)}")
    for name, (_, comment) in COLUMNS.items():
        connection.execute(f"COMMENT ON COLUMN {table}.{name} IS {literal(comment)}")
    for one in facts:
        rows = count_rows(connection, f"FROM {quoted(one.schema)}.{quoted(one.resource_type)}")
        connection.execute(
            f"INSERT INTO {table} VALUES (?, ?, ?, ?, ?)", [one.resource_type, one.complete_until, one.latest_outcome, rows, published_at]
        )

"""Columns whose values a field rule has changed."""

import re

from duckdb import DuckDBPyConnection

from klaviyo_assets.load.reapply_rules import StoredRules
from klaviyo_assets.load.tables import Tables
from klaviyo_assets.privacy.apply import FieldRuleSet

_DOT = re.compile(r"(?<!\\)\.")


def ruled_columns(connection: DuckDBPyConnection, tables: Tables) -> frozenset[str]:
    """Return the columns under the rules that the rows of a table were stored with, those with a rule for something inside of them among them.

    Args:
        connection: The database.
        tables: Names of the tables.
    """
    if not StoredRules(connection, tables, FieldRuleSet()).are_noted:
        return frozenset()
    rows = connection.execute(
        f"SELECT field FROM {tables.warehouse.qualified(tables.schema, '_field_rules')} WHERE resource_type = ?", [tables.entry.name]
    ).fetchall()
    paths = [tuple(part.replace("\\.", ".") for part in _DOT.split(field)) for (field,) in rows]
    # A rule names a column, or Klaviyo's path to it.
    return frozenset(
        column.name
        for column in tables.entry.columns
        if column.path[0] == "attributes" and any(path[0] == column.name or path[: len(column.path) - 1] == column.path[1:] for path in paths)
    )

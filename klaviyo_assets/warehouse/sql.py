"""Pieces of SQL (names, literals, primary keys of one or more columns), and statements that return a number."""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime

from duckdb import DuckDBPyConnection

from klaviyo_assets._internal.identifiers import is_identifier

KEYWORDS = frozenset(
    """
all analyse analyze and anti any array as asc asof asymmetric at authorization between bigint binary bit boolean both by case cast char
character check coalesce collate collation column columns concurrently constraint create cross dec decimal default deferrable desc describe
distinct do else end except exists extract false fetch float for foreign freeze from full generated glob group grouping grouping_id having
ilike in initially inner inout int integer intersect interval into is isnull join lambda lateral leading left like limit map national
natural nchar none not notnull null nullif numeric offset on only or order out outer overlaps overlay pivot pivot_longer pivot_wider placing
position positional precision primary qualify real references returning right row select semi setof show similar smallint some struct
substring summarize symmetric system table tablesample temp then time timestamp to trailing treat trim true try_cast tuple union unique
unpack unpivot using values varchar variadic verbose when where window with xmlattributes xmlconcat xmlelement xmlexists xmlforest
xmlnamespaces xmlparse xmlpi xmlroot xmlserialize xmltable
""".split()  # noqa: SIM905
)
"""Words that DuckDB 1.5 or 2 does not accept as an unquoted name of a schema or table (``duckdb_keywords()`` without the unreserved ones)."""

_PART = re.compile(r'"((?:[^"]|"")*)"|([^."]+)')


def pasted(*parts: str) -> str:
    """Return a name of several parts that can be pasted into SQL, with quotes around each part that needs them.

    Example:
        >>> pasted("my-shop", "order", "events")
        '"my-shop"."order".events'
    """
    return ".".join(part if is_identifier(part) and part.lower() not in KEYWORDS else '"' + part.replace('"', '""') + '"' for part in parts)


def unquoted_parts(name: str) -> list[str]:
    """Return the parts of a name, without quotes: the opposite of :func:`pasted`."""
    return [(quoted or "").replace('""', '"') or plain for quoted, plain in _PART.findall(name)]


def quoted(name: str) -> str:
    """Quote an SQL identifier.

    Example:
        >>> quoted("events")
        '"events"'
    """
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Write an SQL string literal.

    Example:
        >>> literal("it's")
        "'it''s'"
    """
    return "'" + text.replace("'", "''") + "'"


def key_columns(key: Sequence[str], relation: str = "") -> str:
    """Return SQL that lists the columns of a primary key: for ``SELECT``, ``USING``, ``GROUP BY`` and ``PARTITION BY``.

    Args:
        key: Names of its columns.
        relation: Alias of the relation that has them.

    Example:
        >>> key_columns(("list_id", "profile_id"), "new")
        'new."list_id", new."profile_id"'
    """
    prefix = f"{relation}." if relation else ""
    return ", ".join(prefix + quoted(name) for name in key)


def key_value(key: Sequence[str], relation: str = "") -> str:
    """Return SQL for a primary key as one value, for the left side of ``IN``; the right side selects :func:`key_columns`.

    DuckDB joins by each column of such a row value; a key of one column is that column itself, which keeps its query plans simple.

    Example:
        >>> key_value(("id",)), key_value(("list_id", "profile_id"))
        ('"id"', '("list_id", "profile_id")')
    """
    columns = key_columns(key, relation)
    return columns if len(key) == 1 else f"({columns})"


def keys_equal(key: Sequence[str], left: str, right: str) -> str:
    """Return an SQL condition that two relations have the same primary key.

    Example:
        >>> keys_equal(("id",), "new", "old")
        'new."id" = old."id"'
    """
    return " AND ".join(f"{left}.{quoted(name)} = {right}.{quoted(name)}" for name in key)


def key_is_null(key: Sequence[str]) -> str:
    """Return an SQL condition that a column of a primary key is null.

    Example:
        >>> key_is_null(("list_id", "profile_id"))
        '("list_id" IS NULL OR "profile_id" IS NULL)'
    """
    return f"({' OR '.join(f'{quoted(name)} IS NULL' for name in key)})"


def key_text(key: Sequence[str]) -> str:
    """Return SQL for a primary key as text, for people: its columns, separated by slashes."""
    return key_columns(key) if len(key) == 1 else f"concat_ws('/', {key_columns(key)})"


def instant_literal(value: datetime) -> str:
    """Write an SQL literal of a point in time."""
    return f"{literal(value.isoformat())}::TIMESTAMP WITH TIME ZONE"


def count_rows(connection: DuckDBPyConnection, from_clause: str) -> int:
    """Return the number of rows of a relation.

    Args:
        connection: The database.
        from_clause: ``FROM`` and what follows it.
    """
    ((count,),) = connection.execute(f"SELECT count(*) {from_clause}").fetchall()
    return int(count)


def changed_rows(connection: DuckDBPyConnection, statement: str, parameters: Iterable[object]) -> int:
    """Run an ``UPDATE``, ``DELETE`` or ``INSERT`` and return the number of rows that it changed."""
    ((count,),) = connection.execute(statement, list(parameters)).fetchall()
    return int(count)

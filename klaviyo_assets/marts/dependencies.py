"""Finds the tables that a statement reads, with DuckDB's own parser; names of common table expressions are none.

The statements of this package's own models were parsed in advance, so that a code location with them loads without DuckDB.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

PARSED = Path(__file__).parent / "parsed.json"
"""The tables that this package's models read, by :func:`statement_fingerprint` of the statement; docs/generate.py writes it."""

Reads = list[tuple[str, str]]
"""Schema, or an empty string, and name of each table that a statement reads, in lower case."""


class SqlMistake(Exception):
    """A text is not one ``SELECT`` statement.

    Args:
        what: What is wrong, as a sentence.
        line: Line in the text, from 1 on; None if it is not known.
    """

    def __init__(self, what: str, line: int | None) -> None:
        self.what, self.line = what, line
        super().__init__(what)


class Parser:
    """Finds the tables that statements read. A connection to DuckDB is opened for the first one that was not parsed in advance.

    Example:
        >>> with Parser() as parser:
        ...     parser.tables("WITH recent AS (FROM events) SELECT * FROM recent JOIN metrics ON true")
        frozenset({'events', 'metrics'})
    """

    def __init__(self) -> None:
        self._open = ExitStack()
        self._connection: DuckDBPyConnection | None = None

    def __enter__(self) -> Self:
        """Return the parser."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        self._open.close()
        self._connection = None

    def tables(self, sql: str, own_schema: str = "") -> frozenset[str]:
        """Return the names of the tables that a statement reads without naming their schema, in lower case.

        Args:
            sql: One ``SELECT`` statement.
            own_schema: A schema with which they may be named nevertheless.

        Raises:
            SqlMistake: If it is not one statement that can be parsed, or no ``SELECT``. ``PIVOT`` is none: DuckDB makes several statements of it.
        """
        known = _parsed_in_advance().get(statement_fingerprint(sql))
        found = self.parse(sql) if known is None else known
        return frozenset(name for schema, name in found if schema in ("", own_schema))

    def parse(self, sql: str) -> Reads:
        """Return what DuckDB's parser finds.

        Raises:
            SqlMistake: As :meth:`tables`.
        """
        if self._connection is None:
            import duckdb

            self._connection = self._open.enter_context(duckdb.connect())
        ((text,),) = self._connection.execute("SELECT json_serialize_sql(?)", [sql]).fetchall()
        parsed = json.loads(text)
        if parsed["error"]:
            raise _mistake(sql, parsed)
        statements = parsed["statements"]
        if len(statements) != 1:
            raise SqlMistake(f"A model is one SELECT statement; this file has {len(statements)}.", None)
        return sorted(set(_tables(statements[0]["node"], frozenset())))


def statement_fingerprint(sql: str) -> str:
    """Return what identifies a statement in the file of those that were parsed in advance."""
    return sha256(sql.encode()).hexdigest()[:32]


@cache
def _parsed_in_advance() -> dict[str, Reads]:
    found: dict[str, Reads] = json.loads(PARSED.read_text())
    return found


def _mistake(sql: str, parsed: dict[str, Any]) -> SqlMistake:
    if parsed.get("error_type") == "not implemented":
        return SqlMistake("A model is one SELECT statement, and PIVOT is not one. Use aggregates with FILTER instead of PIVOT.", None)
    position = parsed.get("position")
    line = sql[: int(position)].count("\n") + 1 if position is not None else None
    return SqlMistake(f"DuckDB cannot parse it: {parsed['error_message']}.", line)


def _tables(node: Any, ctes: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Yield schema and name of the tables that a part of a statement reads.

    Args:
        node: The part, as JSON.
        ctes: Names of the common table expressions that it sees.
    """
    if isinstance(node, list):
        for one in node:
            yield from _tables(one, ctes)
    elif isinstance(node, dict):
        if node.get("type") == "BASE_TABLE":
            schema, name = node["schema_name"].lower(), node["table_name"].lower()
            if schema or name not in ctes:
                yield schema, name
        elif node.get("type") == "RECURSIVE_CTE_NODE":
            ctes |= {node["cte_name"].lower()}  # only a recursive one sees itself
        for entry in (node.get("cte_map") or {}).get("map", ()):
            yield from _tables(entry["value"], ctes)
            ctes |= {entry["key"].lower()}  # those after it see it
        for key, value in node.items():
            if key != "cte_map":
                yield from _tables(value, ctes)

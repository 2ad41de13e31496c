"""SQL for columns that are computed from a JSON column of custom data, all from one pass over the JSON.

``json_transform`` finds all paths of a JSON column at once, which takes a tenth of the time of one ``->>`` each. It returns texts: the JSON type of a
value is lost, except that the text of a list begins with ``[`` and that of an object with ``{``.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from klaviyo_assets.catalog.columns import EACH, Column, ColumnType
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.warehouse.sql import literal, quoted

LONGEST_TEXT = 1_000
"""Bytes of the longest text that is copied to a column: names and ids are shorter, and a row must not hold a wide value twice."""

_MAX_WHOLE = 2**53
"""Larger numbers in JSON are not exact in all programs."""


def with_computed(entry: ResourceType, rows: str) -> str:
    """Return SQL for rows with the computed columns of a resource type.

    Args:
        entry: The resource type.
        rows: SQL relation with the other columns, or the JSON columns and the columns that computed ones prefer.

    Example:
        >>> connection.execute(f"INSERT INTO {table} BY NAME FROM {with_computed(CATALOG['events'], staged)}")
    """
    if not entry.computed_columns:
        return rows
    sources = _sources(entry)
    # Cast first, to validate the JSON once. Otherwise json_transform and then the insert would each validate it.
    typed = ", ".join(f"{quoted(name)}::JSON AS {quoted(name)}" for name in sources)
    parsed = ", ".join(f"json_transform({quoted(name)}, {literal(_structure(columns))}) AS {_parsed(name)}" for name, columns in sources.items())
    values = ", ".join(f"{_value(column)} AS {quoted(column.name)}" for column in entry.computed_columns)
    without = ", ".join(map(_parsed, sources))
    return f"(SELECT * EXCLUDE ({without}), {values} FROM (SELECT *, {parsed} FROM (SELECT * REPLACE ({typed}) FROM {rows})))"


def definitions(entry: ResourceType) -> dict[str, str]:
    """Return a fingerprint of how each computed column is computed; it changes when stored values must be computed again."""
    texts = {column.name: f"{_structure([column])} {_value(column)}" for column in entry.computed_columns}
    return {name: hashlib.sha256(text.encode()).hexdigest()[:16] for name, text in texts.items()}


def sources(entry: ResourceType) -> list[str]:
    """Return the names of the JSON columns that computed columns come from."""
    return list(_sources(entry))


def _sources(entry: ResourceType) -> dict[str, list[Column]]:
    """Return the computed columns by their JSON column."""
    found: dict[str, list[Column]] = {}
    for column in entry.computed_columns:
        found.setdefault(column.path[1], []).append(column)
    return found


def _parsed(source: str) -> str:
    """The struct of the values of a JSON column; no column of a resource type has a blank in its name."""
    return quoted(f"values of {source}")


def _structure(columns: Sequence[Column]) -> str:
    tree: dict[str, Any] = {}
    for path in (path for column in columns for path in _paths(column)):
        names, leaf = (path[:-1], ["NULL"]) if path[-1] == EACH else (path, "VARCHAR")
        branch = tree
        for name in names[:-1]:
            branch = branch.setdefault(name, {})
        branch[names[-1]] = leaf
    return json.dumps(tree, ensure_ascii=False)


def _paths(column: Column) -> tuple[tuple[str, ...], ...]:
    return column.required_computed.paths


def _value(column: Column) -> str:
    """SQL for the value of a column: the first that fits."""
    computed = column.required_computed
    preferred = [quoted(name) for name in computed.columns]
    values = [_fitting(column, path) for path in computed.paths]
    return f"coalesce({', '.join((*preferred, *values))})"


def _fitting(column: Column, path: tuple[str, ...]) -> str:
    """SQL for the value at a path; null if it does not fit the column."""
    found = ".".join((_parsed(column.path[1]), *(quoted(name) for name in path if name != EACH)))
    if path[-1] == EACH:
        return f"len({found})"
    match column.type:
        case ColumnType.FLOAT:
            return _number(found)
        case ColumnType.INTEGER:
            number = _number(found)
            return f"CASE WHEN {number} = trunc({number}) AND abs({number}) <= {_MAX_WHOLE} THEN {number}::BIGINT END"
        case ColumnType.BOOLEAN:
            return f"CASE WHEN {found} IN ('true', 'True', 'TRUE', '1') THEN true WHEN {found} IN ('false', 'False', 'FALSE', '0') THEN false END"
    if column.required_computed.is_currency:
        return f"CASE WHEN regexp_full_match({found}, '[A-Za-z]{{3}}') THEN upper({found}) END"
    is_text = f"NOT starts_with({found}, '[') AND NOT starts_with({found}, '{{')"
    return f"CASE WHEN {is_text} AND strlen({found}) BETWEEN 1 AND {LONGEST_TEXT} THEN {found} END"


def _number(text: str) -> str:
    """SQL for a finite number; DuckDB's cast would also accept 1_000 and inf."""
    number = f"TRY_CAST({text} AS DOUBLE)"
    return f"CASE WHEN isfinite({number}) AND NOT contains({text}, '_') THEN {number} END"

"""Refuses columns of a resource type that cannot work. Part of :mod:`klaviyo_assets.catalog.type_checks`."""

import re
from collections import Counter
from collections.abc import Callable, Iterator

from klaviyo_assets.catalog.columns import ADDED_COLUMNS, COMPUTED, EACH, FIRST, WITHIN, Column, ColumnType
from klaviyo_assets.catalog.resource_type import ResourceType

_COLUMN_NAME = re.compile(r"[^\W\d][\w-]*")

_QUERY_NAMES = frozenset({"rowid", "place", "filename", "staged_file", "file_row_number"})
"""Columns that queries add to every table."""

_KEY_QUERY_NAMES = frozenset({"sure", "content", "differs", "was_deleted"})
"""Columns that queries add to the columns of the primary key."""

Problems = Iterator[str]
"""What is wrong with a resource type and what to do, beginning with the field."""


def missing(entry: ResourceType, field: str, name: str, *types: ColumnType) -> Problems:
    """Yield a problem if a field names no column of one of the types."""
    column = next((column for column in entry.columns if column.name == name), None)
    if column is None:
        yield f"{field} names {name!r}, which is not one of its columns ({', '.join(one.name for one in entry.columns)}). Name a column."
    elif column.type not in types:
        yield f"{field} names the column {name} of type {column.type.name}. Name a column of type {' or '.join(one.name for one in types)}."


def _column_names(entry: ResourceType) -> Problems:
    added = {column.name for column in ADDED_COLUMNS}
    for column in entry.columns:
        name = column.name.lower()
        if name in added:
            yield f"the column {column.name} has the name of one that every table has. Rename it."
        if name in _QUERY_NAMES or (name in _KEY_QUERY_NAMES and column.name in entry.primary_key):
            yield f"the column {column.name} has a name that queries of this package use themselves. Rename it."
        if not _COLUMN_NAME.fullmatch(column.name):
            yield f"the name {column.name!r} of a column must have letters, digits, underscores and hyphens only. Rename it."
        type_: object = column.type
        if not isinstance(type_, ColumnType):
            yield f"the type of the column {column.name} is {type_!r}. Use a ColumnType, such as ColumnType.STRING."
    for name, times in Counter(column.name.lower() for column in entry.columns).items():
        if times > 1:
            same = ", ".join(column.name for column in entry.columns if column.name.lower() == name)
            yield f"columns has the same name more than once: {same} (DuckDB ignores case). Give each column its own name."


def _paths(entry: ResourceType) -> Problems:
    for column in entry.columns:
        allowed = _types_at(column.path)
        if not allowed:
            yield (
                f"the column {column.name} has the path {column.path!r}. A path is ('id',), ('attributes', …), ('relationships', name), "
                "('subset', name), ('parent', name), ('derived', name), ('removal',), ('included', name, 'relationships', …), "
                "('within', column, …) or ('computed', column, name); its parts look like Python names, hyphens aside."
            )
        elif column.type not in allowed:
            yield f"the column {column.name} has the type {column.type.name}, but a value at {column.path!r} is {_alternatives(allowed)}."
    yield from _shared_paths(entry.columns)


def _types_at(path: tuple[str, ...]) -> frozenset[ColumnType]:
    """Return the types that a column with this path can have; none if there is no such path."""
    match path:
        case ("id",) | ("subset" | "parent", _):
            return frozenset({ColumnType.STRING})
        case ("removal",):
            return frozenset({ColumnType.TIMESTAMP})
        case ("within", _, first, *rest) if _is_member(first) and all(part in (FIRST, EACH) or _is_member(part) for part in rest):
            plain = frozenset({ColumnType.STRING, ColumnType.INTEGER, ColumnType.FLOAT, ColumnType.BOOLEAN, ColumnType.TIMESTAMP})
            return frozenset({ColumnType.STRINGS}) if rest.count(EACH) == 1 else plain if EACH not in rest else frozenset()
        case ("computed", _, _):
            return frozenset({ColumnType.STRING, ColumnType.INTEGER, ColumnType.FLOAT, ColumnType.BOOLEAN})
        case ("included", name, "relationships") if _is_member(name):
            return frozenset({ColumnType.JSON})
        case ("included", name, "relationships", target) if _is_member(name) and _is_member(target):
            return frozenset({ColumnType.STRING})
        case ("derived", name) if _is_member(name):
            return frozenset(ColumnType) - {ColumnType.JSON, ColumnType.TIMESTAMP}
        case ("relationships", name) if _is_member(name):
            return frozenset({ColumnType.STRING, ColumnType.STRINGS})
        case ("attributes", _, *_) if all(map(_is_member, path)):
            return frozenset(ColumnType)
    return frozenset()


def _is_member(name: str) -> bool:
    """Return whether the decoder can have a field for a member of this name."""
    return _python_name(name).isidentifier() and not name.startswith("__")


def _python_name(name: str) -> str:
    return name.replace("-", "_")


def _alternatives(types: frozenset[ColumnType]) -> str:
    return " or ".join(sorted(type_.name for type_ in types))


def _shared_paths(columns: tuple[Column, ...]) -> Problems:
    """The decoder reads each member once, so no two columns may have the same one, or one that is a part of the other."""
    seen: dict[tuple[str, ...], str] = {}
    read = [column for column in columns if column.path[0] in ("attributes", "relationships", "derived")]
    for column in sorted(read, key=lambda column: len(column.path)):
        path = tuple(map(_python_name, column.path))
        for length in range(2, len(path) + 1):
            if other := seen.get(path[:length]):
                yield f"the columns {other} and {column.name} read the same value ({'.'.join(column.path)}), or a part of it. Remove one."
        seen[path] = column.name


def _within_columns(entry: ResourceType) -> Problems:
    json_columns = {column.name for column in entry.columns if column.path[0] == "attributes" and column.type is ColumnType.JSON}
    for column in entry.columns:
        if column.path[0] in (WITHIN, COMPUTED) and column.path[1] not in json_columns:
            yield f"the column {column.name} is inside {column.path[1]!r}, which is not a JSON column of an attribute. Name one."


def _computed_columns(entry: ResourceType) -> Problems:
    """DuckDB reads all paths of a JSON column at once, into structs; it ignores the case of their names."""
    names: dict[tuple[str, ...], tuple[str, ...]] = {}
    for column in entry.columns:
        if (column.computed is None) != (column.path[0] != COMPUTED):
            yield f"the column {column.name} has the path {column.path!r} and computed={column.computed!r}. Declare it with computed(…)."
        elif column.computed is not None:
            for name in column.computed.columns:
                yield from missing(entry, f"the column {column.name}", name, column.type)
            for path in column.computed.paths:
                yield from _computed_path(column, path, names)


def _computed_path(column: Column, path: tuple[str, ...], names: dict[tuple[str, ...], tuple[str, ...]]) -> Problems:
    """Check one path of a computed column, given all paths that are known so far by their names in lower case."""
    if not path or EACH in path[:-1] or path == (EACH,) or (path[-1] == EACH and column.type is not ColumnType.INTEGER):
        yield f"the column {column.name} has the path {path!r}. A path names members of objects; that of an INTEGER may end with '*'."
    for length in range(1, len(path) + 1):
        part, last = path[:length], length == len(path)
        place = (column.path[1], *(name.lower() for name in part))
        kind = ("value", *part) if last else ("object", *part)
        if names.setdefault(place, kind) != kind:
            yield f"the column {column.name} has the path {path!r}, and another path differs in case only, or leads into its value. Leave one out."


COLUMN_CHECKS: tuple[Callable[[ResourceType], Problems], ...] = (_column_names, _paths, _within_columns, _computed_columns)
"""In this order: later checks rely on what earlier ones have found right."""

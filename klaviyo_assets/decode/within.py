"""Columns whose values are inside a JSON column: typed copies of what queries need most. The JSON column stays complete.

They are read from the column's text, whatever wrote it: a page, or an earlier version of this library.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import polars as pl

from klaviyo_assets.catalog.columns import EACH, FIRST, WITHIN, Column, ColumnType
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.decode.schema import dtype
from klaviyo_assets.decode.structs import STRICT, python_name
from klaviyo_assets.decode.timestamps import instants

_Known = dict[tuple[str, ...], Sequence[Any]]
"""Values by their path: columns of the same object find it once."""


class JsonColumnReader:
    """Reads the columns that are inside of one JSON column.

    Args:
        columns: These columns; all paths begin with the same JSON column.
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = columns
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(_struct(_tree(columns)) | None)
        self._alone = [msgspec.json.Decoder(_struct(_tree([column])) | None) for column in columns]
        self._paths = [column.path[2:] for column in columns]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(column.name for column in self._columns)

    def series(self, texts: Iterable[bytes | str | None]) -> dict[str, pl.Series]:
        """Return the columns by name. A value of another type than its column's is null.

        Args:
            texts: The values of the JSON column.
        """
        decode = self._decoder.decode
        objects: list[Any] = []
        misfits: list[tuple[int, bytes | str]] = []
        for text in texts:
            try:
                objects.append(decode(text) if text is not None else None)
            except msgspec.DecodeError:
                misfits.append((len(objects), text or ""))
                objects.append(None)
        known: _Known = {(): objects}
        values: list[Any] = [_values(path, known) for path in self._paths]
        if misfits:
            values = [list(some) for some in values]  # columns may share one
        for place, text in misfits:
            for number in range(len(self._columns)):
                values[number][place] = self._one(number, text)
        return {column.name: _series(column, some) for column, some in zip(self._columns, values, strict=True)}

    def _one(self, number: int, text: bytes | str) -> Any:
        """Return one column's value of a text in which some value has another type."""
        try:
            return _values(self._paths[number], {(): [self._alone[number].decode(text)]})[0]
        except msgspec.DecodeError:
            return None


def readers_within(entry: ResourceType) -> dict[str, JsonColumnReader]:
    """Return the readers of a resource type by the name of their JSON column."""
    found: dict[str, list[Column]] = defaultdict(list)
    for column in entry.columns:
        if column.path[0] == WITHIN:
            found[column.path[1]].append(column)
    return {name: JsonColumnReader(columns) for name, columns in found.items()}


def with_values_within(frame: pl.DataFrame, readers: dict[str, JsonColumnReader]) -> pl.DataFrame:
    """Return a frame with the columns that are inside of its JSON columns, read from these columns as they are."""
    for name, reader in readers.items():
        if name in frame.columns:
            frame = frame.with_columns(reader.series(frame[name].to_list()).values())
    return frame


def _tree(columns: Sequence[Column]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for column in columns:
        branch = tree
        for part in column.path[2:-1]:
            branch = branch.setdefault(part, {})
        branch[column.path[-1]] = STRICT[ColumnType.STRING if EACH in column.path else column.type]
    return tree


def _struct(tree: dict[str, Any]) -> Any:
    """Return the struct of an object; a list has the member FIRST or EACH, and the struct or type of its items."""
    fields: list[tuple[str, Any, Any]] = []
    for name, inner in tree.items():
        type_ = inner
        if isinstance(inner, dict):
            items = inner.get(FIRST, inner.get(EACH))
            type_ = list[_struct(items) | None] if isinstance(items, dict) else _struct(inner)  # type: ignore[misc]
        fields.append((python_name(name), type_ | None, None))
    return msgspec.defstruct("Object", fields, rename={python_name(name): name for name in tree}, gc=False)


def _values(path: tuple[str, ...], known: _Known) -> Sequence[Any]:
    """Return the values at a path of decoded objects, one for each; ``known`` has those of the empty path."""
    if path not in known:
        parents, name = _values(path[:-1], known), path[-1]
        if path[:-1] and not any(parents):  # such as a channel without subscribers
            known[path] = [None] * len(parents)
            return known[path]
        if EACH in path[:-1]:
            member = python_name(name)
            known[path] = [[getattr(one, member) for one in some if one is not None] if some else None for some in parents]
        elif name == FIRST:
            known[path] = [one[0] if one else None for one in parents]
        elif name == EACH:
            known[path] = parents
        else:
            field = python_name(name)
            known[path] = [None if one is None else getattr(one, field) for one in parents]
    return known[path]


def _series(column: Column, values: Sequence[Any]) -> pl.Series:
    if column.type is ColumnType.TIMESTAMP:
        return instants(column, list(values), [None] * len(values))  # an invalid timestamp is in the JSON column
    if values.count(None) == len(values):
        return pl.Series(column.name, [None], dtype=dtype(column.type)).new_from_index(0, len(values))
    return pl.Series(column.name, values, dtype=dtype(column.type), strict=True)

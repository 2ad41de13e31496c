"""Columns whose values are inside a JSON column: typed copies of what queries need most. The JSON column stays complete.

They are read from the column's text, whatever wrote it: a page, or an earlier version of this library.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from operator import attrgetter
from typing import Any, Protocol

import msgspec
import polars as pl

from klaviyo_assets.catalog.columns import EACH, FIRST, WITHIN, Column, ColumnType
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.decode.polars_schema import dtype
from klaviyo_assets.decode.structs import STRICT_TYPES
from klaviyo_assets.decode.timestamps import instants

_Text = bytes | str | msgspec.Raw

_Path = tuple[str, ...]

_Tree = dict[str, Any]

_SAMPLE, _MOSTLY = 256, 0.75
"""If more than this share of the first texts are distinct, texts are not deduplicated before decoding."""


class JsonColumnReader:
    """Reads the columns that are inside of one JSON column.

    One pass decodes the members that a column needs and skips the others. All columns of one object are taken from it at once.

    Args:
        columns: These columns; all paths begin with the same JSON column.
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = columns
        self._all = _Object(_tree(columns))
        self._alone = [_Object(_tree([column])) for column in columns]
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(self._all.type | None)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(column.name for column in self._columns)

    def series(self, texts: Sequence[_Text | None]) -> dict[str, pl.Series]:
        """Return the columns by name. A value of another type than its column's is null.

        Args:
            texts: The values of the JSON column. If many of them are equal, each is decoded once.
        """
        sample = texts[:_SAMPLE]
        if len(sample) == len(texts) or len({*sample}) > len(sample) * _MOSTLY:
            return self._series(texts)
        places: dict[_Text | None, int] = {}
        numbers = [places.setdefault(text, len(places)) for text in texts]
        frame = pl.DataFrame(self._series([*places]))[numbers]
        return {series.name: series for series in frame}

    def _series(self, texts: Sequence[_Text | None]) -> dict[str, pl.Series]:
        decode = self._decoder.decode
        objects: list[Any] = []
        of_other_types: list[tuple[int, _Text]] = []
        for text in texts:
            try:
                objects.append(decode(text) if text is not None else None)
            except msgspec.DecodeError:
                of_other_types.append((len(objects), text or b""))
                objects.append(None)
        found = dict(self._all.values(objects))
        values: list[Any] = [found[column.path[2:]] for column in self._columns]
        if of_other_types:
            values = [list(some) for some in values]  # columns may share one
        for place, text in of_other_types:
            for some, one in zip(values, self._one_by_one(text), strict=True):
                some[place] = one
        return {column.name: _series(column, some) for column, some in zip(self._columns, values, strict=True)}

    def _one_by_one(self, text: _Text) -> Iterator[Any]:
        """Yield each column's value of a text in which some value has another type; None for such a value."""
        for alone in self._alone:
            try:
                ((_, (value,)),) = alone.values([msgspec.json.decode(text, type=alone.type | None)])
                yield value
            except msgspec.DecodeError:
                yield None


def readers_within(entry: ResourceType) -> dict[str, JsonColumnReader]:
    """Return the readers of a resource type by the name of their JSON column."""
    found: dict[str, list[Column]] = defaultdict(list)
    for column in entry.columns:
        if column.path[0] == WITHIN:
            found[column.path[1]].append(column)
    return {name: JsonColumnReader(columns) for name, columns in found.items()}


def with_values_within(frame: pl.DataFrame, readers: dict[str, JsonColumnReader]) -> pl.DataFrame:
    """Return a frame with the columns that are extracted from the current text of its JSON columns."""
    for name, reader in readers.items():
        if name in frame.columns:
            frame = frame.with_columns(reader.series(frame[name].to_list()).values())
    return frame


class _Node(Protocol):
    """A value that is read: its type for the decoder, and how the values inside it are found."""

    type: Any

    def values(self, some: Sequence[Any]) -> Iterator[tuple[_Path, Sequence[Any]]]:
        """Yield the path of each value inside, and its values in the order of ``some``."""


class _Leaf:
    """A value of a column."""

    def __init__(self, type_: Any) -> None:
        self.type = type_

    def values(self, some: Sequence[Any]) -> Iterator[tuple[_Path, Sequence[Any]]]:
        """Yield the values themselves."""
        yield (), some


class _Object:
    """An object; only the members that columns need. Fields of the struct are numbered, since a member may have any name."""

    def __init__(self, tree: _Tree) -> None:
        self._members = {name: _node(inner) for name, inner in tree.items()}
        names = {f"member_{number}": name for number, name in enumerate(self._members)}
        fields: list[tuple[str, Any, Any]] = [(field, self._members[name].type | None, None) for field, name in names.items()]
        self.type: Any = msgspec.defstruct("Object", fields, rename=names, gc=False)
        self._empty = self.type()
        self._getters = [attrgetter(field) for field in names]

    def values(self, some: Sequence[Any]) -> Iterator[tuple[_Path, Sequence[Any]]]:
        """Yield the values of each member, by path."""
        objects = [one or self._empty for one in some]
        for (name, node), get in zip(self._members.items(), self._getters, strict=True):
            column = list(map(get, objects))  # without nulls, at the speed of C
            if isinstance(node, _Leaf) or any(column):
                yield from (((name, *path), values) for path, values in node.values(column))
            else:  # such as a channel without subscribers
                yield from (((name, *path), [None] * len(some)) for path, _ in node.values([None]))


class _First:
    """A list of which the first item is read."""

    def __init__(self, tree: _Tree) -> None:
        self._item = _node(tree[FIRST])
        self.type: Any = tuple[self._item.type | None, ...]  # type: ignore[name-defined]  # an empty one needs no memory

    def values(self, some: Sequence[Any]) -> Iterator[tuple[_Path, Sequence[Any]]]:
        """Yield the values of the first item of each list."""
        for path, values in self._item.values([one[0] if one else None for one in some]):
            yield (FIRST, *path), values


class _Each:
    """A list of which each item is read; null if it has none."""

    def __init__(self, tree: _Tree) -> None:
        self._item = _node(tree[EACH])
        self.type: Any = tuple[self._item.type | None, ...]  # type: ignore[name-defined]  # an empty one needs no memory

    def values(self, some: Sequence[Any]) -> Iterator[tuple[_Path, Sequence[Any]]]:
        """Yield the values of all items, as a list for each list."""
        kept = [[item for item in one if item is not None] if one else None for one in some]
        for path, values in self._item.values(list(chain.from_iterable(one for one in kept if one))):
            items = iter(values)
            yield (EACH, *path), [list(islice(items, len(one))) if one is not None else None for one in kept]


def _node(tree: Any) -> _Node:
    if not isinstance(tree, dict):
        return _Leaf(tree)
    return _First(tree) if FIRST in tree else _Each(tree) if EACH in tree else _Object(tree)


def _tree(columns: Sequence[Column]) -> _Tree:
    """Return the paths of columns as nested dictionaries; their values are types."""
    tree: _Tree = {}
    for column in columns:
        branch = tree
        for part in column.path[2:-1]:
            branch = branch.setdefault(part, {})
        branch[column.path[-1]] = STRICT_TYPES[ColumnType.STRING if EACH in column.path else column.type]
    return tree


def _series(column: Column, values: Sequence[Any]) -> pl.Series:
    if values.count(None) == len(values):
        return pl.Series(column.name, [None], dtype=dtype(column.type)).new_from_index(0, len(values))
    if column.type is ColumnType.TIMESTAMP:
        return instants(column, list(values), [None] * len(values))  # an invalid timestamp is in the JSON column
    return pl.Series(column.name, values, dtype=dtype(column.type), strict=True)

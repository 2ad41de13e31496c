"""The kinds of frames that an input can have: Polars, pandas and Arrow."""

from collections.abc import Callable
from types import UnionType
from typing import Any, Union, get_args, get_origin

from duckdb import DuckDBPyConnection, DuckDBPyRelation

from klaviyo_assets.warehouse.sql import quoted

LAZY = "polars.LazyFrame"
DEFAULT_FRAME = "polars.DataFrame"

_FRAME_KINDS: dict[str, Callable[[DuckDBPyRelation], Any]] = {
    DEFAULT_FRAME: lambda relation: relation.pl(),
    "pandas.DataFrame": lambda relation: relation.df(),
    "pyarrow.Table": lambda relation: relation.to_arrow_table(),
}

_PACKAGES = ("polars.", "pandas.", "pyarrow.")


def frame_kind_of(annotation: object) -> str:
    """Return the kind of frame that an annotation asks for, also as a member of a union; the default if it names none.

    Raises:
        TypeError: If it is the type of a frame that is not supported, or a union of several frames.

    Example:
        >>> import polars
        >>> frame_kind_of(polars.LazyFrame)
        'polars.LazyFrame'
    """
    members = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    types = [f"{one.__module__.partition('.')[0]}.{one.__name__}" for one in members if isinstance(one, type)]
    named = [kind for kind in dict.fromkeys(types) if kind.startswith(_PACKAGES)]
    kinds = [kind for kind in named if kind == LAZY or kind in _FRAME_KINDS]
    if len(kinds) > 1:
        raise TypeError(f"its type names several kinds of frames, {' and '.join(kinds)}; use one of them")
    if named and not kinds:
        raise TypeError(f"{named[0]} is not supported; use {', '.join([*_FRAME_KINDS, LAZY])}")
    return kinds[0] if kinds else DEFAULT_FRAME


def frame(connection: DuckDBPyConnection, query: str, kind: str) -> Any:
    """Return the rows of a query as a frame in memory.

    Args:
        connection: The database.
        query: The query.
        kind: As :func:`frame_kind_of` returns it, not lazy.
    """
    return _FRAME_KINDS[kind](connection.sql(as_text(connection, query)))


def as_text(connection: DuckDBPyConnection, query: str) -> str:
    """Return a query with its JSON columns as text: Parquet's and Arrow's JSON types come back as bytes or objects in some readers."""
    relation = connection.sql(query)
    columns = ", ".join(
        f"{quoted(name)}::VARCHAR AS {quoted(name)}" if str(type_) == "JSON" else quoted(name)
        for name, type_ in zip(relation.columns, relation.types, strict=True)
    )
    return f"SELECT {columns} FROM ({query})"

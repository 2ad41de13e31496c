"""A model: one ``SELECT`` statement with a header that describes its result."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from pathlib import Path

from klaviyo_assets.marts.mart_errors import InvalidModel

UNIQUE_KEY = "unique_key"
"""Name of the check that every model has: no two rows have the same key."""


class Scope(StrEnum):
    """The column by which an incremental model is maintained: each of its rows depends on the events of one group only."""

    PROFILE = "profile_id"
    DAY = "day"


@dataclass(frozen=True)
class HeaderQuery:
    """SQL of a header: what it is called, and the line where it begins."""

    name: str
    sql: str
    line: int


@dataclass(frozen=True)
class Check(HeaderQuery):
    """A query that returns the rows that are wrong.

    Attributes:
        warns: True if such rows are a warning, not an error.
    """

    warns: bool = False


@dataclass(frozen=True)
class Header:
    """What the comments at the beginning of a model's file say.

    Attributes:
        description: What a row represents.
        key: Columns that identify a row: the grain.
        columns: Descriptions by column.
        scope: How the model is maintained; None if it is rebuilt each time.
        view: What follows ``<schema>_`` in the name of the schema of a model that is a view; None for a table.
        metadata: Queries that return one number each.
        checks: Queries that return the rows that are wrong.
    """

    description: str = ""
    key: tuple[str, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)
    scope: Scope | None = None
    view: str | None = None
    metadata: tuple[HeaderQuery, ...] = ()
    checks: tuple[Check, ...] = ()


@dataclass(frozen=True)
class Model:
    """One model.

    Attributes:
        name: Name of its table and its asset: the file's name.
        path: The file.
        sql: The file's text, header included, so that DuckDB's line numbers are those of the file.
        header: What its header says.
        sources: Names without a schema that its statement reads, in lower case: raw tables and other models.
        mentioned: The same of the queries in its header.
        problem: What is wrong with the file; such a model is never built.
        is_packaged: True if it comes with this library.
    """

    name: str
    path: Path
    sql: str
    header: Header = Header()
    sources: frozenset[str] = frozenset()
    mentioned: frozenset[str] = frozenset()
    problem: InvalidModel | None = None
    is_packaged: bool = False

    @property
    def hash(self) -> str:
        """A hash of the file's text: if it changes, an incremental model is rebuilt."""
        return sha256(self.sql.encode()).hexdigest()

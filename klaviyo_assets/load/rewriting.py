"""A transaction that rewrites stored rows. What opens it records the rewritten rows before it commits, so a process killed later loses no change."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from duckdb import DuckDBPyConnection


@dataclass
class Rewriting:
    """An open transaction that rewrites rows.

    Attributes:
        connection: The database.
        rows: Number of rows that it has rewritten.
    """

    connection: DuckDBPyConnection
    rows: int = 0


OpenRewriting = Callable[[], AbstractContextManager[Rewriting]]
"""Opens such a transaction; an error rolls it back."""

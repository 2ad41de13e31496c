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
        record: Records the periods of a relation's rows as changed.
        rows: Number of rows that it has rewritten.
        are_recorded: Whether their periods are recorded; otherwise, what opened the transaction records those of all rows.
    """

    connection: DuckDBPyConnection
    record: Callable[[DuckDBPyConnection, str], None]
    rows: int = 0
    are_recorded: bool = False

    def note(self, relation: str) -> None:
        """Record the periods of rewritten rows.

        Args:
            relation: SQL after ``FROM``.
        """
        self.record(self.connection, relation)
        self.are_recorded = True


OpenRewriting = Callable[[], AbstractContextManager[Rewriting]]
"""Opens such a transaction; an error rolls it back."""

"""The table ``_erasures``: how many rows of each table an erasure has deleted or redacted. It contains nothing about the person."""

from datetime import UTC, datetime
from typing import ClassVar

from klaviyo_assets.state.bookkeeping_store import BookkeepingStore
from klaviyo_assets.warehouse.ddl import INSTANT, Columns


class Erasures(BookkeepingStore):
    """The erasures of a schema. The table is created with the first one that changes rows."""

    NAME: ClassVar[str] = "_erasures"
    DESCRIPTION: ClassVar[str] = "One row per erasure and table with rows that it changed. Data versions depend on it."
    COLUMNS: ClassVar[Columns] = {
        "id": ("VARCHAR", "Id of the erasure."),
        "table_name": ("VARCHAR", "Table; those of the marts with their schema."),
        "rows_deleted": ("BIGINT", "Rows about the person, which were deleted."),
        "rows_redacted": ("BIGINT", "Other rows in which the person's identifiers were redacted."),
        "erased_at": (INSTANT, "When, on the clock of the machine that did it."),
    }

    def add(self, erasure_id: str, table: str, *, deleted: int, redacted: int) -> None:
        """Record that an erasure has changed rows of a table.

        Args:
            erasure_id: Id of the erasure.
            table: The table.
            deleted: Number of deleted rows.
            redacted: Number of redacted rows.
        """
        self.prepare()
        self.connection.execute(
            f"INSERT INTO {self.table} (id, table_name, rows_deleted, rows_redacted, erased_at) VALUES (?, ?, ?, ?, ?)",
            [erasure_id, table, deleted, redacted, datetime.now(UTC)],
        )

    def count(self, table: str) -> int:
        """Return how many erasures have changed rows of a table."""
        return self._count("table_name = ?", [table]) if self.exists else 0

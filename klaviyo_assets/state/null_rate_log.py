"""The table ``_null_rates``: columns that had values and are null in every row written since."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from klaviyo_assets.state.bookkeeping_store import BookkeepingStore
from klaviyo_assets.warehouse.ddl import INSTANT, Columns


@dataclass(frozen=True)
class NullRate:
    """A row of the table; its column comments explain each field. ``since_us`` is in microseconds since 1970."""

    column: str
    rows_before: int
    values_before: int
    since_us: int
    null_rows: int


class NullRateLog(BookkeepingStore):
    """The columns of a schema's tables that have lost their values."""

    NAME: ClassVar[str] = "_null_rates"
    DESCRIPTION: ClassVar[str] = "Columns that had values in earlier rows and are null in all rows written since."
    COLUMNS: ClassVar[Columns] = {
        "resource_type": ("VARCHAR", "Table."),
        "column_name": ("VARCHAR", "Column that had values and is null in every row written since."),
        "rows_before": ("BIGINT", "Rows that were sampled before, the latest ones."),
        "values_before": ("BIGINT", "How many of them had a value."),
        "null_since": (INSTANT, "When the first row without a value was read."),
        "null_rows": ("BIGINT", "Rows written since that are null, though they are new or had a value before."),
    }

    def rates(self, resource_type: str) -> list[NullRate]:
        """Return the columns of a resource type that have lost their values, by name."""
        rows = self._rows(
            f"SELECT column_name, rows_before, values_before, epoch_us(null_since), null_rows FROM {self.table} "
            "WHERE resource_type = ? ORDER BY column_name",
            [resource_type],
        )
        return [NullRate(*row) for row in rows]

    def delete(self, resource_type: str, column: str) -> None:
        """Delete the row of a column that has values again."""
        self.connection.execute(f"DELETE FROM {self.table} WHERE resource_type = ? AND column_name = ?", [resource_type, column])

    def insert(self, resource_type: str, column: str, *, rows_before: int, values_before: int, since: str) -> None:
        """Write a row for a column.

        Args:
            resource_type: The resource type.
            column: The column.
            rows_before: Rows that were sampled.
            values_before: How many of them have a value.
            since: SQL, ``SELECT`` of one instant: when the first row without a value was read.
        """
        self.connection.execute(
            f"INSERT INTO {self.table} (resource_type, column_name, rows_before, values_before, null_since, null_rows) "
            f"VALUES (?, ?, ?, ?, ({since}), 0)",
            [resource_type, column, rows_before, values_before],
        )

    def add_null_rows(self, resource_type: str, rows: Mapping[str, int]) -> None:
        """Add rows, by column, that were written without a value."""
        for column, count in rows.items():
            self.connection.execute(
                f"UPDATE {self.table} SET null_rows = null_rows + ? WHERE resource_type = ? AND column_name = ?", [count, resource_type, column]
            )

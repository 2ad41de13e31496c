"""The table ``_computed_columns``: by which definitions the computed columns of each table were filled."""

from collections.abc import Collection, Mapping
from typing import ClassVar

from klaviyo_assets.state.bookkeeping_store import BookkeepingStore
from klaviyo_assets.warehouse.ddl import Columns


class ComputedColumns(BookkeepingStore):
    """The definitions of computed columns. The table is created with the first such column."""

    NAME: ClassVar[str] = "_computed_columns"
    DESCRIPTION: ClassVar[str] = "By which definitions the columns that are computed from a JSON column were filled."
    COLUMNS: ClassVar[Columns] = {
        "resource_type": ("VARCHAR", "Table."),
        "column_name": ("VARCHAR", "Column that is computed from a JSON column of the same row."),
        "definition": ("VARCHAR", "Fingerprint of how it is computed."),
    }

    def definitions(self, resource_type: str) -> dict[str, str]:
        """Return the definitions by which the columns of all rows were filled; none for a column that is not filled in all rows."""
        if not self.exists:
            return {}
        return dict(self._rows(f"SELECT column_name, definition FROM {self.table} WHERE resource_type = ?", [resource_type]))

    def keep(self, resource_type: str, names: Collection[str]) -> None:
        """Forget the definitions of other columns than these, so that they are filled again if the resource type has them."""
        if self.definitions(resource_type).keys() - {*names}:
            self.connection.execute(
                f"DELETE FROM {self.table} WHERE resource_type = ? AND NOT list_contains(?, column_name)", [resource_type, [*names]]
            )

    def replace(self, resource_type: str, definitions: Mapping[str, str]) -> None:
        """Record the definitions that all rows of a resource type are filled by."""
        self.prepare()
        self.connection.execute(f"DELETE FROM {self.table} WHERE resource_type = ?", [resource_type])
        if definitions:
            self.connection.execute(
                f"INSERT INTO {self.table} (resource_type, column_name, definition) SELECT ?, unnest(?), unnest(?)",
                [resource_type, list(definitions), list(definitions.values())],
            )

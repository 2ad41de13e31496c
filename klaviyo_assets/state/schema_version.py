"""The table ``_layout``: the version of the tables' layout. Older schemas are migrated, newer ones are rejected.

The version is raised only for changes that :meth:`klaviyo_assets.load.schema.tables.Tables.prepare` cannot make by adding columns and converting
types; see :mod:`klaviyo_assets.state.layout_migration`.
"""

from typing import ClassVar

from klaviyo_assets._version import __version__
from klaviyo_assets.errors import NewerLayout
from klaviyo_assets.state.bookkeeping_store import BookkeepingStore
from klaviyo_assets.warehouse.ddl import Columns, SchemaColumns

LAYOUT = 2
"""Version of the layout that this library reads and writes. Schemas older than this table have no version."""


class SchemaVersion(BookkeepingStore):
    """The version of a schema. Earlier versions of this library read this table too, so its columns never change."""

    NAME: ClassVar[str] = "_layout"
    DESCRIPTION: ClassVar[str] = "Which version of the tables' layout this schema has."
    COLUMNS: ClassVar[Columns] = {
        "version": ("BIGINT", "Version of the tables' layout."),
        "written_by": ("VARCHAR", "Version of klaviyo_assets that created or migrated it."),
    }

    def reject_newer(self) -> None:
        """Fail if a later version of this library has written the schema.

        Raises:
            NewerLayout: With both versions; nothing is changed.
        """
        found = self._found()
        if found is not None and found[0] > LAYOUT:
            raise NewerLayout(self.schema, found=found[0], written_by=found[1], known=LAYOUT)

    @property
    def version(self) -> int | None:
        """The layout of the schema; None if it records none."""
        found = self._found()
        return None if found is None else found[0]

    def record(self) -> None:
        """Record :data:`LAYOUT` for a schema whose tables are up to date."""
        self.prepare()
        if self.version != LAYOUT:
            self.connection.execute(f"DELETE FROM {self.table}")
            self.connection.execute(f"INSERT INTO {self.table} (version, written_by) VALUES (?, ?)", [LAYOUT, __version__])

    def _found(self) -> tuple[int, str] | None:
        known = self.known or SchemaColumns(self.connection, self.schema)
        if not {*self.COLUMNS} <= known.of(self.NAME).keys():
            return None  # no table, or another program's
        rows = self._rows(f"SELECT version, written_by FROM {self.table} ORDER BY version DESC LIMIT 1")
        return (int(rows[0][0]), str(rows[0][1])) if rows else None

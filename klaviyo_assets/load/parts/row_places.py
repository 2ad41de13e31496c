"""Numbers the rows of a table within one transaction, to read them in ranges and update single rows."""

from collections.abc import Sequence
from dataclasses import dataclass

from duckdb import DuckDBPyConnection

from klaviyo_assets.warehouse.sql import key_columns, key_value, keys_equal

_NUMBERED = "temp.row_places"


@dataclass(frozen=True)
class RowPlaces:
    """The places of a table's rows: DuckDB's ``rowid``, or numbers in the order of the primary key.

    Rows with the same primary key share a number; rows without a key have none.

    Args:
        table: The table, qualified.
        key: Columns of its primary key.
        rowid: Whether places are ``rowid``.
    """

    table: str
    key: Sequence[str]
    rowid: bool

    @classmethod
    def of(cls, connection: DuckDBPyConnection, table: str, key: Sequence[str], *, rowid: bool) -> "RowPlaces":
        """Return the places of a table's rows, numbered for this connection where they are not ``rowid``.

        Args:
            connection: The database, in a transaction.
            table: The table, qualified.
            key: Columns of its primary key.
            rowid: Whether the table has ``rowid`` and it does not change while the places are used.
        """
        if not rowid:
            columns = key_columns(key)
            numbered = f"SELECT {columns}, row_number() OVER (ORDER BY {columns}) AS place FROM (SELECT DISTINCT {columns} FROM {table})"
            connection.execute(f"CREATE OR REPLACE TEMP TABLE row_places AS {numbered}")
        return cls(table, key, rowid)

    @property
    def rows(self) -> str:
        """SQL relation with the table's columns and ``place``."""
        if self.rowid:
            return f"(SELECT rowid AS place, * FROM {self.table})"
        return f"(SELECT numbered.place, t.* FROM {self.table} AS t JOIN {_NUMBERED} AS numbered ON {keys_equal(self.key, 't', 'numbered')})"

    def are_among(self, places: str) -> str:
        """SQL condition for the rows of the table that have one of some places.

        Args:
            places: SQL that selects them.
        """
        if self.rowid:
            return f"rowid IN ({places})"
        return f"{key_value(self.key)} IN (SELECT {key_columns(self.key)} FROM {_NUMBERED} WHERE place IN ({places}))"

    def update(self, assignments: str, source: str) -> str:
        """SQL statement that updates rows of the table from rows of another relation that has ``place``.

        Args:
            assignments: What follows ``SET``; the table is called ``t``.
            source: Name of the other relation.
        """
        if self.rowid:
            return f"UPDATE {self.table} AS t SET {assignments} FROM {source} WHERE t.rowid = {source}.place"
        same_row = f"numbered.place = {source}.place AND {keys_equal(self.key, 't', 'numbered')}"
        return f"UPDATE {self.table} AS t SET {assignments} FROM {source}, {_NUMBERED} AS numbered WHERE {same_row}"

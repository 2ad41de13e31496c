"""Upserts staged rows into a table: inserts new rows, replaces changed ones and skips identical ones.

Wide columns (JSON) cause nearly all the cost, so they are read only when needed: when staged rows are inserted, and when they are compared with
stored rows. Everything else (duplicates among the staged rows, known keys, the newer version) is decided by narrow columns. The cost of a load is
proportional to its batch, plus one scan of the table's keys.

Rows of the table are located by DuckDB's ``rowid``, which does not change within a transaction: with it DuckDB reads only the row groups that contain
known rows. In warehouses without ``rowid``, rows are located by primary key.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from duckdb import DuckDBPyConnection

from klaviyo_assets.catalog.columns import ColumnType
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.decode import EXTRA, SYNCED_AT
from klaviyo_assets.load.rows.computed import with_computed
from klaviyo_assets.load.rows.null_rate_recorder import NullRateRecorder
from klaviyo_assets.load.schema.foreign_objects import foreign_columns, insert_keeping
from klaviyo_assets.load.schema.tables import DELETED_AT
from klaviyo_assets.warehouse.sql import key_columns, key_value, keys_equal, literal, quoted

_CLOCKS_MAY_DIFFER = "INTERVAL 1 HOUR"
"""Allowance for clocks that differ: a version dated at most this long after its read still counts."""

_TEMPORARY_TABLES = ("superseded", "known", "candidates", "changed", "skipped", "user_values")


def content_columns(entry: ResourceType) -> list[str]:
    """Return the names of the columns of staged files that are compared: the library fills the others of the table."""
    return [*(column.name for column in entry.received_columns), EXTRA]


def own_columns(entry: ResourceType) -> list[str]:
    """Return the names of :func:`content_columns` and of the columns that are computed from them."""
    return [*content_columns(entry), *(column.name for column in entry.computed_columns)]


def text_columns(entry: ResourceType) -> list[str]:
    """Return the names of the columns that may be wide: text, JSON and lists."""
    texts = (ColumnType.STRING, ColumnType.JSON, ColumnType.STRINGS)
    return [*(column.name for column in entry.received_columns if column.type in texts), EXTRA]


def hashed(entry: ResourceType, relation: str) -> str:
    """SQL for a 64-bit hash of a row's content. Rows are compared by it: a join of wide rows takes twice as long and needs memory for them.

    Volatile columns are left out, so a row that differs only in these counts as unchanged.
    DuckDB may change the function, so hashes are never stored. A hash collision hides a change once in 10¹⁹ changed rows.
    """
    return f"hash({', '.join(_contents(entry, relation))})"


def _contents(entry: ResourceType, relation: str) -> list[str]:
    """SQL for each column that is compared; JSON as text, since the order of keys and the notation of numbers matter."""
    json_columns = {EXTRA, *(column.name for column in entry.columns if column.type == "JSON")}
    volatile = {column.name for column in entry.columns if column.volatile}
    return [f"{relation}.{quoted(name)}{'::VARCHAR' if name in json_columns else ''}" for name in content_columns(entry) if name not in volatile]


def parquet(files: Sequence[Path], key: Sequence[str]) -> str:
    """SQL for staged files; an empty relation if there are none.

    Args:
        files: Parquet files.
        key: The columns that the relation must have if there are no files.
    """
    if not files:
        return f"(SELECT {', '.join(f'NULL AS {quoted(name)}' for name in key)} WHERE false)"
    return _read_parquet(files)


def _read_parquet(files: Sequence[Path], *options: str) -> str:
    listed = ", ".join(literal(str(file)) for file in files)
    # A folder called id=1 must not become a column.
    return f"read_parquet({', '.join((f'[{listed}]', 'hive_partitioning = false', *options))})"


@dataclass(frozen=True)
class Upsert:
    """Loads one batch of staged files into one table, inside the caller's transaction.

    Of several versions of a record the newest is stored: the one with the latest time in the version column. If these times are equal, missing or
    impossible, or if the type is read completely, it is the one that was read last. :meth:`_may_replace` compares a row with the stored one,
    :meth:`_superseded` the rows of a batch with each other. A full read that builds a new table (``rebuild``) replaces all stored rows.

    Args:
        connection: The database, in a transaction.
        entry: The resource type.
        files: Staged Parquet files, at least one.
        table: The table, qualified.
        null_rates: Records columns that lose their values; None if that is done at another time.
        only_append: Called before the insert if all rows are new.
        rowid: Whether the table has DuckDB's ``rowid``.
        on_written: Called with SQL for the staged rows that are written, if there are any; None to call nothing.

    Example:
        >>> inserted, updated = Upsert(connection, CATALOG["events"], files, '"klaviyo"."klaviyo"."events"').run()
    """

    connection: DuckDBPyConnection
    entry: ResourceType
    files: Sequence[Path]
    table: str
    null_rates: NullRateRecorder | None = None
    only_append: Callable[[DuckDBPyConnection], None] = lambda _: None
    rowid: bool = True
    on_written: Callable[[str], None] | None = None

    def run(self) -> tuple[int, int]:
        """Write new and changed rows.

        Returns:
            How many rows were inserted, and how many replaced.
        """
        staged, rows = self._staged()
        known = self._find_known(staged)
        if not known:
            self.only_append(self.connection)
        updated = self._find_changed(staged) if known else 0
        skipped = self._find_skipped(updated) if known else 0
        new = self._without_skipped(staged) if skipped else staged
        written = rows - skipped
        if written and self.null_rates is not None:
            self.null_rates.note(new, f"(SELECT * FROM {self.table} WHERE {self._are_changed})" if updated else None)
        if written and self.on_written is not None:
            self.on_written(new)
        user_columns = foreign_columns(self.connection, self.table, own_columns(self.entry)) if updated else []
        if user_columns:
            self._collect("user_values", f"SELECT {', '.join((self._key_columns, *user_columns))} FROM {self.table} WHERE {self._are_changed}")
        if updated:
            self.connection.execute(f"DELETE FROM {self.table} WHERE {self._are_changed}")
        if written:
            self._insert(new, user_columns)
        for name in _TEMPORARY_TABLES:
            self.connection.execute(f"DROP TABLE IF EXISTS temp.{name}")
        return written - updated, updated

    @property
    def _key_value(self) -> str:
        return key_value(self.entry.primary_key)

    @property
    def _are_changed(self) -> str:
        """SQL condition for the rows of the table that are replaced."""
        return "rowid IN (SELECT place FROM changed)" if self.rowid else f"{self._key_value} IN (SELECT {self._key_columns} FROM changed)"

    @property
    def _key_columns(self) -> str:
        return self._key_columns_of()

    def _key_columns_of(self, relation: str = "") -> str:
        return key_columns(self.entry.primary_key, relation)

    def _same_key(self, left: str, right: str) -> str:
        return keys_equal(self.entry.primary_key, left, right)

    @property
    def _order_columns(self) -> list[str]:
        """The columns by which two versions of a record are ordered."""
        version = [quoted(self.entry.version_column)] if self.entry.version_column else []
        return [*version, SYNCED_AT]

    def _staged(self) -> tuple[str, int]:
        """Return SQL for the staged rows without duplicate keys, and their number."""
        staged = _read_parquet(self.files)
        # NULL counts as a key here.
        ((rows, keys),) = self.connection.execute(
            f"SELECT count(*), count(DISTINCT {self._key_value}) + coalesce(max(({self._key_value} IS NULL)::INTEGER), 0) FROM {staged}"
        ).fetchall()
        if rows == keys:
            return staged, rows
        located = _read_parquet(self.files, "filename = 'staged_file'", "file_row_number = true")
        self._collect("superseded", self._superseded(located))
        return (
            f"(SELECT * EXCLUDE (staged_file, file_row_number) FROM {located} AS located "
            "WHERE NOT EXISTS (FROM superseded AS s WHERE s.staged_file = located.staged_file AND s.file_row_number = located.file_row_number))"
        ), keys

    def _find_known(self, staged: str) -> int:
        """Find the staged keys that the table has, with the ``rowid`` of their row as ``place``. Reads little more of the table than the keys."""
        narrow = ", ".join(f"old.{name}" for name in (*self._order_columns, DELETED_AT))
        return self._collect(
            "known",
            f"SELECT {'old.rowid' if self.rowid else 'NULL::BIGINT'} AS place, {self._key_columns_of('old')}, {narrow} FROM {self.table} AS old "
            f"WHERE {key_value(self.entry.primary_key, 'old')} IN (SELECT {self._key_columns} FROM {staged})",
        )

    def _find_changed(self, staged: str) -> int:
        """Find the known rows that a staged row replaces (see :meth:`_may_replace`), and return the number of their keys."""
        candidates = self._collect(
            "candidates",
            f"SELECT old.place, {self._key_columns_of('old')}, {self._shows_a_change()} AS sure FROM {staged} AS new "
            f"JOIN known AS old ON {self._same_key('new', 'old')} WHERE {self._may_replace()}",
        )
        if not candidates:
            return 0
        self._collect("changed", f"SELECT place, {self._key_columns} FROM candidates WHERE sure")
        ((unsure, first, last),) = self.connection.execute("SELECT count(*), min(place), max(place) FROM candidates WHERE NOT sure").fetchall()
        if unsure:
            self._add_changed_content(staged, first, last)
        ((keys,),) = self.connection.execute(f"SELECT count(DISTINCT {self._key_value}) FROM changed").fetchall()
        return int(keys)

    def _add_changed_content(self, staged: str, first: int, last: int) -> None:
        """Add the candidates that are not sure, if their content differs."""
        if self.rowid:
            place, same_row = "old.rowid AS place", "old.place = candidate.place"
            unsure = f"old.rowid BETWEEN {first} AND {last} AND old.rowid IN (SELECT place FROM candidates WHERE NOT sure)"
        else:
            place, same_row = self._key_columns_of("old"), self._same_key("old", "candidate")
            unsure = f"{key_value(self.entry.primary_key, 'old')} IN (SELECT {self._key_columns} FROM candidates WHERE NOT sure)"
        self.connection.execute(
            f"""
            INSERT INTO changed
            SELECT candidate.place, {self._key_columns_of("candidate")} FROM candidates AS candidate
            JOIN (
                SELECT {place}, {hashed(self.entry, "old")} AS content FROM {self.table} AS old WHERE {unsure}
            ) AS old ON {same_row}
            JOIN (
                SELECT {self._key_columns}, {hashed(self.entry, "new")} AS content FROM {staged} AS new
            ) AS new ON {self._same_key("new", "candidate")}
            WHERE NOT candidate.sure AND old.content <> new.content
            """
        )

    def _find_skipped(self, updated: int) -> int:
        """Find the known keys of rows that are not replaced."""
        changed = f"WHERE {self._key_value} NOT IN (SELECT {self._key_columns} FROM changed)" if updated else ""
        return self._collect("skipped", f"SELECT DISTINCT {self._key_columns} FROM known {changed}")

    def _without_skipped(self, staged: str) -> str:
        """Return SQL for the staged rows that will be written."""
        return f"(SELECT * FROM {staged} AS staged WHERE NOT EXISTS (FROM skipped WHERE {self._same_key('skipped', 'staged')}))"

    def _insert(self, new: str, user_columns: Sequence[str]) -> None:
        names = ", ".join(f"new.{quoted(name)}" for name in (*content_columns(self.entry), SYNCED_AT))
        rows = with_computed(self.entry, f"(SELECT {names} FROM {new} AS new)")
        if user_columns:
            insert_keeping(self.connection, self.table, rows, key=self.entry.primary_key, kept="user_values", columns=user_columns)
        else:
            self.connection.execute(f"INSERT INTO {self.table} BY NAME FROM {rows}")

    def _shows_a_change(self) -> str:
        """SQL that is true if ``new`` is sure to differ from ``old``: it is another version, or ``old`` is marked as deleted."""
        version = (
            f" OR new.{quoted(self.entry.version_column)} IS DISTINCT FROM old.{quoted(self.entry.version_column)}"
            if self.entry.version_column
            else ""
        )
        return f"(old.{DELETED_AT} IS NOT NULL{version})"

    def _may_replace(self) -> str:
        """SQL that is true if ``new`` may replace ``old``, the stored row.

        The higher version wins. The later read, or ``new`` if both were read at the same time, wins instead

        - if the versions are equal;
        - if one of the two rows has no version, or an impossible one: a time after the row was read (:meth:`_version`), which would win forever;
        - if the old row is marked as deleted and the record was read since;
        - in types that are read completely (:attr:`_version_decides`).
        """
        read_no_earlier = f"(old.{SYNCED_AT} IS NULL OR new.{SYNCED_AT} >= old.{SYNCED_AT})"
        if not self._version_decides:
            return read_no_earlier
        new, old = self._version("new"), self._version("old")
        same_or_missing = f"({new} = {old} OR {new} IS NULL OR {old} IS NULL)"
        has_reappeared = f"(old.{DELETED_AT} IS NOT NULL AND new.{SYNCED_AT} > old.{DELETED_AT})"
        return f"(coalesce({new} > {old}, false) OR ({read_no_earlier} AND {same_or_missing}) OR {has_reappeared})"

    @property
    def _version_decides(self) -> bool:
        """Whether the higher version wins. Not in types that are read completely: what was read last is true, even if a version went down."""
        return self.entry.version_column is not None and not self.entry.replication.is_complete_read

    def _superseded(self, located: str) -> str:
        """SQL that lists the file and the row number of staged rows that another row of the same key supersedes.

        Args:
            located: SQL for the staged rows, with the columns ``staged_file`` and ``file_row_number``.

        As in :meth:`_may_replace`, versions count only if all rows of the key have one; otherwise, the latest read counts. Few keys have several
        rows, so those are found first: sorting all rows would cost several times as much. Files are named in the order in which they were written.
        """
        key, version = self._key_columns_of("new"), self._version("new") if self._version_decides else "NULL"
        has_null = " OR ".join(f"new.{quoted(column)} IS NULL" for column in self.entry.primary_key)  # IN does not match them
        repeated = f"SELECT {self._key_columns} FROM {located} GROUP BY ALL HAVING count(*) > 1"
        return f"""
            SELECT staged_file, file_row_number
            FROM (
                SELECT {key}, staged_file, file_row_number, new.{SYNCED_AT} AS read_at, {version} AS version,
                    bool_and({version} IS NOT NULL) OVER (PARTITION BY {key}) AS have_versions
                FROM {located} AS new
                WHERE {key_value(self.entry.primary_key, "new")} IN ({repeated}) OR {has_null}
            ) AS new
            QUALIFY row_number() OVER (
                PARTITION BY {key}
                ORDER BY CASE WHEN have_versions THEN version END DESC NULLS LAST, read_at DESC NULLS LAST, staged_file DESC, file_row_number DESC
            ) > 1
        """

    def _version(self, relation: str) -> str:
        """SQL for the version of a row; null if it is later than the row's read by more than clocks may differ: such a time is wrong."""
        version = f"{relation}.{quoted(self.entry.version_column or '')}"
        return f"CASE WHEN {version} <= {relation}.{SYNCED_AT} + {_CLOCKS_MAY_DIFFER} THEN {version} END"

    def _collect(self, name: str, select: str) -> int:
        """Store the result of a query in a temporary table, and return the number of its rows."""
        self.connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {select}")
        ((count,),) = self.connection.execute(f"SELECT count(*) FROM {name}").fetchall()
        return int(count)

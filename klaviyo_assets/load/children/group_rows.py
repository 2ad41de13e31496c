"""The stored children of parents that are read in groups: how many there are, and which ones a read did not return."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import polars as pl
from duckdb import DuckDBPyConnection

from klaviyo_assets._internal.instants import from_seconds
from klaviyo_assets.catalog.parent_groups import ParentGroups
from klaviyo_assets.load.rows.upsert import parquet
from klaviyo_assets.load.schema.tables import DELETED_AT, Tables
from klaviyo_assets.state.child_parts import END, ChildPart
from klaviyo_assets.state.coverage import BEGINNING
from klaviyo_assets.state.parent_facts import ROWS_PER_PART, StoredPart
from klaviyo_assets.warehouse.sql import changed_rows, key_columns, key_value, quoted

_PARTS_SCHEMA = pl.Schema({"parent": pl.String(), "state": pl.String(), "low": pl.Datetime("us", "UTC"), "high": pl.Datetime("us", "UTC")})


@dataclass(frozen=True)
class GroupRead:
    """Parts of parents' children that were read completely.

    Attributes:
        parts: The parents and parts.
        files: Staged files with the keys that were returned, among others.
    """

    parts: tuple[tuple[str, ChildPart], ...]
    files: tuple[Path, ...]


@dataclass(frozen=True)
class GroupRows:
    """The rows of one child type, in the caller's transaction.

    Args:
        connection: The database.
        tables: The tables of the child type.
    """

    connection: DuckDBPyConnection
    tables: Tables

    @property
    def _groups(self) -> ParentGroups:
        return self.tables.entry.required_groups

    def stored(self) -> dict[str, dict[str | None, StoredPart]]:
        """Return the rows of each parent by state, with None for all of them."""
        state, found = quoted(self._groups.state), dict[str, dict[str | None, StoredPart]]()
        for grouping in (f"{self.tables.parent_column}, {state}", self.tables.parent_column):
            shown = state if state in grouping else "NULL"
            rows = self.connection.execute(
                f"SELECT {self.tables.parent_column}, {shown}, count(*) FROM {self.tables.rows} WHERE {DELETED_AT} IS NULL GROUP BY {grouping}"
            ).fetchall()
            borders = self._borders(grouping, shown) if any(count > ROWS_PER_PART for *_, count in rows) else {}
            for parent, value, count in rows:
                if value is not None or shown == "NULL":  # rows without a state are among all rows only
                    found.setdefault(parent, {})[value] = StoredPart(count, borders.get((parent, value), ()))
        return found

    def _borders(self, grouping: str, shown: str) -> dict[tuple[str, str | None], tuple[datetime, ...]]:
        """Return the times of each :data:`ROWS_PER_PART`-th row of each group, in whole seconds."""
        time = quoted(self._groups.cut_by)
        rows = self.connection.execute(
            f"""
            SELECT parent, state, list(DISTINCT second ORDER BY second) FROM (
                SELECT {self.tables.parent_column} AS parent, {shown} AS state, epoch({time})::BIGINT AS second,
                    row_number() OVER (PARTITION BY {grouping} ORDER BY {time}) AS place
                FROM {self.tables.rows} WHERE {DELETED_AT} IS NULL AND {time} IS NOT NULL
            ) WHERE place % {ROWS_PER_PART} = 0 GROUP BY ALL
            """
        ).fetchall()
        return {(parent, state): tuple(from_seconds(second) for second in seconds) for parent, state, seconds in rows}

    def missing(self, read: GroupRead) -> dict[str, tuple[int, int]]:
        """Return for each parent with rows that a read did not return: their number, and that of all of its rows."""
        if not read.parts:
            return {}
        with self._parts(read.parts):
            missing = self.connection.execute(
                f"SELECT {self.tables.parent_column}, count(*) FROM ({self._missing(read.files)}) GROUP BY ALL ORDER BY ALL"
            ).fetchall()
        if not missing:
            return {}
        counts = self.connection.execute(
            f"SELECT {self.tables.parent_column}, count(*) FROM {self.tables.rows} WHERE {DELETED_AT} IS NULL GROUP BY ALL"
        )
        rows = dict(counts.fetchall())
        return {parent: (count, rows[parent]) for parent, count in missing}

    def missing_ids(self, read: GroupRead, parents: Collection[str], most: int | None = None) -> list[tuple[str, str]]:
        """Return the parents and ids of the rows of some parents that a read did not return; at most some of them, of all parents, if so many."""
        own = quoted(self.tables.entry.id_column or "id")
        with self._parts([(parent, part) for parent, part in read.parts if parent in parents]):
            order = "ALL" if most is None else f"hash({own}), {own} LIMIT {most}"
            return self.connection.execute(
                f"SELECT {self.tables.parent_column}, {own} FROM ({self._missing(read.files)}) ORDER BY {order}"
            ).fetchall()

    def mark_missing(self, read: GroupRead, at: datetime) -> int:
        """Mark the rows that a read did not return, and return their number."""
        if not read.parts:
            return 0
        key = self.tables.entry.primary_key
        missing = f"{key_value(key)} IN (SELECT {key_columns(key)} FROM ({self._missing(read.files)}))"
        with self._parts(read.parts):
            return changed_rows(self.connection, f"UPDATE {self.tables.rows} SET {DELETED_AT} = ? WHERE {DELETED_AT} IS NULL AND {missing}", [at])

    def _missing(self, files: Sequence[Path]) -> str:
        """SQL for the rows of the registered parts that are not in staged files.

        The rows that were not returned are collected first, since they are few: to look up the parts of all rows would take several times the memory.
        """
        key, state, time = self.tables.entry.primary_key, quoted(self._groups.state), quoted(self._groups.cut_by)
        return f"""
            WITH unreturned AS MATERIALIZED (
                SELECT {key_columns(key)}, {state}, {time} FROM {self.tables.rows}
                WHERE {DELETED_AT} IS NULL AND {key_value(key)} NOT IN (SELECT {key_columns(key)} FROM {parquet(files, key)})
            )
            FROM unreturned WHERE EXISTS (
                FROM parts_read AS part WHERE part.parent = {self.tables.parent_column} AND (part.state IS NULL OR part.state = {state})
                    AND (part.low IS NULL OR {time} >= part.low) AND (part.high IS NULL OR {time} < part.high)
            )
        """

    @contextmanager
    def _parts(self, parts: Sequence[tuple[str, ChildPart]]) -> Iterator[None]:
        rows = [
            (parent, part.state, None if part.window.start == BEGINNING else part.window.start, None if part.window.end == END else part.window.end)
            for parent, part in parts
        ]
        self.connection.register("parts_read", pl.DataFrame(rows, schema=_PARTS_SCHEMA, orient="row"))
        try:
            yield
        finally:
            self.connection.unregister("parts_read")

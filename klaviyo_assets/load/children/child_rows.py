"""What is stored of the children of each parent: facts for planning, and comparisons with counts and complete reads."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
from duckdb import DuckDBPyConnection

from klaviyo_assets._internal.instants import from_microseconds
from klaviyo_assets.catalog.replication import CountCheck
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.decode import SYNCED_AT
from klaviyo_assets.load.children.group_rows import GroupRows
from klaviyo_assets.load.rows.upsert import parquet
from klaviyo_assets.load.schema.tables import DELETED_AT, Tables
from klaviyo_assets.state.coverage import BEGINNING, CoverageRow
from klaviyo_assets.state.parent_facts import RECENT, ParentFacts
from klaviyo_assets.warehouse.ddl import table_exists
from klaviyo_assets.warehouse.sql import key_columns, key_value, quoted


@dataclass(frozen=True)
class ParentCount:
    """Klaviyo's number of a parent's children.

    Attributes:
        count: The number.
        at: When it was requested, on Klaviyo's clock.
    """

    count: int
    at: datetime


@dataclass(frozen=True)
class CompleteRead:
    """Parents of which all children were read.

    Attributes:
        parents: Their ids.
        files: Staged files with the keys that were returned, among others.
    """

    parents: tuple[str, ...]
    files: tuple[Path, ...]


@dataclass(frozen=True)
class ChildRows:
    """The rows of one child type, in the caller's transaction.

    Args:
        connection: The database.
        tables: The tables of the child type.
    """

    connection: DuckDBPyConnection
    tables: Tables

    @property
    def _count_check(self) -> CountCheck | None:
        return self.tables.entry.replication.count_check

    def facts(self, ids: Iterable[str], now: datetime, changed_with: str | None = None) -> dict[str, ParentFacts]:
        """Return what is known about parents and their children.

        Args:
            ids: Ids of the parents.
            now: The server's clock.
            changed_with: Column of the parent's table with the time of its last change; None if it does not matter.
        """
        rows, parents = self._row_facts(now) if self._count_check is not None else {}, self._parent_facts(changed_with)
        if self.tables.entry.replication.groups is not None:
            parts = GroupRows(self.connection, self.tables).stored()
            return {id_: ParentFacts(parts=parts.get(id_, {})) for id_ in ids}
        return {id_: ParentFacts(**rows.get(id_, {}), **parents.get(id_, {})) for id_ in ids}

    def _row_facts(self, now: datetime) -> dict[str, dict[str, Any]]:
        removed = quoted(self.tables.entry.required_count_check.removed_column)
        found = self.connection.execute(
            f"""
            SELECT {self.tables.parent_column}, count(*) FILTER (WHERE {DELETED_AT} IS NULL),
                count(*) FILTER (WHERE {removed} >= ?),
                epoch_us(min({SYNCED_AT}) FILTER (WHERE {DELETED_AT} IS NULL)), count(*) FILTER (WHERE {self.are_outdated})
            FROM {self.tables.rows} GROUP BY ALL
            """,
            [now - RECENT],
        ).fetchall()
        return {
            id_: {"rows": rows, "removed": removed, "oldest": None if oldest is None else from_microseconds(oldest), "outdated": outdated}
            for id_, rows, removed, oldest, outdated in found
        }

    def _parent_facts(self, changed_with: str | None) -> dict[str, dict[str, Any]]:
        check, parent = self._count_check, self.tables.entry.required_parent
        columns = {
            "is_paused": f"coalesce({quoted(check.paused_while)}, false)" if check and check.paused_while else None,
            "is_frozen": f"NOT coalesce({quoted(check.active_while)}, true)" if check and check.active_while else None,
            "changed_at": f"epoch_us({quoted(changed_with)})" if changed_with else None,
        }
        wanted = {name: sql for name, sql in columns.items() if sql is not None}
        if not wanted:
            return {}
        table, id_column = self.tables.warehouse.qualified(self.tables.schema, parent.type_name), quoted(parent.entry.id_column or "id")
        rows = self.connection.execute(f"SELECT {id_column}, {', '.join(wanted.values())} FROM {table} WHERE {DELETED_AT} IS NULL").fetchall()
        facts = {id_: dict(zip(wanted, values, strict=True)) for id_, *values in rows}
        for one in facts.values():
            if one.get("changed_at") is not None:
                one["changed_at"] = from_microseconds(one["changed_at"])
        return facts

    @property
    def are_outdated(self) -> str:
        """SQL condition for rows whose own record (a profile that was deleted or merged) has been marked as deleted since they were read."""
        record_type = self._count_check.records if self._count_check is not None else None
        if record_type is None or not table_exists(self.connection, self.tables.schema, record_type):
            return "false"
        records = self.tables.warehouse.qualified(self.tables.schema, record_type)
        own, rows = quoted(self.tables.entry.id_column or "id"), self.tables.rows
        return (
            f"({rows}.{DELETED_AT} IS NULL AND {rows}.{own} IN (SELECT records.id FROM {records} AS records "
            f"WHERE records.{DELETED_AT} > {rows}.{SYNCED_AT}))"
        )

    def compare(self, counts: Mapping[str, ParentCount]) -> dict[str, bool | None]:
        """Return whether the number of stored children of parents equals Klaviyo's; None where that is not certain.

        A child that joined after the count was requested may have been one before and joined again. If there are such children, the count may be
        equal by chance: then it shows nothing.
        """
        if not counts:
            return {}
        (field,) = self.tables.entry.replication.cursor_fields
        frame = pl.DataFrame({"id": list(counts), "counted": [one.count for one in counts.values()], "at": [one.at for one in counts.values()]})
        self.connection.register("counted_parents", frame)
        later = f"{quoted(field)} > counted.at"
        stored = self.connection.execute(
            f"""
            SELECT counted.id, counted.counted,
                count({self.tables.parent_column}) FILTER (WHERE NOT coalesce({later}, false)), count(*) FILTER (WHERE {later})
            FROM counted_parents AS counted
            LEFT JOIN {self.tables.rows} ON {self.tables.parent_column} = counted.id AND {DELETED_AT} IS NULL AND NOT {self.are_outdated}
            GROUP BY ALL ORDER BY ALL
            """
        ).fetchall()
        self.connection.unregister("counted_parents")
        return {id_: _is_equal(counted, before, later) for id_, counted, before, later in stored}

    def missing(self, read: CompleteRead) -> dict[str, bool]:
        """Return the parents with rows that a complete read did not return, and whether it returned none at all of their children."""
        if not read.parents:
            return {}
        key = self.tables.entry.primary_key
        returned = parquet(read.files, key)
        self.connection.register("read_parents", pl.DataFrame({"id": list(read.parents)}, schema={"id": pl.String}))
        rows = self.connection.execute(
            f"""
            SELECT {self.tables.parent_column}, {self.tables.parent_column} NOT IN (SELECT {self.tables.parent_column} FROM {returned})
            FROM {self.tables.rows} WHERE {DELETED_AT} IS NULL AND {self.tables.parent_column} IN (SELECT id FROM read_parents)
                AND {key_value(key)} NOT IN (SELECT {key_columns(key)} FROM {returned})
            GROUP BY ALL ORDER BY ALL
            """
        ).fetchall()
        self.connection.unregister("read_parents")
        return dict(rows)

    def names_of(self, parent: ResourceType) -> dict[str, str]:
        """Return the names of the records of a type by id, ids for those without a name; none of deleted records or without a table."""
        if not table_exists(self.connection, self.tables.schema, parent.name):
            return {}
        table, id_ = self.tables.warehouse.qualified(self.tables.schema, parent.name), quoted(parent.id_column or "id")
        name = f"coalesce(name, {id_})" if any(column.name == "name" for column in parent.columns) else id_
        return dict(self.connection.execute(f"SELECT {id_}, {name} FROM {table} WHERE {DELETED_AT} IS NULL").fetchall())


def verified_coverage(entry: ResourceType, parents: Iterable[str], top: datetime, read_at: datetime, fingerprint: str) -> Sequence[CoverageRow]:
    """Return the coverage that records that the stored children of parents were verified."""
    column = entry.required_parent.column
    return [CoverageRow(entry.subsets[0].name, column, BEGINNING, top, read_at, fingerprint, parent=id_) for id_ in parents]


def _is_equal(counted: int, before: int, later: int) -> bool | None:
    """Compare a count with the children that joined before it, and those that joined later, of which any number may have been children before."""
    if not before <= counted <= before + later:
        return False
    return None if later else True

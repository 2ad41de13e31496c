"""Deletes the rows of a person and redacts their identifiers in other rows, in one transaction."""

import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import polars as pl
from duckdb import DuckDBPyConnection

from klaviyo_assets.catalog import Catalog
from klaviyo_assets.erasure.mentions import Mentions
from klaviyo_assets.erasure.resolve import SubjectResolver
from klaviyo_assets.erasure.subject import DataSubject
from klaviyo_assets.load.schema.tables import Tables
from klaviyo_assets.load.views.metric_views import MetricViews
from klaviyo_assets.marts.library import marts_schema
from klaviyo_assets.marts.people import conditions_about
from klaviyo_assets.privacy.hashing import Salt
from klaviyo_assets.state.changed_periods import ChangedPeriods
from klaviyo_assets.state.erasures import Erasures
from klaviyo_assets.state.sync_log import SyncLog
from klaviyo_assets.state.table_fingerprint import current_state
from klaviyo_assets.state.tombstones import Tombstones
from klaviyo_assets.warehouse.interface import Warehouse
from klaviyo_assets.warehouse.sql import changed_rows, count_rows, key_text, literal, quoted


@dataclass(frozen=True)
class Found:
    """What a table contained about a person.

    Attributes:
        table: Its name.
        rows: Rows about the person; they are deleted.
        mentions: Other rows that mention the person; the identifier is redacted.
    """

    table: str
    rows: int
    mentions: int


@dataclass(frozen=True)
class ErasedRows:
    """One erasure, inside a transaction.

    Args:
        connection: The database.
        warehouse: The same.
        schema: DuckDB schema.
        catalog: The resource types of all tables that syncs have filled.
        salt: Salt of the field rules.
        person: The person; identifiers that are found are added.

    Attributes:
        id: Id of the erasure.
        notes: What could not be identified and what was deliberately kept; set by :meth:`run`.
    """

    connection: DuckDBPyConnection
    warehouse: Warehouse
    schema: str
    catalog: Catalog
    salt: Salt | None
    person: DataSubject
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    notes: list[str] = field(default_factory=list)

    def run(self) -> Iterator[Found]:
        """Delete rows and redact mentions; yield what each table contained, once it is recorded.

        Raises:
            SyncError: If the rows of the person cannot be identified.
        """
        erasures = Erasures(self.connection, self.warehouse, self.schema)
        for found in self._erase():
            erasures.add(self.id, found.table, deleted=found.rows, redacted=found.mentions)
            yield found

    def _erase(self) -> Iterator[Found]:
        resolver = SubjectResolver(self.connection, self.warehouse, self.schema, self.catalog, self.salt, self.person, self._columns)
        known = resolver.look_up()
        self.notes.extend(resolver.notes)
        if self.person.ids:
            self._tombstones.add_ids(self.person.ids)
        yield from self._drop_rebuilt(resolver)
        mentions = self.person.mentions(known)
        if mentions.any_identifier:
            MetricViews(self.connection, self.warehouse, self.schema).forget(lambda name: mentions.redacted(name) != name)
        for table, columns in sorted(self._columns.items()):
            rows = self._delete_rows(table, resolver.is_about_subject(table)) if table in self.catalog else 0
            redacted = self._redact(table, columns, mentions) if mentions.any_identifier else 0
            if rows or redacted:
                yield Found(table, rows, redacted)
        yield from replace(self, schema=marts_schema(self.schema), catalog=Catalog([]))._erase_marts(mentions)

    def _erase_marts(self, mentions: Mentions) -> Iterator[Found]:
        """Delete the person's rows from the tables of the marts and redact mentions in others, which a user's own model may have.

        What they add up, such as orders by day, counts the person until the next build.
        """
        for table, columns in sorted(self._columns.items()):
            qualified, found = self.warehouse.qualified(self.schema, table), 0
            for condition in conditions_about(table, columns, self.person.ids):
                found += changed_rows(self.connection, f"DELETE FROM {qualified} WHERE {condition}", ())
            redacted = self._redact(table, columns, mentions) if mentions.any_identifier else 0
            if found or redacted:
                yield Found(f"{self.schema}.{table}", found, redacted)

    @property
    def _tombstones(self) -> Tombstones:
        return Tombstones(self.connection, self.warehouse, self.schema)

    @cached_property
    def _columns(self) -> dict[str, dict[str, str]]:
        """Types of the columns that may contain text, by table. Generated columns are left out: they follow their source columns."""
        rows = self.connection.execute(
            "SELECT table_name, column_name, data_type, t.sql FROM duckdb_columns() AS c JOIN duckdb_tables() AS t "
            "USING (database_name, schema_name, table_name) WHERE database_name = current_database() "
            f"AND lower(schema_name) = lower({literal(self.schema)}) AND data_type IN ('VARCHAR', 'JSON', 'VARCHAR[]') ORDER BY ALL"
        ).fetchall()
        tables: dict[str, dict[str, str]] = {}
        for table, column, type_, definition in rows:
            if not _is_generated(column, type_, definition or ""):
                tables.setdefault(table, {})[column] = type_
        return tables

    def _drop_rebuilt(self, resolver: SubjectResolver) -> Iterator[Found]:
        """Drop tables of interrupted full reads. No sync is running, and the next full read starts over."""
        for entry in self.catalog.values():
            tables = Tables(self.warehouse, self.schema, entry)
            if tables.rebuilt_name in self._columns:
                ((rows,),) = self.connection.execute(
                    f"SELECT count(*) FROM {tables.rebuilt} WHERE {resolver.is_about_subject(tables.rebuilt_name)}"
                ).fetchall()
                self.connection.execute(f"DROP TABLE {tables.rebuilt}")
                del self._columns[tables.rebuilt_name]
                if rows:
                    yield Found(tables.rebuilt_name, rows, 0)

    def _delete_rows(self, table: str, condition: str) -> int:
        qualified = self.warehouse.qualified(self.schema, table)
        entry = self.catalog[table]
        rows = self.connection.execute(f"SELECT {key_text(entry.primary_key)} FROM {qualified} WHERE {condition}").fetchall()
        if rows and entry.profile_column is None:
            self._tombstones.add_ids({id_ for (id_,) in rows})
        if rows:
            self._note_periods(table, f"{qualified} WHERE {condition}")
        self.connection.execute(f"DELETE FROM {qualified} WHERE {condition}")
        if rows:
            log = SyncLog(self.connection, self.warehouse, self.schema)
            log.correct_table_state(table, current_state(self.connection, qualified))
        return len(rows)

    def _redact(self, table: str, columns: dict[str, str], mentions: Mentions) -> int:
        """Redact the person's identifiers in other rows; return the number of rows changed."""
        key = self.catalog[table].primary_key if table in self.catalog else ()
        qualified = self.warehouse.qualified(self.schema, table)
        self._note_kept_names(table, qualified, [name for name in key if name in columns], mentions)
        replaced = [name for name, type_ in columns.items() if name not in key and self._find_replaced(qualified, name, type_, mentions)]
        if not replaced:
            return 0
        touched = " OR ".join(f"{quoted(name)} IN (SELECT old FROM {_replaced(name)})" for name in replaced)
        rows = count_rows(self.connection, f"FROM {qualified} WHERE {touched}")
        self._note_periods(table, f"{qualified} WHERE {touched}")
        for name in replaced:
            self.connection.execute(
                f"UPDATE {qualified} AS t SET {quoted(name)} = replaced.new FROM {_replaced(name)} AS replaced WHERE t.{quoted(name)} = replaced.old"
            )
            self.connection.execute(f"DROP TABLE {_replaced(name)}")
        return rows

    def _note_periods(self, table: str, rows: str) -> None:
        """Record the times of rows that change, for the partitions in Dagster: by quarters of an hour, since their time zone is not known here."""
        periods = ChangedPeriods(self.connection, self.warehouse, self.schema)
        field = self.catalog[table].period_field if table in self.catalog else None
        if field is not None and periods.exists:
            periods.add_quarters(table, periods.quarters_of(rows, field), self.id)

    def _find_replaced(self, table: str, column: str, type_: str, mentions: Mentions) -> bool:
        """Collect the texts of a column that mention the person, with their replacements; return whether there are any."""
        changed = self._redacted_texts(table, column, type_, mentions)
        if changed.height:
            self.connection.register("found_texts", changed)
            columns = f"SELECT old::{type_} AS old, new::{type_} AS new FROM found_texts"
            self.connection.execute(f"CREATE OR REPLACE TEMP TABLE {_replaced(column)} AS {columns}")
            self.connection.unregister("found_texts")
        return bool(changed.height)

    def _redacted_texts(self, table: str, column: str, type_: str, mentions: Mentions) -> pl.DataFrame:
        """Return the texts of a column that mention the person (``old``) and their replacements (``new``)."""
        name = quoted(column)
        frame: pl.DataFrame = self.connection.sql(
            f"SELECT DISTINCT {name} AS old FROM {table} WHERE regexp_matches({name}::VARCHAR, {literal(mentions.candidate)}, 'i')"
        ).pl()
        change = mentions.redacted_json if type_ == "JSON" else mentions.redacted
        new = [_changed(value, change) for value in frame["old"]]
        return frame.with_columns(pl.Series("new", new, dtype=frame["old"].dtype)).filter(pl.col("old").ne_missing(pl.col("new")))

    def _note_kept_names(self, table: str, qualified: str, key: Sequence[str], mentions: Mentions) -> None:
        """Add a note about identifiers in a primary key: they are not redacted, since the next sync would add the row again under its own key."""
        if table not in self.catalog or self.catalog[table].profile_column is not None:
            return  # then rows with the person's id are deleted
        for name in key:
            if self._redacted_texts(qualified, name, self._columns[table][name], mentions).height:
                self.notes.append(
                    f"The primary key of the {table} table names the person in the column {name}; these rows stay, since nothing says that they are "
                    f"about this profile. If they are, set subject_column of the resource type {table} and erase again, or delete them."
                )


def _replaced(column: str) -> str:
    """Return the name of the temporary table with the texts of a column and their replacements."""
    return f"temp.{quoted(f'replaced_in_{column}')}"


def _is_generated(column: str, type_: str, definition: str) -> bool:
    """Return whether a column is generated. Only DuckDB 2 lists that in its catalog, so this reads the table's definition."""
    return any(f"{before}{name} {type_} GENERATED ALWAYS AS" in definition for before in ("(", ", ") for name in (column, quoted(column)))


def _changed(value: str | Iterable[str | None], change: Callable[[str], str]) -> str | list[str | None]:
    if isinstance(value, str):
        return change(value)
    return [None if one is None else change(one) for one in value]

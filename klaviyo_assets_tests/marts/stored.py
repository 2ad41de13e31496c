"""An account as syncs have stored it: tables with rows that a test defines, and the log of the syncs."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import duckdb
from duckdb import DuckDBPyConnection

from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.load.loader import Loader
from klaviyo_assets.marts.library import Models, marts_schema
from klaviyo_assets.marts.mart_runner import MartRunner
from klaviyo_assets.marts.results import ModelResult
from klaviyo_assets.marts.run_context import read_run_context
from klaviyo_assets.marts.sources import Sources
from klaviyo_assets.state.sync_log import SyncLog, SyncLogEntry
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets.warehouse.interface import Warehouse

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
SCHEMA = "klaviyo"

Rows = list[tuple[Any, ...]]


class KeptOpen(Warehouse):
    """A DuckDB file that stays open between two connections: opening it takes longer than the work of most tests."""

    capabilities = LocalFile.capabilities

    def __init__(self, path: Path) -> None:
        self.path, self._kept = path, duckdb.connect(str(path))

    def close(self) -> None:
        self._kept.close()

    @property
    def state_dir(self) -> Path:
        folder = self.path.with_suffix(".state")
        folder.mkdir(exist_ok=True)
        return folder

    @contextmanager
    def connection(self) -> Iterator[DuckDBPyConnection]:
        with self._kept.cursor() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            ((self.database,),) = connection.execute("SELECT current_database()").fetchall()
            yield connection


class StoredAccount:
    """Writes rows as syncs do: with ``_synced_at``, and a row of ``_syncs`` for each sync.

    Args:
        warehouse: The database.
        tables: Resource types whose tables are created, besides events; none if they exist.
    """

    def __init__(self, warehouse: Warehouse, *tables: str) -> None:
        self.warehouse, self.now = warehouse, START
        if not tables:
            return
        for name in dict.fromkeys(("events", *tables)):
            loader = Loader(warehouse, CATALOG[name], SCHEMA)
            row = SyncLogEntry(uuid4().hex, name, "unknown", "incremental", self.now, None)
            loader.begin(row)
            loader.end(row, self.now)

    def sync(
        self, rows: Mapping[str, Sequence[Mapping[str, Any]]], *, mode: str = "incremental", outcome: str = "succeeded", read: datetime | None = None
    ) -> None:
        """Write rows as one sync per table does, in place of those with the same id.

        Args:
            rows: Rows by table; a column with a dictionary or list of dictionaries is JSON.
            mode: The syncs' mode.
            outcome: How they end; ``running`` for not at all.
            read: When the rows were read; when the sync began by default. Earlier if an interrupted sync has staged them.
        """
        self.now += timedelta(minutes=10)
        with self.warehouse.transaction() as connection:
            for table, records in rows.items():
                target = self.warehouse.qualified(SCHEMA, table)
                log = SyncLog(connection, self.warehouse, SCHEMA)
                entry = SyncLogEntry(uuid4().hex, table, "unknown", mode, self.now, None)
                log.insert(entry)
                for record in records:
                    values = {"_synced_at": read or self.now, **record}
                    connection.execute(f"DELETE FROM {target} WHERE id = ?", [record["id"]])
                    columns, marks = ", ".join(values), ", ".join("?" for _ in values)
                    connection.execute(f"INSERT INTO {target} ({columns}) VALUES ({marks})", [_stored(value) for value in values.values()])
                if outcome != "running":
                    entry.outcome, entry.finished_at, entry.rows_inserted = outcome, self.now + timedelta(minutes=1), len(records)
                    log.update(entry)

    def execute(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Run a statement in the raw tables' schema and return its rows."""
        with self.warehouse.connection() as connection:
            connection.execute(f'SET search_path = \'"{self.warehouse.database}"."{SCHEMA}"\'')
            return connection.execute(sql, list(parameters)).fetchall()

    def build(self, models: Models, names: Sequence[str] | None = None, **options: Any) -> dict[str, ModelResult]:
        """Build models, fail if one fails, and return the results by name."""
        results = {result.model: result for result in MartRunner(self.warehouse, SCHEMA, models).run(names, now=self.now, **options)}
        for result in results.values():
            result.raise_if_failed()
        return results

    def rows(self, model: str, columns: str = "*") -> list[tuple[Any, ...]]:
        """Return the rows of a model's table, sorted."""
        with self.warehouse.connection() as connection:
            return connection.execute(f"SELECT {columns} FROM {self.warehouse.qualified(marts_schema(SCHEMA), model)} ORDER BY ALL").fetchall()

    def built_and_computed(
        self, models: Models, names: Sequence[str] | None = None
    ) -> dict[str, tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]]:
        """Return, by model, the rows of its table and those that its statement returns now, both sorted."""
        with self.warehouse.connection() as connection:
            context = read_run_context(connection, self.warehouse, SCHEMA, self.now)
            sources = Sources.of(connection, self.warehouse, SCHEMA, models, CATALOG, context)
            chosen = {name: models[name] for name in (models if names is None else names)}
            sources.create_views({source for model in chosen.values() for source in model.sources})
            return {
                name: (
                    connection.execute(f"FROM {sources.table(name)} ORDER BY ALL").fetchall(),
                    connection.execute(f"SELECT * FROM (\n{model.sql}) ORDER BY ALL").fetchall(),
                )
                for name, model in chosen.items()
            }


def _stored(value: object) -> object:
    is_json = isinstance(value, Mapping) or (isinstance(value, list) and any(isinstance(one, Mapping) for one in value))
    return json.dumps(value) if is_json else value

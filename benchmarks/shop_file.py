"""Writes a generated shop into DuckDB files with this library's own tables, and a day of new events as a sync loads it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4

import duckdb
from dagster_duckdb import DuckDBResource
from duckdb import DuckDBPyConnection

from benchmarks.measuring import cpu_seconds
from benchmarks.shop_events import BLOCK, END, Shop, statements
from klaviyo_assets.catalog import CATALOG, EVENTS
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.decode import EXTRA, SYNCED_AT
from klaviyo_assets.load.batch import Batch
from klaviyo_assets.load.loader import Loader
from klaviyo_assets.load.rows.computed import with_computed
from klaviyo_assets.state.sync_log import SyncLogEntry
from klaviyo_assets.warehouse.local_file import LocalFile
from klaviyo_assets.warehouse.tuning import CONNECTION_CONFIG

SCHEMA = "klaviyo"
RAW = replace(EVENTS, columns=tuple(EVENTS.received_columns), sorted_by=())
"""Events as they were stored before they had typed columns and were sorted: the JSON of their properties only."""

_PART = 500_000
_TYPES = ("events", "profiles", "metrics", "campaigns", "campaign_messages", "flows", "flow_messages", "accounts")


def warehouse(path: Path) -> LocalFile:
    """Return a database with the settings of a sync."""
    return LocalFile(DuckDBResource(database=str(path), connection_config=dict(CONNECTION_CONFIG)))


def write(shop: Shop, raw: Path, typed: Path) -> tuple[float, float, int]:
    """Write the same shop into two files, without and with typed columns.

    Returns:
        CPU seconds to write the events into the first and the second file, and the number of events.
    """
    for path in (raw, typed):
        for name in _TYPES:
            _prepare(path, RAW if name == EVENTS.name and path == raw else CATALOG[name])
    seconds = {raw: 0.0, typed: 0.0}
    parts = max(shop.events // _PART, 1)
    with duckdb.connect(config={"threads": 2, "memory_limit": "4GB"}) as connection:
        _begin(connection)
        for number, path in enumerate((raw, typed)):
            connection.execute(f"ATTACH '{path}' AS file{number}")
            for name, rows in shop.tables().items():
                _insert(connection, f"file{number}", name, f"(SELECT *, TIMESTAMPTZ '{END}' AS {SYNCED_AT} FROM ({rows}))")
        # Newest first, as a first sync loads its windows.
        for part in reversed(range(parts)):
            connection.execute(f"CREATE OR REPLACE TEMP TABLE part AS {_complete(shop.part(part, parts), END)}")
            for number, path in enumerate((raw, typed)):
                order = "block DESC, datetime" if path == raw else "block DESC, metric_id, datetime"
                rows = f"(SELECT * EXCLUDE (block) FROM part ORDER BY {order})"
                began = cpu_seconds()
                _insert(connection, f"file{number}", EVENTS.name, rows if path == raw else with_computed(EVENTS, rows))
                connection.execute(f"CHECKPOINT file{number}")
                seconds[path] += cpu_seconds() - began
        count = connection.execute(f"SELECT count(*) FROM file1.{SCHEMA}.events").fetchall()[0][0]
    return seconds[raw], seconds[typed], count


def load_next_day(shop: Shop, typed: Path, into: Path) -> int:
    """Load the events of the day after the history as a sync does, and return their number."""
    now = END + timedelta(days=1)
    files = _stage(shop, now, into)
    loader, row = _loader(typed, EVENTS, now)
    loader.load(Batch(tuple(files), ()), row)
    loader.end(row, now)
    return loader.progress.counts.inserted


def _stage(shop: Shop, now: datetime, into: Path) -> Sequence[Path]:
    files = []
    with duckdb.connect(config={"threads": 2}) as connection:
        _begin(connection)
        connection.execute(
            f"CREATE TABLE part AS SELECT *, row_number() OVER (ORDER BY datetime) // {BLOCK} AS file FROM ({_complete(shop.next_day(), now)})"
        )
        for (number,) in connection.execute("SELECT DISTINCT file FROM part ORDER BY file").fetchall():
            files.append(into / f"day-{number}.parquet")
            rows = f"SELECT * EXCLUDE (block, file) FROM part WHERE file = {number} ORDER BY metric_id, datetime"
            connection.execute(f"COPY ({rows}) TO '{files[-1]}' (FORMAT parquet)")
    return files


def _begin(connection: DuckDBPyConnection) -> None:
    connection.execute("SET TimeZone = 'UTC'")
    for statement in statements():
        connection.execute(statement)


def _complete(events: str, synced_at: datetime) -> str:
    """Return SQL for generated events with all columns of a staged file, and their block."""
    generated = {
        "id",
        "datetime",
        "timestamp",
        "uuid",
        "event_properties",
        "profile_id",
        "metric_id",
        "attributed_event_id",
        "attributed_campaign_id",
    }
    missing = [f'NULL::{column.type} AS "{column.name}"' for column in EVENTS.received_columns if column.name not in generated]
    return f"SELECT *, {', '.join(missing)}, NULL::JSON AS {EXTRA}, TIMESTAMPTZ '{synced_at}' AS {SYNCED_AT} FROM ({events})"


def _insert(connection: DuckDBPyConnection, file: str, name: str, rows: str) -> None:
    connection.execute(f"INSERT INTO {file}.{SCHEMA}.{name} BY NAME SELECT * FROM {rows}")


def _prepare(path: Path, entry: ResourceType) -> None:
    """Create a table, and log a sync that has filled it."""
    loader, row = _loader(path, entry, END)
    loader.end(row, END)


def _loader(path: Path, entry: ResourceType, now: datetime) -> tuple[Loader, SyncLogEntry]:
    loader, row = Loader(warehouse(path), entry, SCHEMA), SyncLogEntry(uuid4().hex, entry.name, "ABC123", "incremental", now, None)
    loader.begin(row)
    return loader, row

"""Any number of wide rows is rewritten and carried over within DuckDB's memory limit, and migrated a few at a time."""

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from dagster_duckdb import DuckDBResource

from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.catalog.columns import ColumnType
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.decode import PageDecoder
from klaviyo_assets.load.batch import Batch
from klaviyo_assets.load.loader import Loader
from klaviyo_assets.load.migrations import change_type, promote_extra
from klaviyo_assets.load.parts import row_ranges as module
from klaviyo_assets.load.parts.divide import load_and_finish
from klaviyo_assets.load.parts.row_ranges import RowRange, row_ranges, transactions_of
from klaviyo_assets.load.rows.null_rate_recorder import NullRateRecorder
from klaviyo_assets.load.schema.tables import Tables
from klaviyo_assets.privacy.apply import FieldRuleSet, rule_sets_for
from klaviyo_assets.staging.manifest import new_manifest
from klaviyo_assets.staging.staging import Staging
from klaviyo_assets.state.sync_log import SyncLogEntry
from klaviyo_assets.warehouse import LocalFile, wide_tables
from klaviyo_assets.warehouse.interface import WarehouseError
from klaviyo_assets_tests.accounts import local_file, query

pytestmark = [pytest.mark.duckdb, pytest.mark.long]

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SIZE = 500_000
"""Bytes of a row."""

LIMIT = "26MiB"
ROWS = 48
"""Number of rows; together they are as large as DuckDB's memory limit."""

COMPUTING_LIMIT, COMPUTING_ROWS = "56MiB", 112
"""The same where columns are computed from the JSON of the rows, for which DuckDB 1.5 needs some 30 MiB, however many rows there are."""

EVENTS = CATALOG["events"]


def wide_text(number: int) -> str:
    return random.Random(number).randbytes(SIZE // 2).hex()


class SmallDatabase:
    """A database with little memory, and a table with wide rows."""

    def __init__(self, folder: Path, entry: ResourceType = EVENTS, limit: str = LIMIT) -> None:
        self.folder = folder
        self.warehouse = LocalFile(DuckDBResource(database=str(folder / "klaviyo.duckdb"), connection_config={"memory_limit": limit}))
        self.without_limit = local_file(folder)
        self.entry = entry
        self.row = SyncLogEntry("a-sync", entry.name, "unknown", "incremental", NOON, None)
        self.loader = Loader(self.warehouse, entry, "klaviyo")
        self.loader.begin(self.row)

    def stage(self, numbers: Sequence[int]) -> Batch:
        """Stage wide rows with these ids."""
        manifest = new_manifest(sync_id="s", resource_type="events", account_id="unknown", fingerprint="f", read_at=NOON, resumable=True)
        staging = Staging(self.folder / "staged", manifest)
        for number in numbers:
            record = f'{{"id":"{number:03}","attributes":{{"event_properties":{{"note":"{wide_text(number)}"}}}}}}'
            staging.add_lookup(PageDecoder(self.entry).page(f'{{"data":[{record}]}}'.encode()).stamped(NOON))
            if number % 4 == 3:
                staging.write()
        staging.write()
        return staging.batch()

    def fill(self, rows: int = ROWS, column: str = "event_properties", value: str = '{"secret":1,"note":"%s"}') -> None:
        """Insert wide rows, four per transaction."""
        with self.without_limit.connection() as connection:
            table = self.without_limit.qualified("klaviyo", "events")
            for first in range(0, rows, 4):
                records = [(f"{number:03}", value % wide_text(number)) for number in range(first, first + 4)]
                connection.execute("BEGIN TRANSACTION")
                connection.executemany(f"INSERT INTO {table} (id, datetime, {column}) VALUES (?, '2026-01-01', ?)", records)
                connection.execute("COMMIT")

    def upgrade(self, entry: ResourceType) -> None:
        """Begin a sync with another version of the catalog."""
        Loader(self.without_limit, entry, "klaviyo").begin(replace(self.row, id="b-sync"))


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SmallDatabase:
    for one in (module, wide_tables):
        monkeypatch.setattr(one, "MAX_WIDE_BYTES", 4 * SIZE)
    monkeypatch.setattr(module, "BYTES_PER_RANGE", 4 * SIZE)
    return SmallDatabase(tmp_path)


@pytest.fixture
def computing(small: SmallDatabase) -> SmallDatabase:
    """A database in which columns are computed from the JSON of wide rows."""
    return SmallDatabase(small.folder, limit=COMPUTING_LIMIT)


def test_a_full_sync_carries_over_wide_rows_that_were_not_returned(small: SmallDatabase) -> None:
    small.fill(2 * ROWS)
    small.loader.create_rebuilt()
    small.loader.load(small.stage([900]), small.row, rebuilt=True)

    small.loader.swap(small.row, (), None, NOON)

    assert query(
        small.without_limit, f"SELECT count(*), count(_deleted_at), sum(strlen(event_properties::VARCHAR)) > {2 * ROWS * SIZE} FROM events"
    ) == [(2 * ROWS + 1, 2 * ROWS, True)]
    assert vars(small.loader.progress.counts) == {"inserted": 1, "updated": 0, "deleted": 2 * ROWS}
    assert small.row.outcome == "succeeded"


def test_a_new_field_rule_rewrites_wide_rows(computing: SmallDatabase) -> None:
    computing.fill(COMPUTING_ROWS)
    rules = rule_sets_for({"events": {"event_properties.secret": "drop"}})["events"]

    assert computing.loader.apply_rules(rules, str, computing.row) == (True, COMPUTING_ROWS)

    assert query(
        computing.without_limit, "SELECT count(*), count(event_properties ->> 'note'), count(event_properties ->> 'secret') FROM events"
    ) == [(COMPUTING_ROWS, COMPUTING_ROWS, 0)]
    assert computing.loader.apply_rules(rules, str, computing.row) == (False, 0)


def test_coverage_does_not_count_while_a_rule_is_applied_in_parts(computing: SmallDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    computing.fill(24)  # some ranges more than are rewritten before the interruption
    query(computing.without_limit, "INSERT INTO _coverage (resource_type, fingerprint) VALUES ('events', 'read with None')")
    rules = rule_sets_for({"events": {"event_properties.secret": "drop"}})["events"]

    def fingerprint(rules: str | None) -> str:
        return f"read with {rules}"

    with monkeypatch.context() as patch:
        calls, apply = iter(range(3)), FieldRuleSet.apply

        def apply_three_times(self: FieldRuleSet, frame: pl.DataFrame, **options: bool) -> pl.DataFrame:
            if next(calls, None) is None:
                raise KeyboardInterrupt
            return apply(self, frame, **options)

        patch.setattr(FieldRuleSet, "apply", apply_three_times)
        with pytest.raises(KeyboardInterrupt):
            computing.loader.apply_rules(rules, fingerprint, computing.row)
    ((found,),) = query(computing.without_limit, "SELECT fingerprint FROM _coverage")
    assert found != "read with None", "if the rule is removed now, everything must be read again"
    assert query(computing.without_limit, "SELECT count(*) FROM events WHERE event_properties ->> 'secret' IS NULL") == [(9,)]

    computing.loader.apply_rules(rules, fingerprint, computing.row)
    assert query(computing.without_limit, "SELECT fingerprint FROM _coverage") == [(fingerprint(rules.fingerprint),)]


def test_null_rates_read_the_latest_rows_without_a_join(small: SmallDatabase) -> None:
    """A join reads the whole table, and combines the wide rows of many small row groups until they exceed the memory limit."""
    small.fill(4)
    with small.without_limit.connection() as connection:
        latest = NullRateRecorder(connection, Tables(small.without_limit, "klaviyo", EVENTS))._latest_rows
        ((_, plan),) = connection.execute(f"EXPLAIN SELECT count(event_properties) FROM {latest}").fetchall()

    assert "JOIN" not in plan.upper()


@pytest.fixture
def ranges(monkeypatch: pytest.MonkeyPatch) -> list[RowRange]:
    """The ranges of rows that a migration reads into memory, one after another."""
    found: list[RowRange] = []

    def recorded(*arguments: Any) -> list[RowRange]:
        returned = row_ranges(*arguments)
        found.extend(returned)
        return returned

    for one in (change_type, promote_extra):
        monkeypatch.setattr(one, "row_ranges", recorded)
    return found


def test_wide_values_move_from_extra_into_a_new_column_in_small_ranges(small: SmallDatabase, ranges: list[RowRange]) -> None:
    small.fill(column="_extra", value='{"story":"%s"}')
    story = replace(next(one for one in EVENTS.columns if one.name == "uuid"), name="story", path=("attributes", "story"))

    small.upgrade(replace(EVENTS, columns=(*EVENTS.columns, story)))

    assert query(small.without_limit, "SELECT count(story), count(_extra) FROM events") == [(ROWS, 0)]
    assert len(ranges) >= ROWS // 4
    assert all(one.bytes <= 4 * SIZE for one in ranges)


def test_wide_values_that_do_not_fit_a_new_type_move_to_extra_in_small_ranges(small: SmallDatabase, ranges: list[RowRange]) -> None:
    small.fill(column="uuid", value="%s")
    columns = tuple(replace(one, type=ColumnType.INTEGER) if one.name == "uuid" else one for one in EVENTS.columns)

    small.upgrade(replace(EVENTS, columns=columns))

    assert query(small.without_limit, "SELECT count(uuid), count(_extra) FROM events") == [(0, ROWS)]
    assert len(ranges) >= ROWS // 4
    assert all(one.bytes <= 4 * SIZE for one in ranges)


def test_a_complete_read_is_loaded_in_parts_if_memory_runs_out(small: SmallDatabase) -> None:
    batch = small.stage(range(2 * ROWS))

    def finish(part: Batch) -> None:
        small.loader.comparison(small.row).finish_whole(part, [], NOON)

    with pytest.raises(WarehouseError, match="ran out of memory"):
        finish(batch)
    load_and_finish(lambda part: small.loader.load(part, small.row), finish, batch)

    assert query(small.without_limit, "SELECT count(*) FROM events") == [(2 * ROWS,)]
    assert (small.row.outcome, small.row.rows_inserted) == ("succeeded", 2 * ROWS)


def test_ranges_are_bounded_by_rows_and_by_bytes(warehouse: LocalFile) -> None:
    with warehouse.connection() as connection:
        connection.execute(
            "CREATE TABLE t AS SELECT i AS id, repeat('x', CASE WHEN i BETWEEN 6000 AND 6003 THEN 40000 ELSE 10 END) AS text FROM range(9000) AS r(i)"
        )
        found = row_ranges(connection, "(SELECT rowid AS place, text FROM t)", ["text"], max_rows=5_000, max_bytes=50_000)
        everything = row_ranges(connection, "(SELECT rowid AS place, text FROM t)", ["text"])

    assert sum(one.rows for one in found) == 9_000
    assert [one.last + 1 for one in found[:-1]] == [one.first for one in found[1:]]
    assert all(one.rows <= 5_000 and (one.bytes <= 50_000 or one.rows == 1) for one in found)
    assert sum(one.wide for one in found) == 4 * 40_000
    assert [(one.first, one.last, one.rows) for one in everything] == [(0, 8_999, 9_000)]
    assert transactions_of(found) == [found]

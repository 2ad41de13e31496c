"""A sync looks for missing computed values where it begins, and opens the database again only if there are some."""

from pathlib import Path

import pytest

from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.load.loader import Loader
from klaviyo_assets.state.sync_log import SyncLogEntry
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import local_file, query
from klaviyo_assets_tests.load.loads import NOON, Loads

pytestmark = pytest.mark.duckdb

ORDER = {"id": "A", "metric_id": "M", "datetime": NOON, "event_properties": '{"$value": 12.5}'}


def begun(warehouse: LocalFile, name: str = "events") -> Loader:
    loader = Loader(warehouse, CATALOG[name], "klaviyo")
    loader.begin(SyncLogEntry("b-sync", name, "unknown", "incremental", NOON, None))
    return loader


@pytest.mark.parametrize("name", [name for name, entry in CATALOG.items() if entry.computed_columns or name == "lists"])
def test_a_new_table_needs_no_computation(warehouse: LocalFile, name: str) -> None:
    assert not begun(warehouse, name).begun.needs_recompute
    assert not begun(warehouse, name).begun.needs_recompute, "nor in the next sync"


@pytest.mark.parametrize("lost", ["_computed_columns", "_properties"])
def test_rows_of_which_nothing_is_recorded_are_computed_at_the_next_sync(tmp_path: Path, lost: str) -> None:
    warehouse = local_file(tmp_path, "shop.duckdb")
    Loads(warehouse, tmp_path, "events")([ORDER])
    query(warehouse, f"DROP TABLE {lost}")

    loader = begun(warehouse)
    assert loader.begun.needs_recompute
    loader.recompute(SyncLogEntry("b-sync", "events", "unknown", "incremental", NOON, None))

    assert not begun(warehouse).begun.needs_recompute
    assert query(warehouse, "SELECT value FROM events") == [(12.5,)]
    assert query(warehouse, "SELECT property, kind FROM _properties") == [("$value", "number")]


def test_the_database_is_not_opened_to_compute_nothing(warehouse: LocalFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Loads(warehouse, tmp_path, "events")([ORDER])
    loader = begun(warehouse)
    monkeypatch.setattr(LocalFile, "connection", lambda _: pytest.fail("the database was opened"))

    assert loader.recompute(SyncLogEntry("b-sync", "events", "unknown", "incremental", NOON, None)) == ([], 0)

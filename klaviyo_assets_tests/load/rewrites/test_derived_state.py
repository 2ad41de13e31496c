"""A sync looks for missing computed values where it begins, and opens the database again only if there are some."""

from pathlib import Path

import pytest

from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.load.loader import Loader
from klaviyo_assets.privacy.apply import rule_sets_for
from klaviyo_assets.state.metric_view_names import Properties, Property
from klaviyo_assets.state.sync_log import SyncLogEntry
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import local_file, query
from klaviyo_assets_tests.load.loads import NOON, Loads

pytestmark = pytest.mark.duckdb

ORDER = {"id": "A", "metric_id": "M", "datetime": NOON, "event_properties": '{"$value": 12.5}'}


@pytest.fixture
def shop(tmp_path: Path) -> LocalFile:
    """A database that can have views of metrics: its name is not that of the schema."""
    return local_file(tmp_path, "shop.duckdb")


def begun(warehouse: LocalFile, name: str = "events") -> Loader:
    loader = Loader(warehouse, CATALOG[name], "klaviyo")
    loader.begin(SyncLogEntry("b-sync", name, "unknown", "incremental", NOON, None))
    return loader


@pytest.mark.parametrize("name", [name for name, entry in CATALOG.items() if entry.computed_columns or name == "lists"])
def test_a_new_table_needs_no_computation(warehouse: LocalFile, name: str) -> None:
    assert not begun(warehouse, name).begun.needs_recompute
    assert not begun(warehouse, name).begun.needs_recompute, "nor in the next sync"


@pytest.mark.parametrize(
    "loss",
    [
        "DROP TABLE _computed_columns",
        "DELETE FROM _computed_columns",
        "DROP TABLE _properties",
        "DELETE FROM _properties",
        "ALTER TABLE events DROP COLUMN value",
        "ALTER TABLE events DROP COLUMN value; ALTER TABLE events ADD COLUMN value VARCHAR",
    ],
)
def test_rows_of_which_nothing_is_recorded_are_computed_at_the_next_sync(shop: LocalFile, tmp_path: Path, loss: str) -> None:
    Loads(shop, tmp_path, "events")([ORDER])
    query(shop, loss)

    begun(shop)  # and is interrupted
    loader = begun(shop)
    assert loader.begun.needs_recompute
    loader.recompute(SyncLogEntry("b-sync", "events", "unknown", "incremental", NOON, None))

    assert not begun(shop).begun.needs_recompute
    assert query(shop, "SELECT value FROM events") == [(12.5,)]
    assert query(shop, "SELECT property, kind FROM _properties") == [("$value", "number")]


def test_the_database_is_not_opened_to_compute_nothing(warehouse: LocalFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Loads(warehouse, tmp_path, "events")([ORDER])
    loader = begun(warehouse)
    monkeypatch.setattr(LocalFile, "connection", lambda _: pytest.fail("the database was opened"))

    assert loader.recompute(SyncLogEntry("b-sync", "events", "unknown", "incremental", NOON, None)) == ([], 0)


def test_events_without_properties_need_no_computation(shop: LocalFile, tmp_path: Path) -> None:
    """Though nothing is recorded of their properties."""
    Loads(shop, tmp_path, "events")([ORDER | {"event_properties": "{}"}, ORDER | {"id": "B", "event_properties": None}])

    assert query(shop, "SELECT count(*) FROM _properties") == [(0,)]
    assert not begun(shop).begun.needs_recompute


def test_a_column_of_another_version_is_forgotten(shop: LocalFile, tmp_path: Path) -> None:
    """That version would find it filled, but not in the rows that this one writes."""
    Loads(shop, tmp_path, "events")([ORDER])
    query(shop, "INSERT INTO _computed_columns VALUES ('events', 'of_a_later_version', 'a'), ('profiles', 'of_a_later_version', 'a')")

    assert not begun(shop).begun.needs_recompute
    assert query(shop, "SELECT resource_type FROM _computed_columns WHERE column_name = 'of_a_later_version'") == [("profiles",)]


def test_rules_that_change_while_the_profile_is_missing_leave_it_to_the_recompute(shop: LocalFile, tmp_path: Path) -> None:
    """The rules rewrite some rows only, and a profile of these would look like that of all rows."""
    Loads(shop, tmp_path, "events")([ORDER, ORDER | {"id": "B", "metric_id": "N", "event_properties": '{"size": 4}'}])
    query(shop, "DROP TABLE _properties")
    row = SyncLogEntry("b-sync", "events", "unknown", "incremental", NOON, None)
    rules = rule_sets_for({"events": {"event_properties.$value": "drop"}})

    loader = begun(shop)
    assert loader.apply_rules(rules["events"], str, row) == (True, 1)
    loader.recompute(row)

    assert query(shop, "SELECT metric_id, property FROM _properties ORDER BY ALL") == [("N", "size")]


def test_any_text_and_thousands_of_properties_are_written_as_they_are(shop: LocalFile) -> None:
    odd = ["", "a\x00b", "'\"\\", "[1]", "NULL", "ü 😀", "x" * 200]
    properties = {metric: [Property(name, kind, None if name else "c") for name in odd] for metric, kind in {"M": "text", "N": "long"}.items()}
    properties["many"] = [Property(f"p{number}", "number", f"p{number}") for number in range(3000)]
    begun(shop)

    with shop.transaction() as connection:
        store = Properties(connection, shop, "klaviyo")
        store.write(properties)
        store.write({})
        assert store.read() == properties
        store.write({"many": []})
        assert store.read() == {name: found for name, found in properties.items() if name != "many"}

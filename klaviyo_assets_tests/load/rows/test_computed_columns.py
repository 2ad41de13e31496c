"""Columns that the load computes from a JSON column: what fits, and that stored rows follow a changed definition or a field rule."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.catalog.columns import ColumnType, computed
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.load.loader import Loader
from klaviyo_assets.load.rewrites.recompute import Recompute
from klaviyo_assets.load.rows.computed import with_computed
from klaviyo_assets.privacy.apply import rule_sets_for
from klaviyo_assets.privacy.hashing import SALT_VARIABLE
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.state.sync_log import SyncLogEntry
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets.warehouse.interface import Warehouse
from klaviyo_assets_tests.accounts import query, sync, table, truth
from klaviyo_assets_tests.event_columns import NAMES, with_event_columns
from klaviyo_assets_tests.load.loads import NOON, Loads
from klaviyo_assets_tests.load.rewrites.test_reapply_rules import SALT, sync_with_rules
from klaviyo_assets_tests.warehouse.attached import AttachedDatabase

EVENTS = CATALOG["events"]
WITHOUT = replace(EVENTS, columns=EVENTS.received_columns)
"""Events as earlier versions stored them."""

ORDER = {"$value": "12.50", "$currency_code": "eur", "$event_id": 7, "$message": "M1", "Items": [1, {}], "machine_open": "True", "ProductID": ""}


def frame_of(*properties: str | None, attributed: str | None = None) -> pl.DataFrame:
    rows = {"event_properties": list(properties), "attributed_campaign_message_id": [None] * len(properties)}
    return pl.DataFrame(
        rows | {"attributed_flow_message_id": [attributed] * len(properties)},
        schema=dict.fromkeys(("event_properties", "attributed_campaign_message_id", "attributed_flow_message_id"), pl.String()),
    )


def computed_by_load(frame: pl.DataFrame) -> pl.DataFrame:
    with duckdb.connect() as connection:
        connection.register("staged", frame)
        return connection.sql(f"SELECT {', '.join(NAMES)} FROM {with_computed(EVENTS, 'staged')}").pl()


def one(properties: Any, attributed: str | None = None) -> dict[str, Any]:
    (row,) = computed_by_load(frame_of(json.dumps(properties), attributed=attributed)).to_dicts()
    return {name: value for name, value in row.items() if value is not None}


@pytest.mark.duckdb
def test_values_are_found_under_any_of_their_names_and_types() -> None:
    expected = {"value": 12.5, "currency": "EUR", "event_key": "7", "message_id": "M1", "item_count": 2, "machine_open": True}

    assert one(ORDER) == expected
    assert one({"$value_currency": "euro", "currency": "usd", "Items": "two", "Item Count": 2.0, "Product ID": 3}) == {
        "currency": "USD",
        "item_count": 2,
        "product_id": "3",
    }
    assert one({"$attribution": {"$message": "M2", "channel": "sms"}}) == {"attributed_message_id": "M2", "attributed_channel": "sms"}
    assert one({"$attribution": {"$message": "M2"}}, attributed="F1") == {"attributed_message_id": "F1"}


@pytest.mark.duckdb
@pytest.mark.parametrize("properties", [None, 7, "x", [], [ORDER], {"$attribution": "x"}, {"$VALUE": 1}])
def test_properties_of_another_form_have_no_values(properties: Any) -> None:
    assert one(properties) == {}


@pytest.mark.duckdb
@pytest.mark.parametrize("value", ["", "1_000", "inf", "12,50", "0x10", True, None, [1], {"a": 1}, "1e999"])
def test_what_is_no_amount_is_null_and_remains_in_the_json(value: Any) -> None:
    assert "value" not in one({"$value": value})


@pytest.mark.duckdb
@pytest.mark.parametrize("value", ["", "[a]", "{b", {"a": 1}, ["a"], None, "x" * 1_001, "é" * 501])
def test_what_is_no_id_is_null_and_remains_in_the_json(value: Any) -> None:
    assert one({"$message": value}) == {}


KEYS = (
    "$value",
    "$value_currency",
    "currency",
    "$event_id",
    "$message",
    "$attribution",
    "machine_open",
    "Items",
    "ItemCount",
    "ProductID",
    "",
    "A",
    "a",
)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.text(max_size=5),
    st.sampled_from(["1_0", "12.5", " 7 ", "+1", "-.5", "EUR", "eur", "True", "0", "1e3", "nan", "[", "{}", "1e400", "0012"]),
)
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=2), max_leaves=4)


@pytest.mark.long
@pytest.mark.duckdb
@settings(max_examples=25)
@given(st.lists(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=6), min_size=1, max_size=40))
def test_every_value_is_as_in_a_second_implementation(properties: list[dict[str, Any]]) -> None:
    frame = frame_of(*(json.dumps(one, ensure_ascii=False) for one in properties))

    assert_frame_equal(computed_by_load(frame), with_event_columns(frame).select(*NAMES))


def loaded(warehouse: Warehouse, folder: Path, entry: ResourceType, *properties: dict[str, Any]) -> Loads:
    load = Loads(warehouse, folder, entry)
    load([{"id": str(number), "event_properties": json.dumps(one)} for number, one in enumerate(properties)])
    return load


@pytest.fixture(params=["a file", "without rowid"])
def any_warehouse(request: pytest.FixtureRequest, warehouse: LocalFile, tmp_path: Path) -> Warehouse:
    return warehouse if request.param == "a file" else AttachedDatabase(tmp_path)


def rows_of(warehouse: Warehouse, columns: str) -> list[tuple[Any, ...]]:
    with warehouse.connection() as connection:
        return connection.execute(f"SELECT {columns} FROM {warehouse.qualified('klaviyo', 'events')} ORDER BY id").fetchall()


def recompute(warehouse: Warehouse, entry: ResourceType = EVENTS) -> tuple[list[str], int]:
    return Loader(warehouse, entry, "klaviyo").recompute(SyncLogEntry("a-sync", entry.name, "unknown", "incremental", NOON, None))


@pytest.mark.long
@pytest.mark.duckdb
def test_stored_rows_are_computed_once_and_again_when_a_definition_changes(
    any_warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("klaviyo_assets.load.rewrites.recompute._ROWS_PER_TRANSACTION", 2)
    monkeypatch.setattr("klaviyo_assets.load.parts.row_ranges.ROWS_PER_RANGE", 1)
    loaded(any_warehouse, tmp_path, WITHOUT, ORDER, {"$value": 3, "total": 4}, {}, {"$value": 5})
    Loads(any_warehouse, tmp_path, EVENTS)

    assert recompute(any_warehouse) == ([column.name for column in EVENTS.computed_columns], 4)
    assert rows_of(any_warehouse, "value, currency, item_count") == [(12.5, "EUR", 2), (3.0, None, None), (None, None, None), (5.0, None, None)]
    assert recompute(any_warehouse) == ([], 0)

    value = computed("event_properties", "value", ColumnType.FLOAT, "Amount.", "total", "$value")
    changed = replace(EVENTS, columns=tuple(value if column.name == "value" else column for column in EVENTS.columns))
    assert recompute(any_warehouse, changed) == (["value"], 4)
    assert rows_of(any_warehouse, "value, currency") == [(12.5, "EUR"), (4.0, None), (None, None), (5.0, None)]


@pytest.mark.long
@pytest.mark.duckdb
def test_an_interrupted_computation_begins_again(warehouse: LocalFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded(warehouse, tmp_path, WITHOUT, {"$value": 1}, {"$value": 2})
    Loads(warehouse, tmp_path, EVENTS)
    with monkeypatch.context() as interrupted:
        interrupted.setattr(Recompute, "_record", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            recompute(warehouse)

    assert recompute(warehouse)[1] == 2
    assert rows_of(warehouse, "value") == [(1.0,), (2.0,)]


@pytest.mark.duckdb
def test_a_changed_row_is_computed_again_and_an_identical_one_is_not_written(warehouse: LocalFile, tmp_path: Path) -> None:
    load = loaded(warehouse, tmp_path, EVENTS, {"$value": 1}, {"$value": 2})

    assert load([{"id": "0", "event_properties": '{"$value": 1}'}, {"id": "1", "event_properties": '{"$value": 3}'}]) == (0, 1)
    assert rows_of(warehouse, "value") == [(1.0,), (3.0,)]


@pytest.mark.long
@pytest.mark.duckdb
def test_stored_rows_get_the_columns_without_a_new_read(account: SandboxProcess, warehouse: LocalFile) -> None:
    sync(WITHOUT, account, warehouse)

    report = sync("events", account, warehouse)

    assert report.row.records_read < report.row_count / 2
    assert (report.row.rows_inserted, report.row.rows_updated) == (0, 0)
    assert any("were computed from their JSON: value, currency" in note for note in report.notes)
    assert_frame_equal(table(warehouse, "events"), truth(account, "events"), check_column_order=False)


@pytest.mark.long
@pytest.mark.duckdb
def test_a_rule_that_is_added_later_reaches_the_columns_of_stored_rows(
    account: SandboxProcess, warehouse: LocalFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SALT_VARIABLE, SALT)
    sync("events", account, warehouse)
    before = query(warehouse, "SELECT count(value), count(message_id), count(currency) FROM events")

    sync_with_rules("events", account, warehouse, {"events": {"event_properties.$value": "drop", "event_properties.$message": "hash"}})

    (after,) = query(warehouse, "SELECT count(value), count(message_id) FILTER (message_id LIKE 'sha256:%'), count(currency) FROM events")
    assert after == (0, *before[0][1:])
    assert before[0][0] > 0 < before[0][1]


def test_a_rule_holds_for_new_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SALT_VARIABLE, SALT)
    rules = rule_sets_for({"events": {"event_properties.$value": "hash", "event_properties.$event_id": "drop"}})["events"]

    (row,) = computed_by_load(rules.apply(frame_of(json.dumps(ORDER)))).to_dicts()

    assert (row["value"], row["event_key"], row["currency"]) == (None, None, "EUR")

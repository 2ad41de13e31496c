"""The views of metrics: one column per property, of the type that all values agree on, whatever the properties are called."""

import json
import math
import tempfile
from dataclasses import replace
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.erasure.erase import Erasure
from klaviyo_assets.erasure.subject import DataSubject
from klaviyo_assets.extract.sync_options import SyncMode, SyncOptions
from klaviyo_assets.load.loader import Loader
from klaviyo_assets.load.views.property_names import snake_case
from klaviyo_assets.privacy.hashing import SALT_VARIABLE
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets_tests.accounts import local_file, query, sync
from klaviyo_assets_tests.load.loads import NOON, Loads
from klaviyo_assets_tests.load.rewrites.test_reapply_rules import SALT, sync_with_rules

pytestmark = pytest.mark.duckdb

ORDERS = {"id": "M1", "name": "Placed Order", "created": NOON, "integration": '{"name":"Shopify"}'}


class Shop:
    """A file with metrics and events that a test defines."""

    def __init__(self, folder: Path, *metrics: dict[str, Any]) -> None:
        self.warehouse, self.folder, self.number = local_file(folder, "shop.duckdb"), folder, 0
        self.name(*(metrics or (ORDERS,)))
        self.load = Loads(self.warehouse, folder, "events")

    def name(self, *metrics: dict[str, Any]) -> None:
        """Store metrics as their sync does."""
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        load = Loads(self.warehouse, folder, "metrics")
        load(list(metrics))
        Loader(self.warehouse, load.entry, "klaviyo").end(load.row, NOON)

    def add(self, *properties: Any, metric: str = "M1") -> None:
        """Load events with these properties."""
        rows = [
            {
                "id": f"{self.number + number:04}",
                "metric_id": metric,
                "datetime": NOON,
                "event_properties": one if isinstance(one, str) else json.dumps(one),
            }
            for number, one in enumerate(properties)
        ]
        self.number += len(rows)
        self.load(rows)

    def views(self) -> list[str]:
        return [name for (name,) in self.sql("SELECT view_name FROM duckdb_views() WHERE schema_name = 'klaviyo_metrics' ORDER BY 1")]

    def columns(self, view: str = "placed_order") -> dict[str, str]:
        """Return the types of a view's columns of properties."""
        found = dict(self.sql(f"SELECT column_name, column_type FROM (DESCRIBE klaviyo_metrics.{view})"))
        return {name: type_ for name, type_ in found.items() if name not in ("id", "datetime", "profile_id", "event_properties")}

    def rows(self, view: str = "placed_order") -> list[dict[str, Any]]:
        with self.warehouse.connection() as connection:
            result = connection.execute(f"FROM klaviyo_metrics.{view} ORDER BY id")
            names = [name for name, *_ in result.description or ()]
            return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        return query(self.warehouse, statement)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def test_each_property_has_a_column_of_the_type_that_its_values_agree_on(shop: Shop) -> None:
    shop.add(
        {"$value": 1, "Qty": 2, "Gift": True, "At": "2026-01-02T03:04:05Z", "Note": "x", "Items": [1], "none": None, "ID": 2**62},
        {"$value": 1.5, "Qty": 3, "Gift": None, "At": "2026-01-02T03:04:05.5+01:00", "Note": "2026-01-02T03:04:05Z", "id": "a", "ProductID": "p"},
    )

    assert shop.columns() == {
        "value": "DOUBLE",
        "qty": "BIGINT",
        "gift": "BOOLEAN",
        "at": "TIMESTAMP WITH TIME ZONE",
        "note": "VARCHAR",
        "items": "JSON",
        "product_id": "VARCHAR",
    }
    first, second = shop.rows()
    assert (first["value"], first["qty"], first["gift"], first["items"], first["at"].isoformat()) == (
        1.0,
        2,
        True,
        "[1]",
        "2026-01-02T03:04:05+00:00",
    )
    assert (second["value"], second["note"], second["id"], second["gift"]) == (1.5, "2026-01-02T03:04:05Z", "0001", None)
    assert json.loads(second["event_properties"])["id"] == "a"


@pytest.mark.long
def test_a_column_widens_and_keeps_its_name(shop: Shop) -> None:
    shop.add({"Order ID": 1, "order_id": "x", "when": "2026-01-02T03:04:05Z"})
    assert shop.columns() == {"order_id": "BIGINT", "order_id_2": "VARCHAR", "when": "TIMESTAMP WITH TIME ZONE"}

    shop.add({"order_id": "y", "Order ID": "z", "when": "soon", "New": 1})

    assert shop.columns() == {"order_id": "JSON", "order_id_2": "VARCHAR", "when": "VARCHAR", "new": "BIGINT"}
    assert [(row["order_id"], row["order_id_2"]) for row in shop.rows()] == [("1", "x"), ('"z"', "y")]


@pytest.mark.long
def test_what_cannot_be_a_column_stays_in_the_json(shop: Shop) -> None:
    shop.add({"Size": 1, "": 2, 'a"b': 3, "new\nline": 4, "§": 5, "size_2": 6})
    assert shop.columns() == {"size": "BIGINT", "unnamed": "BIGINT", "size_2": "BIGINT"}

    shop.add({"size": "L", "SIZE": 1})

    assert shop.columns() == {"unnamed": "BIGINT", "size_2": "BIGINT"}
    assert json.loads(shop.rows()[1]["event_properties"]) == {"size": "L", "SIZE": 1}


@pytest.mark.long
@pytest.mark.parametrize("properties", ["null", "[1]", '"x"', "7", "{}"])
def test_properties_of_another_form_do_no_harm(shop: Shop, properties: str) -> None:
    shop.add(properties, {"a": 1})
    assert [row["a"] for row in shop.rows()] == [None, 1]


@pytest.mark.long
def test_too_many_properties_stay_in_the_json(shop: Shop) -> None:
    shop.add(*({f"key {number}": number} for number in range(310)), {"key 1": "x", "y" * 201: 1})

    columns = shop.columns()
    assert (len(columns), columns["key_1"]) == (300, "JSON")


@pytest.mark.long
def test_metrics_with_the_same_name_get_separate_views(tmp_path: Path) -> None:
    same = [
        {**ORDERS, "id": f"M{number}", "integration": f'{{"name":"{name}"}}'} for number, name in enumerate(("Shopify", "WooCommerce", "Shopify"))
    ]
    shop = Shop(tmp_path, *same, {**ORDERS, "id": "M3", "name": "placed  order!", "integration": None})
    for number in range(4):
        shop.add({"number": number}, metric=f"M{number}")

    views = ["placed_order", "placed_order_woo_commerce", "placed_order_shopify", "placed_order_2"]
    assert shop.views() == sorted(views)
    assert [shop.rows(view)[0]["number"] for view in views] == [0, 1, 2, 3]


@pytest.mark.long
def test_a_renamed_metric_keeps_its_view_and_a_metric_gets_one_when_its_name_is_known(shop: Shop) -> None:
    shop.add({"a": 1})
    shop.add({"b": 1}, metric="M2")
    assert shop.views() == ["placed_order"]

    shop.name({**ORDERS, "name": "Order placed", "_synced_at": NOON.replace(hour=13)}, {**ORDERS, "id": "M2", "name": "Opened Email"})

    assert shop.views() == ["opened_email", "placed_order"]
    comments = shop.sql("SELECT comment FROM duckdb_views() WHERE schema_name = 'klaviyo_metrics' ORDER BY view_name")
    assert comments[1] == ("Events of the metric Order placed (Shopify), id M1, that still exist in Klaviyo.",)
    assert shop.sql("SELECT comment FROM duckdb_columns() WHERE schema_name = 'klaviyo_metrics' AND column_name = 'b'") == [("The property b.",)]


@pytest.mark.long
def test_objects_of_others_are_left_alone(shop: Shop) -> None:
    shop.sql("CREATE SCHEMA klaviyo_metrics; CREATE TABLE klaviyo_metrics.placed_order AS SELECT 1 AS mine")
    shop.add({"a": 1})
    assert shop.views() == ["placed_order_shopify"]

    shop.sql("DROP VIEW klaviyo_metrics.placed_order_shopify; CREATE TABLE klaviyo_metrics.placed_order_shopify AS SELECT 2 AS mine")
    shop.add({"b": 1})

    assert shop.sql("SELECT mine FROM klaviyo_metrics.placed_order UNION ALL FROM klaviyo_metrics.placed_order_shopify") == [(1,), (2,)]


@pytest.mark.long
def test_a_dropped_view_and_a_lost_profile_come_back(shop: Shop) -> None:
    shop.add({"a": 1}, {"B": "x"})
    columns, loader = shop.columns(), Loader(shop.warehouse, shop.load.entry, "klaviyo")
    shop.sql("DROP VIEW klaviyo_metrics.placed_order; DROP TABLE klaviyo._properties")
    loader.recompute(shop.load.row)
    assert shop.columns() == columns

    shop.sql("DROP TABLE klaviyo._properties; DROP TABLE klaviyo._metric_views")
    loader.recompute(shop.load.row)
    assert shop.views() == ["placed_order"]


def test_without_a_name_of_its_own_the_database_has_no_views(tmp_path: Path) -> None:
    """``klaviyo.events`` in a file ``klaviyo.duckdb`` is ambiguous."""
    warehouse = local_file(tmp_path, "klaviyo.duckdb")
    Loads(warehouse, tmp_path, "events")([{"id": "1", "metric_id": "M1", "event_properties": '{"a":1}'}])

    assert query(warehouse, "SELECT count(*) FROM duckdb_views() WHERE NOT internal") == [(0,)]


@pytest.mark.long
def test_views_survive_a_full_sync_a_compaction_and_another_name_of_the_file(account: SandboxProcess, tmp_path: Path) -> None:
    warehouse = local_file(tmp_path, "shop.duckdb")
    for name in ("metrics", "events"):
        sync(name, account, warehouse)
    views = query(warehouse, "SELECT view_name FROM duckdb_views() WHERE schema_name = 'klaviyo_metrics'")

    sync("events", account, warehouse, SyncOptions(SyncMode.full))
    warehouse.request_compaction()
    warehouse.compact_if_requested()

    moved = warehouse.path.rename(tmp_path / "other.duckdb")
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{moved}' AS alias (READ_ONLY)")
        rows = [connection.execute(f"SELECT count(*) FROM (FROM alias.klaviyo_metrics.{name})").fetchall()[0][0] for (name,) in views]
        known = "SELECT count(*) FROM alias.klaviyo.events WHERE metric_id IN (SELECT id FROM alias.klaviyo.metrics)"
        assert sum(rows) == connection.execute(known).fetchall()[0][0] > 0


@pytest.mark.long
def test_a_rule_that_hashes_a_property_widens_its_column(account: SandboxProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SALT_VARIABLE, SALT)
    warehouse = local_file(tmp_path, "shop.duckdb")
    for name in ("metrics", "events"):
        sync(name, account, warehouse)
    amounts = "SELECT table_name FROM duckdb_columns() WHERE schema_name = 'klaviyo_metrics' AND column_name = 'value' AND data_type = 'DOUBLE'"
    ((view, *_), *_) = query(warehouse, amounts)

    sync_with_rules("events", account, warehouse, {"events": {"event_properties.$value": "hash"}})

    assert query(warehouse, amounts) == []
    assert query(warehouse, f"SELECT bool_and(value::VARCHAR LIKE '\"sha256:%') FROM klaviyo_metrics.{view}") == [(True,)]


@pytest.mark.long
def test_an_erasure_leaves_no_name_of_a_property_that_names_the_person(shop: Shop) -> None:
    Loads(shop.warehouse, Path(tempfile.mkdtemp(dir=shop.folder)), "profiles")([{"id": "P1", "email": "jane@example.org"}])
    shop.load([{"id": "1", "metric_id": "M1", "profile_id": "P1", "event_properties": '{"jane@example.org": 1, "a": "x"}'}])
    shop.add({"a": "mail of jane@example.org", "$event_id": "jane@example.org/7"})

    Erasure(shop.warehouse, "klaviyo").run(DataSubject.named("jane@example.org"))

    assert shop.columns() == {"a": "VARCHAR", "event_id": "VARCHAR"}
    assert shop.sql("SELECT count(*) FROM _properties WHERE property LIKE '%jane%' OR column_name LIKE '%jane%'") == [(0,)]
    assert b"jane" not in shop.warehouse.path.read_bytes()
    ((stored, computed),) = shop.sql("SELECT event_properties ->> '$.$event_id', event_key FROM events")
    assert stored == computed


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("$value", "value"),
        ("ProductID", "product_id"),
        ("Campaign Name", "campaign_name"),
        ("URLPath", "url_path"),
        ("2fa", "_2fa"),
        ("$_x$y z", "x_y_z"),
        ("键", "键"),
        ("§", ""),
    ],
)
def test_names_are_in_snake_case(name: str, expected: str) -> None:
    assert snake_case(name) == expected


ODD_KEYS = (
    "",
    "a",
    "A",
    "á",
    "Á",
    "id",
    "ID",
    "datetime",
    "event_properties",
    "found",
    "a b",
    "a_b",
    "A B",
    "$value",
    "x.y",
    "x'y",
    'x"y',
    "x\\y",
    "2",
    "ß",
    "SS",
)
WILD_KEYS = st.sampled_from(ODD_KEYS) | st.text(max_size=6)
NUMBERS = st.integers(-(2**70), 2**70) | st.integers(-9, 9) | st.floats(allow_nan=False, allow_infinity=False)
TIMES = st.sampled_from(["2026-01-02T03:04:05Z", "2026-01-02t03:04:05.123456789+23:59", "2026-02-30T00:00:00Z", "2026-01-02T03:04:05", "2026-01-02"])
INSIDE = st.lists(NUMBERS, max_size=2) | st.dictionaries(WILD_KEYS, NUMBERS, max_size=2)
WILD_VALUES = st.one_of(st.none(), st.booleans(), NUMBERS, TIMES, st.text(max_size=4), INSIDE)
BATCHES = st.lists(st.lists(st.dictionaries(WILD_KEYS, WILD_VALUES, max_size=5), min_size=1, max_size=8), min_size=1, max_size=3)


NUMBERS_OF_METRICS = count()
"""Each example has a metric of its own."""


@pytest.fixture
def many(tmp_path: Path) -> Shop:
    """A file with more metrics than there are examples."""
    return Shop(tmp_path, *({**ORDERS, "id": f"metric_{number}", "name": f"metric_{number}"} for number in range(3_000)))


def expected_type(values: list[Any]) -> str | None:
    """Return the type that all values agree on; None if there are none."""
    some = [value for value in values if value is not None]
    if not some:
        return None
    if all(isinstance(value, bool) for value in some):
        return "BOOLEAN"
    if all(isinstance(value, str) for value in some):
        return "TIMESTAMP WITH TIME ZONE" if all(map(instant, some)) else "VARCHAR"
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in some):
        return "JSON"
    whole = [value for value in some if isinstance(value, int)]
    if len(whole) == len(some):
        return "BIGINT" if all(-(2**63) < value < 2**63 for value in whole) else "JSON"
    return "DOUBLE" if all(abs(value) <= 2**53 for value in whole) and all(map(math.isfinite, some)) else "JSON"


def instant(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text.upper().replace(".123456789", ".123456"))
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


@pytest.mark.long
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=BATCHES)
def test_views_hold_what_the_json_holds_whatever_the_properties_are_called(many: Shop, batches: list[list[dict[str, Any]]]) -> None:
    shop, number = many, next(NUMBERS_OF_METRICS)
    view = f"metric_{number}"
    for batch in batches:
        shop.add(*batch, metric=view)

    events = [one for batch in batches for one in batch]
    recorded = dict(shop.sql("SELECT property, column_name FROM _properties WHERE kind <> 'null' AND metric_id = 'METRIC'".replace("METRIC", view)))
    kept = {name: [one.get(name) for one in events] for one in events for name in one if expected_type([one.get(name) for one in events])}
    assert recorded.keys() == kept.keys()
    different = {name: {other for one in events for other in one if other.lower() == name.lower()} for name in kept}
    assert {name for name, column in recorded.items() if column is None and name and len(different[name]) == 1} <= {
        name for name in kept if any(character in '\\"\x7f' or character < " " for character in name)
    }
    assert all(column is None for name, column in recorded.items() if not name or len(different[name]) > 1)
    if view not in shop.views():
        assert not any(events)
        return
    types, rows = shop.columns(view), shop.rows(view)
    columns = {name: column for name, column in recorded.items() if column is not None}
    assert len({column.lower() for column in columns.values()}) == len(columns)
    for name, column in columns.items():
        assert types[column] == expected_type(kept[name]), name
        found = [row[column] for row in rows]
        if types[column] == "JSON":
            assert [None if text is None else json.loads(text) for text in found] == kept[name]
        elif types[column] == "TIMESTAMP WITH TIME ZONE":
            assert found == [None if text is None else instant(text) for text in kept[name]]
        else:
            assert found == kept[name]


def test_only_a_type_that_has_them_gets_views(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.load = Loads(shop.warehouse, tmp_path, replace(CATALOG["events"], has_metric_views=False))
    shop.add({"Size": 1})
    assert shop.views() == []

    shop.load = Loads(shop.warehouse, tmp_path, "events")
    shop.add({"Size": 1})
    assert shop.views() == ["placed_order"]

"""The views in the shape of Fivetran's tables: what the dbt package dbt_klaviyo selects, and what is in them."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from klaviyo_assets.marts.library import FIVETRAN, Models, read_models
from klaviyo_assets.marts.mart_runner import MartRunner
from klaviyo_assets.marts.results import ModelResult
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import local_file
from klaviyo_assets_tests.marts.conftest import select
from klaviyo_assets_tests.marts.folders import write_model
from klaviyo_assets_tests.marts.small_shop import EVENTS, NOW, SCHEMA, Row, event, fill
from klaviyo_assets_tests.marts.stored import KeptOpen, StoredAccount

pytestmark = pytest.mark.duckdb

TEXT, TIME, NUMBER, BOOLEAN = ("VARCHAR", "JSON"), ("TIMESTAMP",), ("DOUBLE", "FLOAT"), ("BOOLEAN",)

EVERYWHERE = {"_fivetran_deleted": BOOLEAN, "_fivetran_synced": TIME}
SELECTED = {
    "campaign": {
        **dict.fromkeys(("campaign_type", "email_template_id", "from_email", "from_name", "id", "name"), TEXT),
        **dict.fromkeys(("status", "status_id", "status_label", "subject"), TEXT),
        **dict.fromkeys(("created", "send_time", "sent_at", "updated", "scheduled"), TIME),
        "archived": BOOLEAN,
    },
    "event": {
        **dict.fromkeys(("_variation", "campaign_id", "flow_id", "flow_message_id", "id", "metric_id", "person_id", "type", "uuid"), TEXT),
        **dict.fromkeys(("property_value", "property_attribution"), TEXT),
        **dict.fromkeys(("datetime", "timestamp"), TIME),
    },
    "flow": {**dict.fromkeys(("id", "name", "status", "trigger_type"), TEXT), **dict.fromkeys(("created", "updated"), TIME), "archived": BOOLEAN},
    "metric": {
        **dict.fromkeys(("id", "integration_id", "integration_category", "integration_name", "name"), TEXT),
        **dict.fromkeys(("created", "updated"), TIME),
    },
    "person": {
        **dict.fromkeys(("address_1", "address_2", "city", "country", "email", "first_name", "id", "last_name", "organization"), TEXT),
        **dict.fromkeys(("phone_number", "region", "timezone", "title", "zip"), TEXT),
        **dict.fromkeys(("latitude", "longitude"), NUMBER),
        **dict.fromkeys(("created", "updated", "last_event_date"), TIME),
    },
}
"""What the package's macros get_…_columns name (fivetran/dbt_klaviyo 1.4.1, macros/staging), with types that it can cast."""

RELATIONSHIPS = {"attributed-event": {"data": {"type": "event", "id": "k2"}}}
OTHERS: tuple[Row, ...] = (
    event("x1", "opened", "P1", "2026-03-03 12:00:00", message_id="C1"),
    event("x2", "opened", "P1", "2026-03-03 12:00:00", message_id="FM1"),
    event("x3", "opened", "P1", "2026-03-03 12:00:00", message_id="unknown", campaign_id="C2", variation_id="A"),
    event("x4", "order", "P1", "2026-03-04 12:00:00", value=1.5, attributed_flow_id="F1", attributed_flow_message_id="FM1"),
    event("x5", "order", "P1", "2026-03-04 12:00:00", value=-2, attributed_event_id="k2", attributions=json.dumps([RELATIONSHIPS])),
    event("x6", "order", "P1", "2026-03-04 12:00:00", _deleted_at="2026-03-05 12:00:00+00"),
)


def build(warehouse: LocalFile, models: Models, *names: str) -> dict[str, ModelResult]:
    return {result.model: result for result in MartRunner(warehouse, SCHEMA, models).run(names, now=NOW)}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> LocalFile:
    warehouse = local_file(tmp_path_factory.mktemp("fivetran"), "shop.duckdb")
    with warehouse.transaction() as connection:
        fill(connection, SCHEMA, (*EVENTS, *OTHERS))
    for result in build(warehouse, read_models([FIVETRAN]), *SELECTED).values():
        result.raise_if_failed()
        assert all(check.passed for check in result.checks)
    return warehouse


def rows(warehouse: LocalFile, sql: str) -> list[tuple[Any, ...]]:
    return select(warehouse, sql)


@pytest.mark.parametrize("view", SELECTED)
def test_the_columns_that_the_package_selects(shop: LocalFile, view: str) -> None:
    types = {name: type_ for name, type_, *_ in rows(shop, f"DESCRIBE klaviyo_fivetran.{view}")}

    assert [*types] == [*read_models([FIVETRAN])[view].header.columns]
    wrong = {name: types.get(name) for name, allowed in (SELECTED[view] | EVERYWHERE).items() if types.get(name) not in allowed}
    assert wrong == {}


def test_every_event_is_there_once(shop: LocalFile) -> None:
    count = "SELECT count(*), count(DISTINCT id), count_if({}) FROM {}"

    assert rows(shop, count.format("_fivetran_deleted", "klaviyo_fivetran.event")) == rows(shop, count.format("_deleted_at IS NOT NULL", "events"))


def test_an_event_names_the_campaign_or_the_flow(shop: LocalFile) -> None:
    columns = "id, campaign_id, flow_id, flow_message_id, _variation"

    assert rows(shop, f"SELECT {columns} FROM klaviyo_fivetran.event WHERE id IN ('r1', 'O1', 'O5') OR id LIKE 'x%' ORDER BY id") == [
        ("O1", "C1", None, None, None),  # attributed to a campaign
        ("O5", None, None, None, None),
        ("r1", "C1", None, None, None),
        ("x1", "C1", None, None, None),  # names the campaign in place of its message
        ("x2", None, "F1", "FM1", None),  # names the message of a flow, but not the flow
        ("x3", "C2", None, None, "A"),
        ("x4", None, "F1", "FM1", None),  # attributed to a flow
        ("x5", None, None, None, None),
        ("x6", None, None, None, None),
    ]


def test_values_and_attributions(shop: LocalFile) -> None:
    found = rows(shop, "SELECT property_value, property_attribution FROM klaviyo_fivetran.event WHERE id IN ('x4', 'x5') ORDER BY id")

    assert [value for value, _ in found] == ["1.500000", "-2.000000"]
    assert found[0][1] is None
    assert json.loads(found[1][1]) == {"relationships": RELATIONSHIPS}


def test_times_are_those_of_utc(shop: LocalFile) -> None:
    with shop.connection() as connection:
        connection.execute("SET TimeZone = 'Asia/Tokyo'")
        assert connection.execute("SELECT timestamp FROM klaviyo_fivetran.event WHERE id = 'x1'").fetchall() == [(datetime(2026, 3, 3, 12),)]


@pytest.fixture
def account(tmp_path: Path) -> LocalFile:
    warehouse = local_file(tmp_path, "shop.duckdb")
    with warehouse.transaction() as connection:
        fill(connection, SCHEMA, EVENTS[:3])
    return warehouse


@pytest.mark.long
def test_a_view_shows_the_table_as_it_is_also_in_another_database(account: LocalFile, tmp_path: Path) -> None:
    build(account, read_models([FIVETRAN]), "event")
    with account.transaction() as connection:
        connection.execute("CREATE TABLE klaviyo.swapped AS FROM klaviyo.events LIMIT 2")
        connection.execute("DROP TABLE klaviyo.events")
        connection.execute("ALTER TABLE klaviyo.swapped RENAME TO events")
    account.request_compaction()
    account.compact_if_requested()

    assert rows(account, "SELECT count(*) FROM klaviyo_fivetran.event") == [(2,)]
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{tmp_path / 'shop.duckdb'}' AS other (READ_ONLY)")
        assert connection.execute("SELECT count(*) FROM other.klaviyo_fivetran.event").fetchall() == [(2,)]


def test_a_table_of_another_tool_stays(account: LocalFile) -> None:
    with account.transaction() as connection:
        connection.execute("CREATE SCHEMA klaviyo_fivetran")
        connection.execute("CREATE TABLE klaviyo_fivetran.flow AS SELECT 7 AS id")

    assert "type Table" in str(build(account, read_models([FIVETRAN]), "flow")["flow"].error)
    assert rows(account, "FROM klaviyo_fivetran.flow") == [(7,)]


def test_a_database_with_the_name_of_the_schema_can_have_no_views(tmp_path: Path) -> None:
    error = build(local_file(tmp_path, "klaviyo.duckdb"), read_models([FIVETRAN]), "flow")["flow"].error

    assert "klaviyo.events is ambiguous. What to do: Rename the database file" in str(error)


def test_a_table_that_is_not_synced_counts_as_empty(tmp_path: Path) -> None:
    warehouse = local_file(tmp_path, "new.duckdb")
    result = build(warehouse, read_models([FIVETRAN]), "campaign")["campaign"]

    result.raise_if_failed()
    assert result.rows == 0


@pytest.mark.long
def test_views_of_your_own_may_read_marts_and_be_read(account: LocalFile, tmp_path: Path) -> None:
    write_model(tmp_path / "m", "a", "SELECT metric_id AS id FROM metric_roles", header="-- view: for_bi\n")
    write_model(tmp_path / "m", "b", "SELECT max(id) AS id FROM a")
    results = build(account, read_models([tmp_path / "m"]), "b")

    assert [*results] == ["metric_roles", "a", "b"]
    assert [result.error for result in results.values()] == [None] * 3
    assert rows(account, "SELECT count(*) > 0 FROM klaviyo_for_bi.a") == [(True,)]


@pytest.mark.parametrize(
    ("header", "sql", "problem"),
    [
        ("-- view: For BI\n", "SELECT 1 AS id", "v.sql, line 3: 'For BI' cannot be a part of a schema's name."),
        ("-- view: bi\n", "SELECT id FROM live_events", "v.sql: A view cannot read live_events, which belongs to one run."),
        ("-- view: bi\n-- incremental: day\n-- column day: x\n", "SELECT 1 AS id, today() AS day", "v.sql: A view is not incremental"),
    ],
)
def test_what_a_view_cannot_be(tmp_path: Path, header: str, sql: str, problem: str) -> None:
    write_model(tmp_path, "v", sql, header=header)

    assert problem in str(read_models([tmp_path], packaged=False)["v"].problem)


def test_a_view_has_another_version_when_a_table_that_it_reads_has_changed_and_only_then(tmp_path: Path) -> None:
    stored = StoredAccount(KeptOpen(tmp_path / "shop.duckdb"), "metrics", "accounts")
    write_model(tmp_path / "m", "v", "SELECT id FROM metrics", header="-- view: bi\n")
    models = read_models([tmp_path / "m"], packaged=False)

    def version() -> str:
        return stored.build(models)["v"].version

    empty = version()
    stored.sync({"metrics": [{"id": "m1"}]})
    filled = version()
    stored.sync({"accounts": [{"id": "A"}], "metrics": []})
    assert version() == filled != empty

    stored.sync({"metrics": [{"id": "m2"}]})
    assert version() not in {empty, filled}

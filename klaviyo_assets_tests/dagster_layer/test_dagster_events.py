"""Many events at once, in the storages that Dagster can keep them in: the same rows as one at a time, in few transactions."""

import itertools
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy
from sqlalchemy.engine import Engine

from klaviyo_assets.reporting.dagster_events import ROW_COUNT, log_materializations, mark_as_failed
from klaviyo_assets.reporting.provenance import DATA_VERSION
from klaviyo_assets_tests.dagster_layer.postgres import PostgresServer, postgres_server

pytestmark = pytest.mark.long

DAYS = [f"{date(2025, 1, 1) + timedelta(days=n)}" for n in range(730)]
PARTITIONS = dg.DailyPartitionsDefinition(DAYS[0])
BY_DAY, MART = dg.AssetKey("events_by_day"), dg.AssetKey("metric_daily")

Instances = Callable[[], dg.DagsterInstance]
Log = Callable[[dg.AssetExecutionContext, Sequence[dg.AssetMaterialization]], None]


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with postgres_server() as found:
        yield found


@pytest.fixture(params=[pytest.param("SQLite", marks=pytest.mark.oldest), "PostgreSQL"])
def instances(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Instances]:
    """A factory of instances that keep their events in new databases."""
    homes, opened = (tmp_path / f"home_{number}" for number in itertools.count()), []
    postgres = request.getfixturevalue("server") if request.param == "PostgreSQL" else None

    def new() -> dg.DagsterInstance:
        (home := next(homes)).mkdir()
        settings: dict[str, Any] = {"telemetry": {"enabled": False}}
        if postgres is not None:
            settings["storage"] = {"postgres": {"postgres_url": postgres.new_database(f"{tmp_path.name}_{home.name}".lower().replace("-", "_"))}}
        (home / "dagster.yaml").write_text(json.dumps(settings))
        opened.append(dg.DagsterInstance.from_config(str(home)))
        return opened[-1]

    yield new
    for instance in opened:
        instance.dispose()


def days(asset: dg.AssetKey, keys: Sequence[str] = DAYS, version: str = "v1") -> list[dg.AssetMaterialization]:
    return [dg.AssetMaterialization(asset, partition=key, metadata={ROW_COUNT: n}, tags={DATA_VERSION: version}) for n, key in enumerate(keys)]


def run(instance: dg.DagsterInstance, act: Callable[[dg.AssetExecutionContext], None]) -> str:
    """Run a step that records events of two assets with partitions that it does not yield, and return the id of the run."""

    @dg.asset
    def events(context: dg.AssetExecutionContext) -> None:
        act(context)

    specs = [dg.AssetSpec(key, partitions_def=PARTITIONS, code_version="7") for key in (BY_DAY, MART)]
    defs = dg.Definitions([events, *specs], jobs=[dg.define_asset_job("sync", [events])])
    return defs.resolve_job_def("sync").execute_in_process(instance=instance, raise_on_error=False).run_id


def one_at_a_time(context: dg.AssetExecutionContext, materializations: Sequence[dg.AssetMaterialization]) -> None:
    """Let Dagster itself store the events."""
    for one in materializations:
        log_materializations(context, [one])


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """Count what is sent to Dagster's databases: ``commit``, and statements by their first three words."""
    found: Counter[str] = Counter()

    def statement(_: Any, __: Any, text: str, *___: Any) -> None:
        found[" ".join(text.split()[:3])] += 1

    def commit(_: Any) -> None:
        found["commit"] += 1

    sqlalchemy.event.listen(Engine, "before_cursor_execute", statement)
    sqlalchemy.event.listen(Engine, "commit", commit)
    try:
        yield found
    finally:
        sqlalchemy.event.remove(Engine, "before_cursor_execute", statement)
        sqlalchemy.event.remove(Engine, "commit", commit)


def stored(instance: dg.DagsterInstance, run_id: str) -> dict[str, list[str]]:
    """Return all that Dagster's databases have about the two assets, but for times."""
    storage: Any = instance.event_log_storage
    with storage.run_connection(run_id) as connection:
        found = {"event_logs of the run": _rows(connection, "event_logs")}
    with storage.index_connection() as connection:
        found |= {table: _rows(connection, table) for table in sqlalchemy.inspect(connection).get_table_names()}
    return {name: sorted(str(_comparable(row)).replace(run_id, "RUN") for row in rows) for name, rows in found.items() if rows}


def _rows(connection: sqlalchemy.Connection, table: str) -> list[dict[str, Any]]:
    """Return the rows of a table about the assets."""
    rows = [dict(row) for row in connection.execute(sqlalchemy.text(f'SELECT * FROM "{table}"')).mappings()]
    return [row for row in rows if row.get("asset_key") in (BY_DAY.to_string(), MART.to_string())]


def _comparable(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row without times. An update of an asset's row may use up an id in PostgreSQL."""
    found = {name: value is not None if "timestamp" in name else value for name, value in row.items() if name != "id" or "last_run_id" not in row}
    # The message names the partition, which Dagster's own does not.
    return {name: _TIMES.sub("", value) if isinstance(value, str) else value for name, value in found.items()}


_TIMES = re.compile(r'"timestamp": [\d.]+| on partition [\d-]+(?=\.")')


def test_the_rows_are_those_that_dagster_stores_one_at_a_time(instances: Instances) -> None:
    """It uses parts of Dagster that are not public; this fails if another version of Dagster stores events in another way."""
    materializations = [*days(BY_DAY, DAYS[:6]), *days(BY_DAY, DAYS[4:8], "v2"), *days(MART, DAYS[:3])]
    batch, single = instances(), instances()
    run_of_batch = run(batch, lambda context: log_materializations(context, materializations))
    run_of_single = run(single, lambda context: one_at_a_time(context, materializations))

    found = stored(batch, run_of_batch)

    assert {name: len(rows) for name, rows in found.items() if name != "event_logs of the run"} == {
        "asset_event_tags": 13,
        "asset_keys": 2,
        "event_logs": 13,
    }
    assert len(found["event_logs of the run"]) == 13
    assert found == stored(single, run_of_single), (
        f"Dagster {dg.__version__} stores events in another way than klaviyo_assets/reporting/dagster_events.py"
    )


def test_two_years_take_few_transactions(instances: Instances) -> None:
    instance, few = instances(), Counter[str]()

    def report(context: dg.AssetExecutionContext) -> None:
        with counted() as found:
            log_materializations(context, days(BY_DAY))
        few.update(found)

    run(instance, report)

    assert instance.get_materialized_partitions(BY_DAY) == set(DAYS)
    assert BY_DAY in instance.get_asset_keys()
    latest = instance.get_latest_materialization_event(BY_DAY)
    assert latest is not None
    assert latest.asset_materialization is not None
    assert (latest.asset_materialization.partition, latest.asset_materialization.metadata[ROW_COUNT].value) == (DAYS[-1], len(DAYS) - 1)
    assert few["commit"] <= 20, few
    assert sum(few.values()) - few["INSERT INTO event_logs"] <= 60, few


def test_days_that_an_audit_finds_wrong_are_shown_as_failed(instances: Instances) -> None:
    instance = instances()
    run(instance, lambda context: log_materializations(context, days(BY_DAY, DAYS[:5])))

    def audit(context: dg.AssetExecutionContext) -> None:
        mark_as_failed(context, BY_DAY, DAYS[1:3])
        raise dg.Failure("2 days differ")

    run(instance, audit)

    def statuses() -> dict[str, str]:
        found = instance.get_status_by_partition(BY_DAY, DAYS[:6], PARTITIONS) or {}
        return {key: status.value for key, status in found.items() if status is not None}

    assert statuses() == {DAYS[0]: "MATERIALIZED", DAYS[1]: "FAILED", DAYS[2]: "FAILED", DAYS[3]: "MATERIALIZED", DAYS[4]: "MATERIALIZED"}
    run(instance, lambda context: log_materializations(context, days(BY_DAY, DAYS[1:3], "v2")))
    assert set(statuses().values()) == {"MATERIALIZED"}

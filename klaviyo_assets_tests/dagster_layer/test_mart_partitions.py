"""The days of marts as partitions: what a build reports, and days that are computed again."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from klaviyo_assets import EventPartitions, KlaviyoResource, build_klaviyo_assets, build_klaviyo_definitions, build_klaviyo_marts
from klaviyo_assets.marts.mart_runner import MartRunner
from klaviyo_assets.ops.mart_op import MartStep
from klaviyo_assets.ops.mart_partition_op import MartPartitionStep
from klaviyo_assets_tests.dagster_layer.shown_checks import shown_checks
from klaviyo_assets_tests.dagster_layer.stale import stale_causes
from klaviyo_assets_tests.dagster_layer.test_changed_keys import by_replacements, by_the_key_prefix_of_a_module, raw
from klaviyo_assets_tests.marts.folders import write_model
from klaviyo_assets_tests.marts.stored import KeptOpen, StoredAccount

pytestmark = pytest.mark.long

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
BY_DAY, ORDERS = dg.AssetKey(["klaviyo", "orders_by_day"]), dg.AssetKey(["klaviyo", "orders"])
QUERY = "SELECT day, count(*) AS n FROM live_events GROUP BY ALL"
HEADER = "-- incremental: day\n-- column day: The day.\n-- column n: Number of events.\n"


@pytest.fixture
def instance(monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    monkeypatch.setenv("A_KEY", "pk_0123456789abcdef0123456789abcdef01")
    with dg.DagsterInstance.ephemeral() as found:
        yield found


class Shop:
    """An account with a mart that is maintained by day."""

    def __init__(self, folder: Path, instance: dg.DagsterInstance, query: str = QUERY) -> None:
        write_model(folder / "models", "orders", query, key="day", header=HEADER)
        self.path, self.instance = folder / "shop.duckdb", instance
        self.seen: dict[dg.AssetKey, int] = {}
        klaviyo = KlaviyoResource(api_key=dg.EnvVar("A_KEY"))
        self.partitions = EventPartitions(start=date(2026, 2, 1))
        self.defs = build_klaviyo_definitions(klaviyo, duckdb=self.path, marts=folder / "models", partitions=self.partitions)

    def store(self, *days: int) -> None:
        warehouse = KeptOpen(self.path)
        account = StoredAccount(warehouse, *([] if self.path.with_suffix(".state").exists() else ["events"]))
        account.now += timedelta(hours=days[0])
        events = [{"id": f"e{day}-{days[0]}", "profile_id": "p", "datetime": START - timedelta(days=day)} for day in days]
        account.sync({"events": events})
        warehouse.close()

    def run(self, job: str, asset: dg.AssetKey, **tags: str) -> dg.ExecuteInProcessResult:
        found = self.defs.resolve_implicit_global_asset_job_def() if job == "" else self.defs.resolve_job_def(job)
        return found.execute_in_process(instance=self.instance, asset_selection=[asset], tags=tags)

    def build(self) -> dict[str, Any]:
        """Build the mart as its job does, and return the rows of each day that it reported."""
        self.run("klaviyo_build_marts", ORDERS)
        return self.reported()

    def reported(self, asset: dg.AssetKey = BY_DAY) -> dict[str, Any]:
        records = self.instance.fetch_materializations(asset, limit=1_000, ascending=True).records
        new = [record.asset_materialization for record in records[self.seen.get(asset, 0) :]]
        self.seen[asset] = len(records)
        return {one.partition: one.metadata["dagster/partition_row_count"].value for one in new if one is not None and one.partition is not None}


def test_a_build_reports_the_days_that_it_computed(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    shop = Shop(tmp_path, instance)
    shop.store(*range(1, 20))

    assert shop.build() == {f"{(START - timedelta(days=day)).date()}": 1 for day in range(1, 20)}
    assert not shop.build()
    shop.store(2, 7)
    assert shop.build() == {"2026-02-22": 1, "2026-02-27": 1}


def test_selected_days_are_computed_with_those_that_changed(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    shop = Shop(tmp_path, instance)
    shop.store(*range(1, 20))
    shop.build()
    shop.store(4)
    # Wrong rows that no change shows: the days are computed nevertheless.
    warehouse = KeptOpen(shop.path)
    with warehouse.transaction() as connection:
        connection.execute("UPDATE klaviyo_marts.orders SET n = 99 WHERE day = DATE '2026-02-20' OR day = DATE '2026-02-19'")
    warehouse.close()

    tags = {"dagster/asset_partition_range_start": "2026-02-20", "dagster/asset_partition_range_end": "2026-02-21"}
    result = shop.run("", BY_DAY, **tags)

    assert {"orders", "orders_by_day"} <= {event.asset_key.path[-1] for event in result.get_asset_materialization_events() if event.asset_key}
    assert shop.reported() == {"2026-02-20": 1, "2026-02-21": 1, "2026-02-25": 1}
    warehouse = KeptOpen(shop.path)
    with warehouse.connection() as connection:
        rows = dict(connection.execute("SELECT day::VARCHAR, n FROM klaviyo_marts.orders").fetchall())
    warehouse.close()
    assert (rows["2026-02-19"], rows["2026-02-20"], rows["2026-02-25"]) == (99, 1, 2)
    (spec,) = (spec for spec in shop.defs.resolve_all_asset_specs() if spec.key == BY_DAY)
    assert [dep.asset_key.to_user_string() for dep in spec.deps] == ["klaviyo/events_by_day"]


@pytest.mark.oldest
def test_dagster_shows_the_checks_of_a_mart_after_days_were_computed_again(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    shop = Shop(tmp_path, instance)
    shop.store(*range(1, 20))
    shop.build()
    shown = [shown_checks(shop.defs, instance, ORDERS)]
    with closing(KeptOpen(shop.path)) as warehouse, warehouse.transaction() as connection:
        connection.execute("INSERT INTO klaviyo_marts.orders FROM klaviyo_marts.orders WHERE day = DATE '2026-02-20'")

    for day in ("2026-02-25", "2026-02-20"):
        result = shop.run("", BY_DAY, **{f"dagster/asset_partition_range_{end}": day for end in ("start", "end")})
        (latest,) = instance.fetch_materializations(ORDERS, limit=1).records
        assert latest.run_id == result.run_id
        shown.append(shown_checks(shop.defs, instance, ORDERS))

    assert shown == [{"unique_key": status} for status in ("SUCCEEDED", "FAILED", "SUCCEEDED")], "the second day's rows are computed again"


def test_days_that_a_build_reports_have_the_versions_that_dagster_compares(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    shop, day = Shop(tmp_path, instance), "2026-02-20"
    shop.store(*range(1, 20))
    instance.report_runless_asset_event(dg.AssetMaterialization(["klaviyo", "events_by_day"], partition=day, tags={"dagster/data_version": "one"}))
    shop.build()
    assert {stale_causes(shop.defs, instance, key, partition) for key, partition in ((BY_DAY, day), (BY_DAY, "2026-02-21"))} == {()}
    tags = {"dagster/asset_partition_range_start": day, "dagster/asset_partition_range_end": day}

    instance.report_runless_asset_event(dg.AssetMaterialization(["klaviyo", "events_by_day"], partition=day, tags={"dagster/data_version": "two"}))
    assert stale_causes(shop.defs, instance, BY_DAY, day) == ("has a new dependency data version",)
    assert stale_causes(shop.defs, instance, BY_DAY, "2026-02-21") == (), "only the day that changed"
    shop.run("", BY_DAY, **tags)
    assert stale_causes(shop.defs, instance, BY_DAY, day) == ()

    changed = Shop(tmp_path, instance, query="SELECT day, count(*) + 0 AS n FROM live_events GROUP BY ALL")
    assert stale_causes(changed.defs, instance, BY_DAY, day) == stale_causes(changed.defs, instance, ORDERS) == ("has a new code version",)
    changed.run("", BY_DAY, **tags)
    assert stale_causes(changed.defs, instance, BY_DAY, day) == stale_causes(changed.defs, instance, ORDERS) == ()


@pytest.mark.parametrize("days", [{}, {"dagster/asset_partition_range_start": "2026-02-20", "dagster/asset_partition_range_end": "2026-02-20"}])
def test_what_a_sync_reports_while_a_mart_is_built_does_not_count_as_read(
    days: dict[str, str], tmp_path: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop, events, of_days = Shop(tmp_path, instance), dg.AssetKey(["klaviyo", "events"]), dg.AssetKey(["klaviyo", "events_by_day"])
    shop.store(*range(1, 20))

    def sync_reports(version: str) -> None:
        for key, partition in ((events, None), (of_days, "2026-02-20")):
            instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=partition, tags={"dagster/data_version": version}))

    run_only = MartRunner.run_only

    def with_a_sync(runner: MartRunner, *arguments: Any, **options: Any) -> Iterator[Any]:
        for result in run_only(runner, *arguments, **options):
            sync_reports("two")
            yield result

    def build() -> None:
        shop.run("" if days else "klaviyo_build_marts", BY_DAY if days else ORDERS, **days)

    sync_reports("one")
    with monkeypatch.context() as patch:
        patch.setattr(MartRunner, "run_only", with_a_sync)
        build()
    outdated = ("has a new dependency data version",)
    assert (stale_causes(shop.defs, instance, BY_DAY, "2026-02-20"), stale_causes(shop.defs, instance, ORDERS)) == (outdated, outdated)
    shop.store(9)  # 2026-02-20
    build()
    assert (stale_causes(shop.defs, instance, BY_DAY, "2026-02-20"), stale_causes(shop.defs, instance, ORDERS)) == ((), ())


def test_days_of_models_that_need_others_are_up_to_date_once_the_op_has_built_both(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    write_model(tmp_path / "models", "placed", "SELECT day, id FROM live_events", key="id")
    shop, of_one_day = Shop(tmp_path, instance, query="SELECT day, count(*) AS n FROM placed GROUP BY ALL"), "2026-02-20"
    shop.store(*range(1, 20))

    for _ in range(2):
        shop.run("", BY_DAY, **{f"dagster/asset_partition_range_{end}": of_one_day for end in ("start", "end")})
        assert stale_causes(shop.defs, instance, ORDERS) == stale_causes(shop.defs, instance, BY_DAY, of_one_day) == ()
        shop.store(9)


def test_days_of_a_model_that_a_selected_one_needs_are_reported_too(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    """They are computed in the same run, and no later build finds that they have changed."""
    write_model(tmp_path / "models", "placed", QUERY, key="day", header=HEADER)
    shop, placed = Shop(tmp_path, instance, query="SELECT day, n FROM placed"), dg.AssetKey(["klaviyo", "placed_by_day"])
    shop.store(*range(1, 20))
    shop.run("klaviyo_build_marts", dg.AssetKey(["klaviyo", "placed"]))
    shop.build()
    assert len(shop.reported(placed)) == 19

    shop.store(4, 7)
    shop.run("", BY_DAY, **{f"dagster/asset_partition_range_{end}": "2026-02-20" for end in ("start", "end")})

    assert {day: rows for day, rows in shop.reported(placed).items() if day != "2026-02-20"} == {"2026-02-22": 1, "2026-02-25": 1}
    shop.run("klaviyo_build_marts", dg.AssetKey(["klaviyo", "placed"]))
    assert shop.reported(placed) == {}
    assert stale_causes(shop.defs, instance, placed, "2026-02-25") == ()


@pytest.mark.parametrize("change", [by_the_key_prefix_of_a_module, by_replacements])
def test_days_of_marts_follow_changed_keys(change: Any, tmp_path: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[tuple[set[dg.AssetKey], set[dg.AssetKey]]] = []

    def note(step: MartStep) -> Iterator[Any]:
        found.append(({*step.assets}, {key for key, _ in step.partitions.values()}))
        raise dg.Failure("seen")
        yield

    monkeypatch.setattr(MartStep, "run", note)
    monkeypatch.setattr(MartPartitionStep, "run", lambda self: note(self.step))
    write_model(tmp_path / "models", "orders", QUERY, key="day", header=HEADER)
    partitions = EventPartitions(start=date(2026, 2, 1))
    tables = build_klaviyo_assets(resource_types=["events"], partitions=partitions)
    assets = change([*tables, *build_klaviyo_marts(tables, tmp_path / "models", partitions=partitions)])
    resources = {"klaviyo": KlaviyoResource(api_key=dg.EnvVar("A_KEY")), "duckdb": "none", "klaviyo_frames": dg.mem_io_manager}
    job = dg.Definitions(assets=assets, resources=resources, executor=dg.in_process_executor).resolve_implicit_global_asset_job_def()

    for name, partition in (("orders", None), ("orders_by_day", "2026-02-03")):
        job.execute_in_process(instance=instance, asset_selection=[raw(name)], partition_key=partition, raise_on_error=False)

    assert len(found) == 2
    for models, days in found:
        assert {raw("orders"), raw("fct_orders")} <= models
        assert {raw("orders_by_day"), raw("message_activity_daily_by_day")} <= days
        assert all(key.path[0] == "raw" for key in models | days)


def test_a_database_that_cannot_be_used_is_named_in_a_sentence(tmp_path: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    write_model(tmp_path / "models", "orders", "SELECT day, count(*) AS n FROM live_events GROUP BY ALL", key="day", header=HEADER)
    monkeypatch.setenv("A_DATABASE", ":memory:")
    klaviyo = KlaviyoResource(api_key=dg.EnvVar("A_KEY"))
    defs = build_klaviyo_definitions(klaviyo, duckdb=dg.EnvVar("A_DATABASE"), marts=tmp_path / "models", partitions="daily")

    with pytest.raises(dg.Failure, match="memory"):
        defs.resolve_implicit_global_asset_job_def().execute_in_process(instance=instance, asset_selection=[BY_DAY], partition_key="2026-02-20")

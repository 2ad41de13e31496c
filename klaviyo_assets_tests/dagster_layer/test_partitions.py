"""The days of events as partitions: what a sync reports, what a gap looks like, and days that are read again."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from klaviyo_assets import EventPartitions, KlaviyoResource, build_klaviyo_definitions
from klaviyo_assets.erasure.erase import Erasure
from klaviyo_assets.erasure.subject import DataSubject
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets_tests.accounts import local_file, query
from klaviyo_assets_tests.dagster_layer.stale import stale_causes

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("unpaced")]

BY_DAY = dg.AssetKey(["klaviyo", "events_by_day"])
NIGHT = datetime.combine(datetime.now(UTC).date() - timedelta(days=1), time(3), UTC)
"""A moment of a day that is over, shortly after midnight: an event that comes hours late belongs to the day before."""

EVENTS = dg.AssetKey(["klaviyo", "events"])


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


@pytest.fixture
def shop(new_account: Callable[..., SandboxProcess]) -> SandboxProcess:
    return new_account(base=NIGHT, clock=NIGHT + timedelta(minutes=61), events=1_000, history_days=30)


def definitions(sandbox: SandboxProcess, folder: Path, **options: Any) -> dg.Definitions:
    metrics = options.pop("event_metrics", [])
    key, url = sandbox.keys.all_scopes, sandbox.base_url
    klaviyo = KlaviyoResource(api_key=key, base_url=url, rate_limit_share=1.0, max_retries=1, event_metrics=metrics)
    return build_klaviyo_definitions(
        klaviyo,
        duckdb=str(folder / "warehouse.duckdb"),
        resource_types=["events"],
        executor=dg.in_process_executor,
        **{"partitions": EventPartitions(start=NIGHT.date() - timedelta(days=40)), **options},
    )


def sync(defs: dg.Definitions, instance: dg.DagsterInstance) -> None:
    assert defs.resolve_job_def("klaviyo_sync_frequent").execute_in_process(instance=instance).success


def read_days(defs: dg.Definitions, instance: dg.DagsterInstance, first: date, last: date) -> dg.ExecuteInProcessResult:
    """Run what a backfill of days in the UI runs."""
    tags = {"dagster/asset_partition_range_start": first.isoformat(), "dagster/asset_partition_range_end": last.isoformat()}
    job = defs.resolve_implicit_global_asset_job_def()
    return job.execute_in_process(instance=instance, asset_selection=[BY_DAY], tags=tags, raise_on_error=False)


def rows_by_day(folder: Path, timezone: str = "UTC") -> dict[str, set[Any]]:
    """Return the live rows of each day."""
    with duckdb.connect(str(folder / "warehouse.duckdb"), read_only=True) as connection:
        rows = connection.execute(
            f"SELECT (datetime AT TIME ZONE '{timezone}')::DATE::VARCHAR, id, hash(event_properties) FROM warehouse.klaviyo.events "
            "WHERE _deleted_at IS NULL"
        ).fetchall()
    found: dict[str, set[Any]] = {}
    for day, *row in rows:
        found.setdefault(day, set()).add(tuple(row))
    return found


def changed_days(before: dict[str, set[Any]], after: dict[str, set[Any]]) -> set[str]:
    return {day for day in before.keys() | after.keys() if before.get(day) != after.get(day)}


def latest_of_events(instance: dg.DagsterInstance) -> dg.AssetMaterialization:
    (record,) = instance.fetch_materializations(EVENTS, limit=1).records
    assert record.asset_materialization is not None
    return record.asset_materialization


class Reports:
    """What was reported to Dagster since the last look."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance, self.seen = instance, 0

    def new(self) -> dict[str, int]:
        """Return the row counts by day."""
        records = self.instance.fetch_materializations(BY_DAY, limit=10_000, ascending=True).records
        new = [record.asset_materialization for record in records[self.seen :]]
        self.seen = len(records)
        found = {one.partition: one.metadata["dagster/partition_row_count"].value for one in new if one and one.partition}
        assert len(found) == len(new), "no day is reported twice"
        return found  # type: ignore[return-value]


def test_the_first_sync_reports_the_whole_history_and_an_idle_one_nothing(shop: SandboxProcess, tmp_path: Path, instance: dg.DagsterInstance) -> None:
    defs, reports = definitions(shop, tmp_path), Reports(instance)
    sync(defs, instance)
    days = reports.new()

    end = shop.now().date()
    rows = {day: len(found) for day, found in rows_by_day(tmp_path).items()}
    assert {day: count for day, count in days.items() if count and day <= f"{end}"} == {day: count for day, count in rows.items() if day <= f"{end}"}
    assert {day for day, count in days.items() if not count} >= {f"{end - timedelta(days=n)}" for n in range(38, 32, -1)}, (
        "days without events are read"
    )

    version = latest_of_events(instance).tags["dagster/data_version"]
    sync(defs, instance)
    assert not reports.new()
    assert latest_of_events(instance).tags["dagster/data_version"] == version


def test_a_downstream_asset_is_requested_for_exactly_the_days_that_changed(
    shop: SandboxProcess, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    partitions = EventPartitions(start=NIGHT.date() - timedelta(days=40))
    condition = dg.AutomationCondition.eager().without(dg.AutomationCondition.in_latest_time_window())

    @dg.asset(deps=[BY_DAY], partitions_def=partitions.definition, automation_condition=condition)
    def revenue_by_day() -> None: ...

    defs = definitions(shop, tmp_path, partitions=partitions)
    with_downstream = dg.Definitions.merge(defs, dg.Definitions(assets=[revenue_by_day]))
    reports, cursor = Reports(instance), None

    def requested() -> set[str]:
        nonlocal cursor
        selection = dg.AssetSelection.assets(revenue_by_day)
        result = dg.evaluate_automation_conditions(with_downstream, instance, asset_selection=selection, cursor=cursor)
        cursor = result.cursor
        return {*result.get_requested_partitions(revenue_by_day.key)}  # type: ignore[arg-type]

    requested()
    sync(defs, instance)
    assert requested() == {*reports.new()}

    sync(defs, instance)
    assert not requested(), "an idle sync requests nothing"

    before = rows_by_day(tmp_path)
    late = shop.now() - timedelta(hours=5)
    shop.change("event", datetime=late)
    now = shop.advance(timedelta(hours=2))
    shop.change("event", datetime=now - timedelta(minutes=1))
    sync(defs, instance)
    changed = changed_days(before, rows_by_day(tmp_path))
    assert changed == {f"{late.date()}", f"{now.date()}"}, "the day before has a late event"
    assert requested() == {*reports.new()} == changed


def test_days_are_read_again_in_one_run_and_the_others_stay_missing(shop: SandboxProcess, tmp_path: Path, instance: dg.DagsterInstance) -> None:
    defs, reports, end = definitions(shop, tmp_path), Reports(instance), shop.now().date()

    assert read_days(defs, instance, end - timedelta(days=20), end - timedelta(days=11)).success
    assert read_days(defs, instance, end - timedelta(days=8), end).success
    days, rows = reports.new(), rows_by_day(tmp_path)
    gap = {f"{end - timedelta(days=n)}" for n in (9, 10)}
    assert {*days} == {f"{end - timedelta(days=n)}" for n in range(21)} - gap
    assert {day: count for day, count in days.items() if count} == {day: len(found) for day, found in rows.items()}
    assert instance.get_materialized_partitions(BY_DAY) == {*days}

    version = latest_of_events(instance).tags["dagster/data_version"]
    assert read_days(defs, instance, end - timedelta(days=10), end - timedelta(days=9)).success
    assert {*reports.new()} == gap
    latest = latest_of_events(instance)
    assert latest.metadata["mode"].value == "range"
    assert latest.tags["dagster/data_version"] != version, "rows of the gap are new"


def test_code_versions_of_reported_days_and_of_events_follow_the_options(shop: SandboxProcess, tmp_path: Path, instance: dg.DagsterInstance) -> None:
    day = f"{shop.now().date() - timedelta(days=5)}"
    defs, filtered = definitions(shop, tmp_path), definitions(shop, tmp_path, event_metrics=["Placed Order"])
    sync(defs, instance)
    assert stale_causes(defs, instance, BY_DAY, day) == stale_causes(defs, instance, EVENTS) == ()
    assert stale_causes(filtered, instance, BY_DAY, day) == stale_causes(filtered, instance, EVENTS) == ("has a new code version",)

    assert read_days(defs, instance, date.fromisoformat(day), date.fromisoformat(day)).success
    assert latest_of_events(instance).metadata["mode"].value == "range"
    assert stale_causes(defs, instance, EVENTS) == ()
    assert stale_causes(filtered, instance, EVENTS) == ("has a new code version",), "also what the op of the days reports"


def test_the_audit_marks_days_that_differ_as_failed_until_they_are_read_again(
    shop: SandboxProcess, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    partitions = EventPartitions(start=NIGHT.date() - timedelta(days=40))
    defs, wrong = definitions(shop, tmp_path, partitions=partitions), f"{NIGHT.date() - timedelta(days=9)}"
    sync(defs, instance)
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        # Not deleted, which the next sync would notice: their times are wrong, so the count of two days is.
        connection.execute(f"UPDATE warehouse.klaviyo.events SET datetime = datetime - INTERVAL 1 DAY WHERE datetime::DATE = '{wrong}'")

    def statuses() -> set[str]:
        found = instance.get_status_by_partition(BY_DAY, partitions.definition.get_partition_keys(), partitions.definition)
        return {day for day, status in (found or {}).items() if status is not None and status.value == "FAILED"}

    result = defs.resolve_job_def("klaviyo_audit").execute_in_process(instance=instance, raise_on_error=False)
    assert not result.success
    (check,) = result.get_asset_check_evaluations()
    assert not check.passed
    before = f"{NIGHT.date() - timedelta(days=10)}"
    assert statuses() == {before, wrong}

    assert read_days(defs, instance, date.fromisoformat(before), date.fromisoformat(wrong)).success
    assert not statuses()
    assert defs.resolve_job_def("klaviyo_audit").execute_in_process(instance=instance).success


def test_the_days_of_an_erased_person_are_reported(shop: SandboxProcess, tmp_path: Path, instance: dg.DagsterInstance) -> None:
    defs, reports = definitions(shop, tmp_path), Reports(instance)
    sync(defs, instance)
    reports.new()
    before, warehouse = rows_by_day(tmp_path), local_file(tmp_path, "warehouse.duckdb")
    end = f"{NIGHT.date()}"
    people = f"SELECT profile_id FROM events WHERE datetime < '{end}' AND profile_id IS NOT NULL GROUP BY 1"
    ((person,),) = query(warehouse, f"{people} ORDER BY count(*) DESC, 1 LIMIT 1")
    version = latest_of_events(instance).tags["dagster/data_version"]

    Erasure(warehouse, "klaviyo").run(DataSubject.named(person))
    changed = {day for day in changed_days(before, rows_by_day(tmp_path)) if day <= end}
    sync(defs, instance)

    assert changed
    assert {day for day in reports.new() if day <= end} == changed
    assert latest_of_events(instance).tags["dagster/data_version"] != version, "downstream must not keep the person"

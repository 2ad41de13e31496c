"""Automation conditions of the days of marts: what they request, what the requested runs report, and that nothing is requested afterwards."""

import random
from collections.abc import Callable, Collection, Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from dagster._core.definitions.automation_tick_evaluation_context import build_run_requests_with_backfill_policies
from dagster._core.definitions.events import AssetKeyPartitionKey

from klaviyo_assets import EventPartitions, KlaviyoResource, build_klaviyo_definitions
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets_tests.dagster_layer import test_partitions
from klaviyo_assets_tests.dagster_layer.test_mart_days import LOS_ANGELES, SYDNEY
from klaviyo_assets_tests.dagster_layer.test_mart_partitions import BY_DAY, HEADER, ORDERS
from klaviyo_assets_tests.dagster_layer.test_partitions import NIGHT
from klaviyo_assets_tests.marts.folders import write_model
from klaviyo_assets_tests.marts.stored import KeptOpen, StoredAccount

pytestmark = pytest.mark.long

EVENT_DAYS = test_partitions.BY_DAY
QUERY = "SELECT day, count(value) AS n FROM live_events GROUP BY ALL"
FIRST, DAYS = datetime(2026, 2, 3, tzinfo=UTC), 30
CHANGED = dg.AutomationCondition.any_deps_match(dg.AutomationCondition.data_version_changed()).since_last_handled()


class Automation:
    """A code location with an asset downstream of the days of a mart, and what Dagster requests and runs there."""

    def __init__(self, defs: dg.Definitions, instance: dg.DagsterInstance, partitions: EventPartitions) -> None:
        @dg.asset(deps=[BY_DAY], partitions_def=partitions.definition, automation_condition=CHANGED)
        def of_versions() -> None: ...

        self.defs, self.instance, self.cursor, self.seen = dg.Definitions.merge(defs, dg.Definitions(assets=[of_versions])), instance, None, 0
        self.downstream: dg.AssetKey = of_versions.key

    def requested(self) -> tuple[set[str], set[str]]:
        """Return the days of the mart, and of the asset downstream, that are requested now."""
        selection = dg.AssetSelection.assets(BY_DAY, self.downstream)
        result: Any = dg.evaluate_automation_conditions(self.defs, self.instance, asset_selection=selection, cursor=self.cursor)
        self.cursor = result.cursor
        return {*result.get_requested_partitions(BY_DAY)}, {*result.get_requested_partitions(self.downstream)}

    def runs(self, asset: dg.AssetKey, days: Collection[str]) -> list[Callable[[], bool]]:
        """Return the runs that Dagster starts for days of an asset, one for each range of adjacent ones; each returns whether it succeeded."""
        graph = self.defs.resolve_asset_graph()
        requests = build_run_requests_with_backfill_policies([AssetKeyPartitionKey(asset, day) for day in sorted(days)], graph, self.instance)
        job = self.defs.resolve_implicit_global_asset_job_def()

        def run(request: dg.RunRequest) -> bool:
            selection, tags = [*(request.asset_selection or [])], {**request.tags}
            return job.execute_in_process(
                instance=self.instance, asset_selection=selection, tags=tags, partition_key=request.partition_key, raise_on_error=False
            ).success

        return [lambda request=request: run(request) for request in requests]  # type: ignore[misc]

    def build(self) -> None:
        self.defs.resolve_job_def("klaviyo_build_marts").execute_in_process(instance=self.instance, asset_selection=[ORDERS])

    def reported(self) -> set[str]:
        """Return the days of the mart that were reported since the last look."""
        records = self.instance.fetch_materializations(BY_DAY, limit=10_000, ascending=True).records
        new, self.seen = records[self.seen :], len(records)
        return {record.partition_key for record in new if record.partition_key}

    def versions(self) -> dict[str, str]:
        tag, kind = "dagster/data_version", dg.DagsterEventType.ASSET_MATERIALIZATION
        return {day: tags[tag] for day, tags in self.instance.event_log_storage.get_latest_tags_by_partition(BY_DAY, kind, [tag]).items()}


class Account:
    """An account with a generated history in a time zone, and its days of events as a sync reports them."""

    def __init__(self, path: Path, automation: Automation, zones: tuple[str, str], rng: random.Random) -> None:
        self.path, self.automation, self.rng, self.now = path, automation, rng, FIRST + timedelta(days=DAYS + 10)
        self.zone, self.of_partitions = zones
        with closing(KeptOpen(path)) as warehouse:
            StoredAccount(warehouse, "accounts").sync({"accounts": [{"id": "A", "timezone": self.zone}]})
        self.sync([FIRST + timedelta(days=day, hours=hour) for day in range(DAYS) for hour in range(0, 24, 8)], value=1.0)

    def sync(self, moments: Collection[datetime], value: float | None) -> None:
        """Store events, and report their days; with no value, they do not matter to the mart."""
        if not moments:
            return
        self.now += timedelta(hours=1)
        events = [{"id": uuid4().hex, "profile_id": "p", "datetime": moment, "value": value} for moment in moments]
        with closing(KeptOpen(self.path)) as warehouse:
            account = StoredAccount(warehouse)
            account.now = self.now
            account.sync({"events": events})
        for day in self.days_of_partitions(moments):
            tags = {"dagster/data_version": uuid4().hex}
            self.automation.instance.report_runless_asset_event(dg.AssetMaterialization(EVENT_DAYS, partition=day, tags=tags))

    def days_of_partitions(self, moments: Collection[datetime]) -> set[str]:
        return {f"{moment.astimezone(ZoneInfo(self.of_partitions)).date()}" for moment in moments}

    def some_moments(self) -> list[datetime]:
        hours = self.rng.sample(range(24, (DAYS - 1) * 24), self.rng.randrange(1, 4))
        return [FIRST + timedelta(hours=hour, minutes=30) for hour in hours]

    def rows(self) -> dict[str, int]:
        """Return the rows of the mart."""
        with closing(KeptOpen(self.path)) as warehouse, warehouse.connection() as connection:
            return dict(connection.execute("SELECT day::VARCHAR, n FROM klaviyo_marts.orders").fetchall())


@pytest.fixture
def instance(monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    monkeypatch.setenv("A_KEY", "pk_0123456789abcdef0123456789abcdef01")
    with dg.DagsterInstance.ephemeral() as found:
        yield found


def differing(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    return {day for day in before.keys() | after.keys() if before.get(day) != after.get(day)}


@pytest.mark.parametrize("zones", [(SYDNEY, "UTC"), (LOS_ANGELES, "UTC"), (SYDNEY, SYDNEY)], ids=lambda zones: " in ".join(zones))
def test_runs_that_conditions_request_report_the_days_that_changed(zones: tuple[str, str], tmp_path: Path, instance: dg.DagsterInstance) -> None:
    write_model(tmp_path / "models", "orders", QUERY, key="day", header=HEADER)
    partitions, path = EventPartitions(start=date(2026, 2, 1), timezone=zones[1]), tmp_path / "shop.duckdb"
    klaviyo = KlaviyoResource(api_key=dg.EnvVar("A_KEY"))
    defs = build_klaviyo_definitions(klaviyo, duckdb=path, marts=tmp_path / "models", partitions=partitions)
    automation = Automation(defs, instance, partitions)
    automation.requested()
    account = Account(path, automation, zones, random.Random(str(zones)))
    automation.build()
    automation.requested()
    assert automation.requested() == (set(), set())

    for value in (1.0, None, None, 1.0):
        before, versions, moments = account.rows(), automation.versions(), account.some_moments()
        automation.reported()
        account.sync(moments, value)
        requested, downstream = automation.requested()
        assert (requested, downstream) == (account.days_of_partitions(moments), set())

        if value is not None and account.rng.random() < 0.5:
            automation.build()  # the marts' job is faster
        assert all(run() for run in automation.runs(BY_DAY, requested))

        changed = differing(before, account.rows())
        assert bool(changed) is (value is not None)
        assert automation.reported() >= changed | requested
        assert zones[0] != zones[1] or changed <= requested
        assert differing(versions, automation.versions()) == changed
        assert automation.requested() == (set(), changed)
        assert automation.requested() == (set(), set())

    automation.build()
    assert automation.requested() == (set(), set()), "an idle build"


@pytest.mark.usefixtures("unpaced")
def test_all_requested_runs_succeed_and_nothing_is_requested_afterwards(
    new_account: Callable[..., SandboxProcess], tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    """Runs of ranges that are not adjacent: first those of events, which a user selects, then those of the mart, which its condition requests."""
    sandbox = new_account(base=NIGHT, clock=NIGHT + timedelta(minutes=61), events=500, history_days=30)
    write_model(tmp_path / "models", "orders", "SELECT day, count(*) AS n FROM live_events GROUP BY ALL", key="day", header=HEADER)
    partitions = EventPartitions(start=NIGHT.date() - timedelta(days=40))
    defs = test_partitions.definitions(sandbox, tmp_path, partitions=partitions, marts=tmp_path / "models")
    moments = [NIGHT - timedelta(days=days) for days in (14, 9, 4)]
    days = {f"{moment.date()}" for moment in moments}

    automation = Automation(defs, instance, partitions)
    automation.requested()
    test_partitions.sync(automation.defs, instance)
    automation.build()
    automation.requested()
    assert automation.requested() == (set(), set())
    before = automation.versions()
    for moment in moments:
        sandbox.change("event", datetime=moment)

    for asset in (EVENT_DAYS, BY_DAY):
        runs = automation.runs(asset, days)
        assert len(runs) == len(days)
        assert all(run() for run in runs)
        assert automation.requested() == ((days, set()) if asset == EVENT_DAYS else (set(), days))

    assert differing(before, automation.versions()) == days
    assert automation.requested() == (set(), set())

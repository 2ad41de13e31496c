"""What the ops do around the report of partitions: failures, skipped syncs, changed keys. Without a sync."""

import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import date, datetime
from types import SimpleNamespace
from typing import Any, cast

import dagster as dg
import pytest

from klaviyo_assets import CATALOG, EventPartitions, KlaviyoResource, build_klaviyo_assets, build_klaviyo_automation
from klaviyo_assets._internal.event_loop import merge_streams
from klaviyo_assets.errors import SyncAlreadyRunning
from klaviyo_assets.ops.asset_sync import AssetDone, AssetFailure, AssetSync, Result
from klaviyo_assets.ops.complete_check import CompleteCheck
from klaviyo_assets.ops.partition_op import PartitionStep, RangeStep
from klaviyo_assets.ops.step_context import StepContext
from klaviyo_assets.ops.sync_op import SyncStep
from klaviyo_assets.reporting.period_report import Partition, PeriodReport
from klaviyo_assets.run_config import SCHEDULE_TAG, KlaviyoSyncConfig
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets.warehouse.interface import WarehouseBusy
from klaviyo_assets_tests.dagster_layer.test_changed_keys import by_replacements, by_the_key_prefix_of_a_module, raw

EVENTS = dg.AssetKey(["klaviyo", "events"])
BY_DAY = dg.AssetKey(["klaviyo", "events_by_day"])
MATERIALIZED = dg.MaterializeResult(asset_key=EVENTS, data_version=dg.DataVersion("1"))
RUNNING = SyncAlreadyRunning("events is being synced already; nothing was done.")
BUSY = WarehouseBusy("Another program has the database open.")


class OneSync(AssetSync):
    """A sync that ends as a test says."""

    ends_with: Exception | None = None

    async def _probe_and_sync(self) -> Any:
        return None, None, self.ends_with

    def _access_checks(self, access: Any) -> list[Result]:
        return []

    def _materialization_and_checks(self, report: Any) -> list[Result]:
        return [MATERIALIZED] if self.ends_with is None else []

    async def _complete(self, report: Any) -> AsyncIterator[dg.AssetCheckResult]:
        for none in ():
            yield none


class Context(SimpleNamespace):
    """What the steps use of Dagster's context."""

    def __init__(self, **fields: Any) -> None:
        run, log = SimpleNamespace(tags={SCHEDULE_TAG: "hourly"}), logging.getLogger("partitions")
        job = dg.Definitions(assets=[dg.AssetSpec("another")]).resolve_implicit_global_asset_job_def()
        super().__init__(run=run, logged=[], log=log, job_def=job, **fields)

    def log_event(self, event: dg.AssetMaterialization) -> None:
        self.logged.append(event.asset_key)

    def add_asset_metadata(self, *_: Any) -> None: ...


def results_of(error: Exception | None, *, of_partitions: bool = False) -> list[Any]:
    shared = StepContext(
        dagster=cast(dg.AssetExecutionContext, Context()),
        config=KlaviyoSyncConfig(),
        schema="klaviyo",
        klaviyo=KlaviyoResource(api_key="x"),
        warehouse=cast(LocalFile, None),
        catalog=CATALOG,
        with_configured_names=str,
        partitions={"events": (BY_DAY, EventPartitions())},
        of_partitions=of_partitions,
    )
    sync = OneSync(shared, CATALOG["events"], EVENTS, AssetDone(not_synced=True))
    object.__setattr__(sync, "ends_with", error)
    return [one.error if isinstance(one, AssetFailure) else one for one in merge_streams([sync.results()])]


@pytest.fixture
def reports(monkeypatch: pytest.MonkeyPatch) -> list[set[date]]:
    """The partitions that were selected in each report."""
    sent: list[set[date]] = []

    def send(_: PeriodReport, *, selected: set[date] = frozenset(), described: set[date] = frozenset()) -> dict[date, Partition]:  # type: ignore[assignment]
        sent.append({*selected, *described})
        return {day: Partition(0, "1") for day in described}

    monkeypatch.setattr(PeriodReport, "send", send)
    return sent


@pytest.fixture
def report_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def send(*_: Any, **__: Any) -> None:
        raise BUSY

    monkeypatch.setattr(PeriodReport, "send", send)


@pytest.mark.usefixtures("report_fails")
def test_a_sync_is_reported_also_if_its_partitions_cannot_be() -> None:
    assert results_of(None) == [MATERIALIZED, BUSY]


@pytest.mark.usefixtures("report_fails")
def test_the_first_of_two_errors_is_the_one_of_the_asset(caplog: pytest.LogCaptureFixture) -> None:
    first = RuntimeError("first")

    assert results_of(first) == [first]
    assert "The partitions could not be reported either; the next sync reports them. Another program has the database open." in caplog.text


def test_a_sync_that_did_not_start_reports_no_partitions(reports: list[set[date]]) -> None:
    assert results_of(RUNNING) == [], "skipped by the schedule"
    assert not reports
    results_of(RuntimeError("the sync began"))
    assert reports == [set()]


def test_a_schedule_of_partitions_skips_nothing() -> None:
    assert results_of(RUNNING, of_partitions=True) == [RUNNING]


def step(execute: Callable[[Any, Any], Iterator[Any]], days: Sequence[str]) -> PartitionStep:
    sync = RangeStep(
        context=cast(dg.AssetExecutionContext, None),
        config=KlaviyoSyncConfig(),
        assets={EVENTS: CATALOG["events"]},
        schema="klaviyo",
        klaviyo=KlaviyoResource(api_key="x"),
        duckdb=None,
    )
    object.__setattr__(sync, "warehouse", None)
    return PartitionStep(cast(dg.AssetExecutionContext, Context(partition_keys=days)), BY_DAY, EventPartitions(), sync, execute)


DAYS = ["2026-06-01", "2026-06-02", "2026-06-05"]


@pytest.mark.parametrize("times", [0, 2])
def test_days_are_reported_only_if_their_events_were_materialized(times: int, reports: list[set[date]]) -> None:
    def second_fails(_: Any, sync: SyncStep) -> Iterator[Any]:
        yield from [MATERIALIZED] * (1 if "2026-06-01" in str(sync.config.start) else times)

    with pytest.raises(dg.Failure, match="2026-06-05T00:00Z to 2026-06-06T00:00Z of klaviyo/events had to be read") as caught:
        list(step(second_fails, DAYS).run())

    assert not caught.value.allow_retries
    assert reports == [{date(2026, 6, 1), date(2026, 6, 2)}], "the first window was read"


@pytest.mark.usefixtures("report_fails")
def test_the_failure_of_a_window_stays_if_the_others_cannot_be_reported(caplog: pytest.LogCaptureFixture) -> None:
    expected = dg.Failure("Klaviyo is down", allow_retries=True)

    def fails(_: Any, sync: SyncStep) -> Iterator[Any]:
        raise expected
        yield

    with pytest.raises(dg.Failure) as caught:
        list(step(fails, DAYS).run())

    assert caught.value is expected
    assert "could not be reported" in caplog.text


@pytest.mark.parametrize(("error", "has_traceback"), [(BUSY, False), (ValueError("a mistake in our code"), True)])
def test_a_second_error_is_logged_with_its_traceback_unless_it_is_explained(
    error: Exception, has_traceback: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def send(*_: Any, **__: Any) -> None:
        raise error

    def fails(_: Any, sync: SyncStep) -> Iterator[Any]:
        raise dg.Failure("Klaviyo is down")
        yield

    monkeypatch.setattr(PeriodReport, "send", send)
    results_of(RuntimeError("first"))
    with pytest.raises(dg.Failure):
        list(step(fails, DAYS).run())

    assert [bool(record.exc_info) for record in caplog.records] == [has_traceback, has_traceback]


def test_what_else_execute_yields_is_left_to_dagster(reports: list[set[date]]) -> None:
    seen = dg.AssetObservation("other")

    def more(_: Any, sync: SyncStep) -> Iterator[Any]:
        yield seen
        yield dg.MaterializeResult()

    first, second, last = step(more, DAYS).run()

    assert (first, second) == (seen, seen)
    assert last.asset_key == BY_DAY
    assert reports == [{date.fromisoformat(day) for day in DAYS}]


def test_days_get_the_data_version_that_each_has(monkeypatch: pytest.MonkeyPatch) -> None:
    logged: list[Any] = []
    found = {date.fromisoformat(day): Partition(3, version) for day, version in zip(DAYS, ("old", "new", "new"), strict=True)}
    monkeypatch.setattr(PeriodReport, "send", lambda *_, **__: found)
    monkeypatch.setattr(PeriodReport, "log", lambda _, some: logged.append(some))

    (result,) = step(lambda *_: iter([MATERIALIZED]), DAYS).run()

    assert result.data_version == dg.DataVersion("new")
    assert logged == [{date(2026, 6, 1): Partition(3, "old")}]


@pytest.mark.parametrize(("passed", "severity", "marks"), [(True, "ERROR", False), (False, "WARN", False), (False, "ERROR", True)])
def test_an_audit_clears_days_that_agree_and_then_marks_those_that_differ(
    passed: bool, severity: str, marks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, Any]] = []
    report = SimpleNamespace(
        clear_failed=lambda compared, days: calls.append(("cleared", (compared, days))), mark_as_failed=lambda days: calls.append(("marked", days))
    )
    check = CompleteCheck(logging.getLogger("partitions"), EVENTS, "klaviyo", KlaviyoResource(api_key="x"), cast(LocalFile, None))
    monkeypatch.setattr(CompleteCheck, "compared_days", lambda _: ("window", ["a day"]))
    result = dg.AssetCheckResult(passed=passed, severity=dg.AssetCheckSeverity(severity))

    check.report_days(cast(PeriodReport, report), result)

    assert calls == [("cleared", ("window", ["a day"])), *([("marked", ["a day"])] if marks else [])]


@pytest.mark.parametrize("change", [by_the_key_prefix_of_a_module, by_replacements])
def test_partitions_follow_changed_keys(change: Any) -> None:
    found: list[tuple[Any, Any]] = []

    def execute(_: Any, sync: SyncStep) -> Iterator[Any]:
        found.append(([*sync.assets], [key for key, _ in sync.partitions.values()]))
        raise dg.Failure("seen")
        yield

    assets = change(build_klaviyo_assets(resource_types=["events"], partitions="daily", execute=execute))
    jobs = build_klaviyo_automation(assets, executor=dg.in_process_executor).jobs
    resources = {"klaviyo": KlaviyoResource(api_key=dg.EnvVar("A_KEY")), "duckdb": "none", "klaviyo_frames": dg.mem_io_manager}
    defs = dg.Definitions(assets=assets, jobs=jobs, resources=resources, executor=dg.in_process_executor)
    with dg.DagsterInstance.ephemeral() as instance, pytest.MonkeyPatch.context() as patch:
        patch.setenv("A_KEY", "x")
        patch.setattr(SyncStep, "warehouse", None)
        patch.setattr(PeriodReport, "send", lambda *_, **__: {})
        defs.resolve_job_def("klaviyo_sync_frequent").execute_in_process(instance=instance, raise_on_error=False)
        job = defs.resolve_implicit_global_asset_job_def()
        job.execute_in_process(instance=instance, asset_selection=[raw("events_by_day")], partition_key="2026-06-01", raise_on_error=False)

    assert found == [([raw("events")], [raw("events_by_day")])] * 2


@pytest.mark.parametrize("start", ["2024-01-01", date(2024, 1, 1)])
def test_the_start_may_be_a_text(start: str | date) -> None:
    assert EventPartitions(start=start).first == date(2024, 1, 1)
    assert EventPartitions(start=start) == EventPartitions(start=date(2024, 1, 1))


@pytest.mark.parametrize("start", ["2024-01-01T00:00:00Z", "yesterday", "20240101", datetime(2024, 1, 1), 2024])
def test_a_start_that_is_no_day_is_refused(start: Any) -> None:
    with pytest.raises(ValueError, match=r"start=.* is not a day. Write a date, such as 2024-01-01"):
        EventPartitions(start=start)

"""With partitions, Dagster starts several runs of one table at once: they take turns, and the log says which run has the turn."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from klaviyo_assets._internal import cancellation
from klaviyo_assets._internal.threads import in_thread
from klaviyo_assets.marts import mart_runner
from klaviyo_assets.run_config import SCHEDULE_TAG
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.state import locks
from klaviyo_assets.state.locks import sync_lock
from klaviyo_assets.sync.sync_runner import SyncRunner
from klaviyo_assets_tests.accounts import local_file
from klaviyo_assets_tests.dagster_layer import test_mart_partitions
from klaviyo_assets_tests.dagster_layer.test_partitions import BY_DAY, EVENTS, NIGHT, definitions, rows_by_day
from klaviyo_assets_tests.dagster_layer.test_run_log import home, until, words_of

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("unpaced")]

MART, MART_BY_DAY = test_mart_partitions.ORDERS, test_mart_partitions.BY_DAY
FIRST, SECOND = (f"{NIGHT.date() - timedelta(days=days)}" for days in (9, 4))
RANGE = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")


@pytest.fixture(autouse=True)
def logged_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cancellation.Reminder.__init__, "__defaults__", (0.0,))


@pytest.fixture
def shop(new_account: Callable[..., SandboxProcess]) -> SandboxProcess:
    return new_account(base=NIGHT, clock=NIGHT + timedelta(minutes=61), events=500, history_days=30)


class Runs:
    """Runs of a code location, each in its own thread."""

    def __init__(self, instance: dg.DagsterInstance, defs: dg.Definitions, pool: ThreadPoolExecutor) -> None:
        self.instance, self.defs, self.pool = instance, defs, pool

    def start(self, asset: dg.AssetKey, **tags: str) -> tuple[str, Future[dg.ExecuteInProcessResult]]:
        """Start the run of an asset; return its id and its result."""
        before = {run.run_id for run in self.instance.get_runs()}
        job = self.defs.resolve_implicit_global_asset_job_def()
        result = self.pool.submit(job.execute_in_process, instance=self.instance, asset_selection=[asset], tags=tags, raise_on_error=False)
        until(lambda: len(self.instance.get_runs()) > len(before))
        (run_id,) = {run.run_id for run in self.instance.get_runs()} - before
        return run_id, result

    def start_days(self, asset: dg.AssetKey, day: str) -> tuple[str, Future[dg.ExecuteInProcessResult]]:
        """Start what Dagster starts for one of several ranges of days."""
        return self.start(asset, **dict.fromkeys(RANGE, day))

    def wait_for(self, run_id: str, text: str) -> None:
        """Wait until the log of a run contains a text."""
        until(lambda: any(text in words for words in words_of(self.instance, run_id)))


@pytest.fixture
def runs_of(tmp_path: Path) -> Iterator[Callable[[dg.Definitions], Runs]]:
    with home(tmp_path / "home") as instance, ThreadPoolExecutor(2) as pool:
        yield lambda defs: Runs(instance, defs, pool)


class Hold:
    """Holds up the first that has the lock until a test ends that."""

    def __init__(self) -> None:
        self.reached, self.ends = threading.Event(), threading.Event()

    def wait(self) -> None:
        if not self.reached.is_set():
            self.reached.set()
            assert self.ends.wait(120)


@contextmanager
def first_held_up(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hold]:
    hold, sync, prepare = Hold(), SyncRunner._run_locked, mart_runner._Run.prepare

    async def held_up(runner: SyncRunner) -> Any:
        await in_thread(hold.wait)
        return await sync(runner)

    def prepare_held_up(run: Any, scopes: Any) -> None:
        hold.wait()
        prepare(run, scopes)

    monkeypatch.setattr(SyncRunner, "_run_locked", held_up)
    monkeypatch.setattr(mart_runner._Run, "prepare", prepare_held_up)
    try:
        yield hold
    finally:
        hold.ends.set()


@pytest.mark.parametrize("second", [BY_DAY, EVENTS], ids=["a range that is not adjacent", "the table, as by Materialize all"])
def test_a_run_waits_for_the_days_that_another_one_reads(
    second: dg.AssetKey, shop: SandboxProcess, tmp_path: Path, runs_of: Callable[[dg.Definitions], Runs], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = runs_of(definitions(shop, tmp_path))
    with first_held_up(monkeypatch) as hold:
        holder, first_result = runs.start_days(BY_DAY, FIRST)
        until(hold.reached.is_set)
        waiting, second_result = runs.start_days(BY_DAY, SECOND) if second == BY_DAY else runs.start(EVENTS)
        runs.wait_for(waiting, f"events is being synced already by run {holder}; waiting up to 360 minutes for it. What to do: nothing")
        assert not second_result.done()
        hold.ends.set()
        assert first_result.result().success
        assert second_result.result().success

    assert rows_by_day(tmp_path).keys() >= {FIRST, SECOND}
    assert {one for one in (FIRST, SECOND) if one not in runs.instance.get_materialized_partitions(BY_DAY)} == set()


@pytest.mark.parametrize("partitions", ["daily", None])
@pytest.mark.parametrize("scheduled", [False, True])
def test_a_sync_of_the_table_waits_only_with_partitions_and_without_a_schedule(
    partitions: str | None,
    scheduled: bool,
    shop: SandboxProcess,
    tmp_path: Path,
    runs_of: Callable[[dg.Definitions], Runs],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(locks, "LONGEST_WAIT", 0.5)
    runs = runs_of(definitions(shop, tmp_path, partitions=partitions))
    folder = local_file(tmp_path, "warehouse.duckdb").state_dir / "klaviyo"
    folder.mkdir(parents=True)
    with sync_lock(folder, "events", "a-run"):
        run, result = runs.start(EVENTS, **({SCHEDULE_TAG: "hourly"} if scheduled else {}))
        assert result.result().success is scheduled

    found = "\n".join(words_of(runs.instance, run))
    assert ("events is being synced already by run a-run; waiting up to" in found) is (partitions is not None and not scheduled)
    assert ("Skipped. events is being synced already by run a-run; nothing was done." in found) is scheduled


def test_days_whose_table_is_locked_for_too_long_are_not_read(
    shop: SandboxProcess, tmp_path: Path, runs_of: Callable[[dg.Definitions], Runs], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "LONGEST_WAIT", 0.5)
    runs = runs_of(definitions(shop, tmp_path))
    folder = local_file(tmp_path, "warehouse.duckdb").state_dir / "klaviyo"
    folder.mkdir(parents=True)
    with sync_lock(folder, "events", "a-run"):
        result = runs.start_days(BY_DAY, FIRST)[1].result()

    (failed,) = [event for event in result.all_node_events if event.is_step_failure]
    data = failed.step_failure_data.user_failure_data
    assert data is not None
    assert str(data.description).startswith("events is being synced already by run a-run; waited 0 minutes for it; nothing was done. What to do: ")
    assert data.metadata["error"].value == "SyncAlreadyRunning"


@pytest.mark.parametrize("second", [MART_BY_DAY, MART], ids=["days that are not adjacent", "the mart, as by its job"])
def test_a_build_waits_for_the_days_that_another_run_computes(
    second: dg.AssetKey, tmp_path: Path, runs_of: Callable[[dg.Definitions], Runs], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_KEY", "pk_0123456789abcdef0123456789abcdef01")
    with dg.DagsterInstance.ephemeral() as unused:
        shop = test_mart_partitions.Shop(tmp_path, unused)
    shop.store(*range(1, 20))
    runs = runs_of(shop.defs)
    with first_held_up(monkeypatch) as hold:
        holder, first_result = runs.start_days(MART_BY_DAY, "2026-02-20")
        until(hold.reached.is_set)
        waiting, second_result = runs.start_days(MART_BY_DAY, "2026-02-25") if second == MART_BY_DAY else runs.start(MART)
        runs.wait_for(waiting, f"The marts are being built already by run {holder}; waiting up to 360 minutes for it.")
        assert not second_result.done()
        hold.ends.set()
        assert first_result.result().success
        assert second_result.result().success

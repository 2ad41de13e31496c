"""A waiting run logs what it waits for in its own run log."""

import asyncio
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import dagster as dg
import duckdb
import polars as pl
import pytest
from filelock import FileLock

from klaviyo_assets import KlaviyoResource, build_klaviyo_definitions
from klaviyo_assets._internal import cancellation
from klaviyo_assets.api.clock import ServerClock
from klaviyo_assets.api.rate_limit.limiter import RateLimiter
from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.errors import InvalidRange
from klaviyo_assets.reporting import run_log
from klaviyo_assets.reporting.failures import failure
from klaviyo_assets.reporting.run_log import LOGGER, in_the_log_of, log_with_configured_names
from klaviyo_assets.sandbox.keys import ALL_SCOPES_KEY, key_lacking
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.setting_names import SettingNames
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets.warehouse.interface import WarehouseError

HOLD = "import duckdb, sys; c = duckdb.connect(sys.argv[1], read_only=True); print('open', flush=True); sys.stdin.read()"
MANAGED = "python_logs:\n  managed_python_loggers: [klaviyo_assets]\n"


@contextmanager
def home(folder: Path, settings: str = "") -> Iterator[dg.DagsterInstance]:
    folder.mkdir(exist_ok=True)
    (folder / "dagster.yaml").write_text(f"telemetry:\n  enabled: false\n{settings}")
    with dg.DagsterInstance.from_config(str(folder)) as instance:
        yield instance


@contextmanager
def another_program_has(path: Path) -> Iterator[Callable[[], None]]:
    """Open a database in another process; yields a function that ends the process."""
    duckdb.connect(str(path)).close()
    with subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "open\n"

        def release() -> None:
            process.communicate()

        try:
            yield release
        finally:
            if process.poll() is None:
                release()


def definitions(sandbox: SandboxProcess, database: Path, name: str = "klaviyo", key: str = ALL_SCOPES_KEY) -> dg.Definitions:
    klaviyo = KlaviyoResource(api_key=key, base_url=sandbox.base_url, rate_limit_share=1.0)
    return build_klaviyo_definitions(klaviyo, duckdb=str(database), name=name, resource_types=["lists"], executor=dg.in_process_executor)


def words_of(instance: dg.DagsterInstance, run_id: str) -> list[str]:
    """Return the messages of the run's log, without Dagster's own events."""
    records = instance.all_logs(run_id)
    return [entry.user_message for entry in records if not entry.is_dagster_event]


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    """Wait until a condition is true; the test does not measure how long that takes."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition is still false"
        time.sleep(0.1)


@pytest.mark.long
@pytest.mark.parametrize("settings", ["", MANAGED], ids=["default settings", "a managed logger"])
def test_waiting_run_logs_which_program_has_the_file(settings: str, account: SandboxProcess, tmp_path: Path) -> None:
    database = tmp_path / "shop.duckdb"
    with home(tmp_path / "home", settings) as instance, another_program_has(database) as release, ThreadPoolExecutor(1) as pool:
        job = definitions(account, database).resolve_job_def("klaviyo_sync")
        result = pool.submit(job.execute_in_process, instance=instance, raise_on_error=False)
        until(lambda: instance.get_runs())
        (run,) = instance.get_runs()

        def logged_messages() -> list[str]:
            return [words for words in words_of(instance, run.run_id) if "is open in another program" in words]

        until(logged_messages)
        assert not result.done(), "it waits"
        assert "PID" in logged_messages()[0]
        assert "What to do: close it there" in logged_messages()[0]
        release()
        assert result.result().success
        assert len(logged_messages()) == 1
    assert LOGGER.handlers == []
    assert LOGGER.level == logging.NOTSET


@pytest.mark.long
def test_waiting_run_logs_that_another_sync_has_the_file(account: SandboxProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cancellation, "SECONDS_BEFORE_FIRST_LOG", 0.0)
    monkeypatch.setattr(cancellation.Reminder.__init__, "__defaults__", (0.0,))
    database = tmp_path / "shop.duckdb"
    with home(tmp_path / "home") as instance, ThreadPoolExecutor(1) as pool:
        with FileLock(f"{database}.lock"):
            job = definitions(account, database).resolve_job_def("klaviyo_sync")
            result = pool.submit(job.execute_in_process, instance=instance, raise_on_error=False)
            until(lambda: instance.get_runs())
            (run,) = instance.get_runs()
            until(lambda: any("Another sync has" in words for words in words_of(instance, run.run_id)))
            assert not result.done()
        assert result.result().success


@pytest.mark.long
@pytest.mark.parametrize("held", ["by another program", "by another sync", "by another sync of the type"])
def test_temporary_failure_is_retried(held: str, account: SandboxProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = LocalFile.__init__.__kwdefaults__ | {"patience": 0.0, "lock_timeout": 0.0}
    monkeypatch.setattr(LocalFile.__init__, "__kwdefaults__", defaults)
    database = tmp_path / "shop.duckdb"
    klaviyo = KlaviyoResource(api_key=ALL_SCOPES_KEY, base_url=account.base_url, duckdb_patience=0.0)
    policy = dg.RetryPolicy(max_retries=1)
    defs = build_klaviyo_definitions(klaviyo, duckdb=database, resource_types=["lists"], retry_policy=policy, executor=dg.in_process_executor)
    with ExitStack() as stack:
        if held == "by another program":
            stack.enter_context(another_program_has(database))
        elif held == "by another sync":
            stack.enter_context(FileLock(f"{database}.lock"))
        else:
            folder = tmp_path / "shop.duckdb.sync" / "klaviyo"
            folder.mkdir(parents=True)
            stack.enter_context(FileLock(str(folder / "lists.lock")))
        result = defs.resolve_job_def("klaviyo_sync").execute_in_process(raise_on_error=False)

    assert not result.success
    kinds = [event.event_type for event in result.all_node_events]
    assert dg.DagsterEventType.STEP_UP_FOR_RETRY in kinds
    assert dg.DagsterEventType.STEP_RESTARTED in kinds


@pytest.mark.long
def test_the_log_and_the_note_of_a_materialization_name_the_same_setting(account: SandboxProcess, tmp_path: Path) -> None:
    with home(tmp_path / "home") as instance:
        defs = definitions(account, tmp_path / "shop.duckdb", key=key_lacking("accounts:read"))
        result = defs.resolve_job_def("klaviyo_sync").execute_in_process(instance=instance)
        logged = [words for words in words_of(instance, result.run_id) if "account of the API key is unknown" in words]

    (event,) = result.get_asset_materialization_events()
    assert event.asset_key == dg.AssetKey(["klaviyo", "lists"])
    note = str(event.materialization.metadata["notes"].value).replace("\\", "")
    assert note == f"- {logged[0]}"
    assert "Set its account with the field account_id of resource 'klaviyo'" in note


def test_a_log_with_configured_names_rewrites_messages_after_their_arguments_are_filled_in() -> None:
    with collected() as (log, found):
        log_of_the_run = log_with_configured_names(log, SettingNames("eu").with_configured_names)
        log_of_the_run.warning("%s: set %s, 100 %%", "lists", "KLAVIYO_ACCOUNT_ID")
        log_of_the_run.info("100 % of KLAVIYO_ACCOUNT_ID")

    assert found == ["WARNING: lists: set the field account_id of resource 'eu', 100 %", "INFO: 100 % of the field account_id of resource 'eu'"]


def test_a_run_log_that_fails_does_not_stop_the_work(capsys: pytest.CaptureFixture[str]) -> None:
    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise OSError(28, "No space left on device")

    log = logging.Logger("a run")
    log.addHandler(Broken())

    log_with_configured_names(log, str).warning("lists: %s", "a message")
    with in_the_log_of(log, str):
        LOGGER.warning("profiles: another message")

    shown = capsys.readouterr().err
    assert shown.count("--- Logging error ---") == 2
    assert shown.count("OSError: [Errno 28] No space left on device") == 2


@pytest.mark.long
def test_failure_that_the_user_must_correct_is_not_retried() -> None:
    assert not failure(WarehouseError("It is no database.", "Use another file."), str).allow_retries
    assert not failure(InvalidRange("It is empty.", "Set another end."), str).allow_retries


@contextmanager
def collected() -> Iterator[tuple[logging.Logger, list[str]]]:
    """Yield a run's logger and the messages that it receives."""
    log, found = logging.Logger("a run"), []  # type: ignore[var-annotated]

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(f"{record.levelname}: {record.getMessage()}")

    log.addHandler(Collect())
    yield log, found


def test_each_kind_of_wait_is_in_the_run_log() -> None:
    async def used_up(limiter: RateLimiter) -> None:
        limiter.release({"RateLimit-Limit": "3500, 350;w=1, 3500;w=60", "RateLimit-Remaining": "0", "RateLimit-Reset": "30"}, await limiter.acquire())

    with collected() as (log, found), in_the_log_of(log):
        limiter = RateLimiter("events", CATALOG["events"].endpoint.limit, 1.0)
        asyncio.run(used_up(limiter))
        clock = ServerClock()
        for _ in range(10):
            clock.note(None)
        limiter.dispose()

    assert any("events: waiting 31 seconds" in words and "What to do" in words for words in found), found
    assert any("have no Date header" in words for words in found), found


def test_warning_about_the_key_is_in_the_run_log() -> None:
    with collected() as (log, found), in_the_log_of(log):
        KlaviyoResource(api_key="pk_0123456789").parsed_key()

    assert found == ["WARNING: The Klaviyo API key is 13 characters long; keys usually have 37. Was it copied whole?"]


def test_concurrent_runs_get_only_their_own_messages() -> None:
    both = threading.Barrier(2)

    def run(name: str) -> list[str]:
        async def work() -> None:
            both.wait(30)
            LOGGER.info("%s: in the loop", name)
            await asyncio.gather(asyncio.to_thread(LOGGER.warning, "%s: in a thread", name), asyncio.create_task(inner()))
            both.wait(30)

        async def inner() -> None:
            LOGGER.warning("%s: in a task", name)

        with collected() as (log, found), in_the_log_of(log, lambda words: words.replace("loop", "event loop")):
            asyncio.run(work())
            with collected() as (nested, inside), in_the_log_of(nested):
                LOGGER.warning("%s: nested", name)
            LOGGER.warning("%s: after", name)
        assert inside == [f"WARNING: {name}: nested"]
        return found

    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(run, ["one", "other"])

    for name, found in (("one", one), ("other", other)):
        assert sorted(found) == [
            f"INFO: {name}: in the event loop",
            f"WARNING: {name}: after",
            f"WARNING: {name}: in a task",
            f"WARNING: {name}: in a thread",
        ]
    assert LOGGER.handlers == []
    assert LOGGER.level == logging.NOTSET
    LOGGER.info("after all")


def test_log_level_of_the_user_is_kept() -> None:
    LOGGER.setLevel(logging.ERROR)
    try:
        with collected() as (log, found), in_the_log_of(log):
            LOGGER.warning("not worth it")
            LOGGER.error("worth it")
        assert found == ["ERROR: worth it"]
        assert LOGGER.level == logging.ERROR
    finally:
        LOGGER.setLevel(logging.NOTSET)


def test_failing_log_does_not_stop_the_work(capsys: pytest.CaptureFixture[str]) -> None:
    class Broken(logging.Logger):
        def log(self, *_: object, **__: object) -> None:
            raise OSError("the disk is full")

    with in_the_log_of(Broken("a run")):
        run_log.LOGGER.warning("a word")

    assert "the disk is full" in capsys.readouterr().err


def test_a_long_wait_is_logged_once_a_minute(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(cancellation.time, "monotonic", lambda: now)
    reminder = cancellation.Reminder()
    for second in range(130):
        now = float(second)
        reminder.log("still waiting, %d", second)

    assert [record.getMessage() for record in caplog.records] == ["still waiting, 5", "still waiting, 65", "still waiting, 125"]


@pytest.mark.long
@pytest.mark.parametrize("annotation", [pl.DataFrame, pl.LazyFrame])
def test_downstream_asset_logs_which_program_has_the_file(annotation: type, account: SandboxProcess, tmp_path: Path) -> None:
    """The other program opens the file before the read that waits: a lazy frame reads in the asset, a frame before it."""
    database = tmp_path / "shop.duckdb"
    evaluates, held = threading.Event(), threading.Event()

    def names(lists: pl.DataFrame | pl.LazyFrame) -> int:
        if isinstance(lists, pl.LazyFrame):
            evaluates.set()
            assert held.wait(60)
            lists = lists.collect()
        return len(lists)

    names.__annotations__["lists"] = annotation
    downstream = dg.asset(ins={"lists": dg.AssetIn(["klaviyo", "lists"], input_manager_key="klaviyo_frames")})(names)
    with home(tmp_path / "home") as instance, ThreadPoolExecutor(1) as pool:
        jobs = dg.Definitions(assets=[downstream], jobs=[dg.define_asset_job("count", [downstream])])
        defs = dg.Definitions.merge(definitions(account, database), jobs)
        assert defs.resolve_job_def("klaviyo_sync").execute_in_process(instance=instance).success
        lazy = annotation is pl.LazyFrame
        with ExitStack() as stack:
            release = (lambda: None) if lazy else stack.enter_context(another_program_has(database))
            result = pool.submit(defs.resolve_job_def("count").execute_in_process, instance=instance, raise_on_error=False)
            if lazy:
                assert evaluates.wait(60)
                release = stack.enter_context(another_program_has(database))
                held.set()
            until(lambda: len(instance.get_runs()) == 2)
            run, _ = instance.get_runs()
            until(lambda: any("is open in another program" in words for words in words_of(instance, run.run_id)))
            assert not result.done()
            release()
        assert result.result().success
    assert LOGGER.handlers == []

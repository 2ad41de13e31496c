"""A ``RetryPolicy`` applies to temporary conditions only, in each kind of step."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import polars as pl
import pytest
from dagster._core.execution.plan.objects import StepFailureData, StepRetryData
from dagster._utils.error import SerializableErrorInfo
from dagster_duckdb import DuckDBResource

from klaviyo_assets import KlaviyoAssetsError, KlaviyoFrameIOManager, KlaviyoResource, build_klaviyo_definitions
from klaviyo_assets.api import klaviyo_errors as api
from klaviyo_assets.api.rate_limit.daily import DailyLimitReached
from klaviyo_assets.catalog.catalog_errors import CatalogError, MissingTrait, UnknownResourceType
from klaviyo_assets.cli.demo import DemoFailed
from klaviyo_assets.cli.output import OutputFailed
from klaviyo_assets.errors import (
    AccountMismatch,
    AssetUnknown,
    DaysDiffer,
    FolderFailed,
    InvalidMode,
    InvalidRange,
    NewerLayout,
    NotOurs,
    NotSynced,
    StillLocked,
    SyncAlreadyRunning,
    SyncError,
    TableChanged,
)
from klaviyo_assets.extract.metric_selection import UnknownMetric
from klaviyo_assets.marts.mart_errors import FolderMissing, InvalidModel, MartError, ModelFailed, ModelSkipped
from klaviyo_assets.privacy.rules import InvalidFieldRules
from klaviyo_assets.publish.target import NotPublished
from klaviyo_assets.reporting.failures import EXPLAINED, failure, failure_of_types
from klaviyo_assets.sandbox.keys import ALL_SCOPES_KEY, key_lacking
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.settings.options import InvalidSetting
from klaviyo_assets.sync import sync_runner
from klaviyo_assets.validation import InvalidDefinition
from klaviyo_assets.warehouse.default_name import AmbiguousName
from klaviyo_assets.warehouse.interface import WarehouseBusy, WarehouseError
from klaviyo_assets_tests.dagster_layer.test_run_log import another_program_has
from klaviyo_assets_tests.test_errors import exceptions

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HERE = Path("orders.sql")

TEMPORARY: list[Exception] = [
    api.RequestFailed("x"),
    api.RateLimited(None),
    api.RateLimited(600.0),
    api.EdgeRateLimited(30.0),
    api.ServerFault("x"),
    api.ServerFault("x", retry_after=600.0),
    api.ConnectionFailed("x"),
    api.InvalidResponse("x"),
    api.EndlessLinks("x"),
    api.EndlessPages("x"),
    api.CursorRefused("x"),
    api.Conflict("x"),
    DailyLimitReached("events", 100, 60.0, NOW),
    SyncAlreadyRunning("x"),
    StillLocked("x"),
    TableChanged("klaviyo", "events", "is gone"),
    WarehouseBusy("x"),
]

PERMANENT: list[Exception] = [
    KlaviyoAssetsError("x"),
    api.KlaviyoError("x"),
    api.ApiKeyError("x"),
    api.ApiKeyMissing("x"),
    api.ApiKeyMalformed("x"),
    api.ApiKeyRejected("x"),
    api.AccessDenied("x"),
    api.ScopeMissing("lists:read"),
    api.PlanGate("x"),
    api.QuotaUsedUp("x"),
    api.AccountDisabled("x"),
    api.AccessRefused("x"),
    api.EdgeBlocked("x"),
    api.RequestRefused("x"),
    api.BadRequest("x"),
    api.NotFound("x"),
    api.Redirected(None),
    api.RevisionRetired("x"),
    api.RateLimited(3600.0),
    api.EdgeRateLimited(3600.0),
    api.ServerFault("x", retry_after=86_400.0),
    api.ClocksDisagree("x"),
    api.ResponseTooLarge(1),
    api.InvalidNetworkSetting("x"),
    api.ForeignLink("x"),
    DailyLimitReached("events", 100, 7200.0, NOW),
    SyncError("x"),
    InvalidRange("x"),
    InvalidMode("x"),
    AssetUnknown(["a"], "op"),
    DaysDiffer(2, "klaviyo/events_by_day"),
    NotSynced("x"),
    UnknownMetric("x"),
    AccountMismatch("x"),
    NewerLayout("klaviyo", found=9, written_by="9.0", known=1),
    FolderFailed(OSError(28, "No space left on device")),
    NotOurs("x"),
    WarehouseError("x"),
    AmbiguousName("klaviyo", "klaviyo.duckdb"),
    MartError("x"),
    InvalidModel(HERE, 1, "x"),
    ModelFailed(HERE, 1, "x"),
    ModelSkipped("orders", ["events"]),
    FolderMissing("x"),
    InvalidFieldRules("x"),
    InvalidSetting("x"),
    InvalidDefinition("x"),
    CatalogError("x"),
    UnknownResourceType("x"),
    MissingTrait("lists", "host"),
]

NOT_IN_A_STEP = {
    NotPublished: "the step of the published copy logs it and succeeds; the earlier copy stays",
    DemoFailed: "the command line",
    OutputFailed: "the command line",
}
"""Errors that no step raises."""


@pytest.mark.parametrize("error", TEMPORARY, ids=lambda error: type(error).__name__)
def test_a_retry_may_help(error: Exception) -> None:
    assert isinstance(error, EXPLAINED)
    assert failure(error, str).allow_retries
    assert failure_of_types({"lists": error, "events": api.ApiKeyRejected("x")}, 2, str).allow_retries


@pytest.mark.parametrize("error", PERMANENT, ids=lambda error: type(error).__name__)
def test_a_retry_cannot_help(error: Exception) -> None:
    assert isinstance(error, EXPLAINED)
    assert not failure(error, str).allow_retries
    assert not failure_of_types({"lists": error, "events": api.ApiKeyRejected("x")}, 2, str).allow_retries


def test_every_error_is_in_the_table() -> None:
    defined = {one for one in exceptions() if issubclass(one, KlaviyoAssetsError)}

    assert {type(error) for error in [*TEMPORARY, *PERMANENT]} | NOT_IN_A_STEP.keys() == defined


def outcome(defs: dg.Definitions, job: str = "klaviyo_sync", **options: Any) -> tuple[bool, list[str]]:
    """Run a job; return whether it succeeded, and what happened to its steps."""
    result = defs.resolve_job_def(job).execute_in_process(raise_on_error=False, **options)
    ends = {"STEP_UP_FOR_RETRY", "STEP_RESTARTED", "STEP_SUCCESS", "STEP_FAILURE"}
    return result.success, [event.event_type.value for event in result.all_node_events if event.event_type.value in ends]


def definitions(sandbox: SandboxProcess, folder: Path, key: str = ALL_SCOPES_KEY, **options: Any) -> dg.Definitions:
    klaviyo = KlaviyoResource(api_key=key, base_url=sandbox.base_url, max_retries=0, duckdb_patience=0.0)
    policy = dg.RetryPolicy(max_retries=1)
    options = {"resource_types": ["lists"], "retry_policy": policy, "executor": dg.in_process_executor} | options
    return build_klaviyo_definitions(klaviyo, duckdb=folder / "shop.duckdb", **options)


RETRIED = (True, ["STEP_UP_FOR_RETRY", "STEP_RESTARTED", "STEP_SUCCESS"])
FAILED = (False, ["STEP_FAILURE"])


@pytest.mark.long
@pytest.mark.parametrize("kind", ["500", "429", "drop", "cut", "notjson"])
def test_a_temporary_fault_of_klaviyo_is_retried(kind: str, new_account: Callable[..., SandboxProcess], tmp_path: Path) -> None:
    """The probe of the first attempt fails, and with it the attempt."""
    sandbox = new_account(events=0)
    sandbox.faults({"path": "/api/lists", "kind": kind, "times": 1})

    assert outcome(definitions(sandbox, tmp_path)) == RETRIED


@pytest.mark.long
@pytest.mark.parametrize(
    ("key", "mode"),
    [
        ("pk_" + "0" * 34, {}),
        ("no key", {}),
        (key_lacking("lists:read"), {}),
        (ALL_SCOPES_KEY, {"mode": "range"}),
        (ALL_SCOPES_KEY, {"mode": "repair"}),
    ],
    ids=["unknown key", "malformed key", "missing scope", "no range", "no audit"],
)
def test_what_the_user_must_correct_is_not_retried(key: str, mode: dict[str, str], account: SandboxProcess, tmp_path: Path) -> None:
    config = {"ops": {"klaviyo_small_types": {"config": mode}}} if mode else {}

    assert outcome(definitions(account, tmp_path, key), run_config=config) == FAILED


@pytest.mark.long
def test_the_marts_are_retried_while_another_program_has_the_file(account: SandboxProcess, tmp_path: Path) -> None:
    defs = definitions(account, tmp_path, marts=True)

    with another_program_has(tmp_path / "shop.duckdb"):
        assert outcome(defs, "klaviyo_build_marts") == (False, ["STEP_UP_FOR_RETRY", "STEP_RESTARTED", "STEP_FAILURE"])


@pytest.mark.long
def test_the_audit_is_retried_after_a_fault(new_account: Callable[..., SandboxProcess], tmp_path: Path) -> None:
    sandbox = new_account(metrics=2, events=50)
    defs = definitions(sandbox, tmp_path, resource_types=["events"])
    assert outcome(defs)[0]
    sandbox.faults({"path": "/api/metric-aggregates", "kind": "500", "times": 1})

    assert outcome(defs, "klaviyo_audit") == RETRIED


POLARS_PASSES_ERRORS_ON = int(pl.__version__.partition(".")[0]) >= 2
"""Whether an error of a source of rows leaves Polars as it is. Polars 1 raises one of its own with the text, which Dagster retries in any case."""


@contextmanager
def file_in_place_of_the_folder_of_copies(database: Path) -> Iterator[None]:
    (database.parent / f"{database.name}.sync" / "copies").write_text("in the way")
    yield


@contextmanager
def text_in_place_of_the_database(database: Path) -> Iterator[None]:
    database.write_text("no database " * 1000)
    yield


@contextmanager
def no_table(database: Path) -> Iterator[None]:
    with duckdb.connect(str(database)) as connection:
        connection.execute("DROP TABLE klaviyo.lists")
    yield


@pytest.mark.parametrize(
    ("spoiled", "words"),
    [
        (text_in_place_of_the_database, "is not a DuckDB database"),
        (file_in_place_of_the_folder_of_copies, "next to the database could not be written"),
        (no_table, "There is no table klaviyo.lists yet. What to do: materialize klaviyo/lists first."),
    ],
)
def test_a_lazy_frame_is_not_evaluated_again_for_what_the_user_must_correct(
    spoiled: Callable[[Path], AbstractContextManager[None]], words: str, frames: KlaviyoFrameIOManager, tmp_path: Path
) -> None:
    """It reads the database inside the user's asset, long after the IO manager has returned it."""
    retries = 1 if POLARS_PASSES_ERRORS_ON else 0
    (failed,) = evaluated(frames, spoiled(tmp_path / "shop.duckdb"), retries=retries, steps=["STEP_FAILURE"])

    assert failed.cls_name == ("Failure" if POLARS_PASSES_ERRORS_ON else "ComputeError")
    assert words in failed.message
    assert "KLAVIYO_" not in failed.message


@pytest.mark.long
def test_a_lazy_frame_is_evaluated_again_if_another_program_had_the_file(frames: KlaviyoFrameIOManager, tmp_path: Path) -> None:
    busy = another_program_has(tmp_path / "shop.duckdb")
    (failed,) = evaluated(frames, busy, nullcontext(), steps=["STEP_UP_FOR_RETRY", "STEP_RESTARTED", "STEP_SUCCESS"])

    assert failed.cls_name == ("Failure" if POLARS_PASSES_ERRORS_ON else "ComputeError")
    assert "is open in another program" in failed.message
    assert "The field duckdb_patience of the IO manager" in failed.message


@pytest.fixture
def frames(tmp_path: Path) -> KlaviyoFrameIOManager:
    """The IO manager of a database with the table of lists."""
    database = tmp_path / "shop.duckdb"
    with duckdb.connect(str(database)) as connection:
        connection.execute("CREATE SCHEMA klaviyo; CREATE TABLE klaviyo.lists AS SELECT 'Y6nRLr' AS id")
    return KlaviyoFrameIOManager(duckdb=DuckDBResource(database=str(database)), duckdb_patience=0.0)


def evaluated(
    frames: KlaviyoFrameIOManager, *while_: AbstractContextManager[object], retries: int = 1, steps: list[str]
) -> list[SerializableErrorInfo]:
    """Run an asset that evaluates a lazy frame, and compare what happened to its step.

    Args:
        frames: The IO manager.
        while_: What holds while it is evaluated, for each attempt.
        retries: How often the asset may be retried.
        steps: What is expected to happen.

    Returns:
        The errors of the attempts that failed.
    """
    lists = dg.AssetSpec(["klaviyo", "lists"], metadata={"dagster/table_name": "klaviyo.lists"}).with_io_manager_key("frames")
    attempts = iter(while_)

    @dg.asset(ins={"lists": dg.AssetIn(lists.key)}, retry_policy=dg.RetryPolicy(max_retries=retries))
    def names(lists: pl.LazyFrame) -> int:
        with next(attempts):
            return lists.collect().height

    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([lists, names], selection=[names], resources={"frames": frames}, instance=instance, raise_on_error=False)
    ends = {"STEP_UP_FOR_RETRY", "STEP_RESTARTED", "STEP_SUCCESS", "STEP_FAILURE"}
    assert [event.event_type.value for event in result.all_node_events if event.event_type.value in ends] == steps
    assert list(attempts) == []
    failed = [event.event_specific_data for event in result.all_node_events if event.event_type.value in {"STEP_FAILURE", "STEP_UP_FOR_RETRY"}]
    errors = [data.error for data in failed if isinstance(data, StepFailureData | StepRetryData) and data.error is not None]
    return [error.cause if error.cls_name == "RetryRequestedFromPolicy" and error.cause else error for error in errors]


@pytest.mark.long
def test_without_a_policy_nothing_is_retried(new_account: Callable[..., SandboxProcess], tmp_path: Path) -> None:
    """The client has its own retries, and waits for files; a step is repeated only if the user says so."""
    sandbox = new_account(events=0)
    sandbox.faults({"path": "/api/lists", "kind": "500", "times": 1})

    assert outcome(definitions(sandbox, tmp_path, retry_policy=None)) == FAILED


@pytest.mark.long
def test_one_type_that_may_be_retried_lets_the_shared_step_try_again(new_account: Callable[..., SandboxProcess], tmp_path: Path) -> None:
    sandbox = new_account(events=0)
    sandbox.faults({"path": "/api/lists", "kind": "500", "times": 1})

    assert outcome(definitions(sandbox, tmp_path, resource_types=["lists", "segments"])) == RETRIED


@pytest.mark.long
@pytest.mark.parametrize("resource_types", [["lists"], ["lists", "segments"]])
def test_an_unexpected_error_is_retried_however_many_types_the_step_has(
    account: SandboxProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resource_types: list[str]
) -> None:
    """As in any op of Dagster: nothing is known about its cause."""
    plan, failures = sync_runner.plan_sync, [KeyError("a")]

    async def fail_once(*arguments: Any) -> Any:
        if failures:
            raise failures.pop()
        return await plan(*arguments)

    monkeypatch.setattr(sync_runner, "plan_sync", fail_once)

    assert outcome(definitions(account, tmp_path, resource_types=resource_types)) == RETRIED

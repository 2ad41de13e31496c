"""The user's ``execute`` is checked when code is loaded; an op fails if it hides what the sync has done."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from klaviyo_assets import KlaviyoComponent, KlaviyoResource, build_klaviyo_assets, build_klaviyo_definitions
from klaviyo_assets.sandbox.keys import ALL_SCOPES_KEY, key_lacking
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.validation import InvalidDefinition

LISTS, SEGMENTS = dg.AssetKey(["klaviyo", "lists"]), dg.AssetKey(["klaviyo", "segments"])


async def asynchronous(context: Any, sync: Any) -> None: ...


async def asynchronous_generator(context: Any, sync: Any) -> Any:
    yield


REFUSED: list[tuple[Any, str]] = [
    (None, r"execute=None cannot be called\. Give a function execute\(context, sync\)"),
    ("sync", "execute='sync' cannot be called"),
    (lambda: iter(()), "cannot be called with a context and a sync: too many positional arguments"),
    (lambda context, sync, more: iter(()), "cannot be called with a context and a sync: missing a required argument: 'more'"),
    (asynchronous, "execute=asynchronous is asynchronous"),
    (asynchronous_generator, "execute=asynchronous_generator is asynchronous"),
]


@pytest.mark.parametrize(("execute", "words"), REFUSED)
def test_what_cannot_be_called_is_refused_at_load(execute: Any, words: str) -> None:
    with pytest.raises(InvalidDefinition, match=words):
        build_klaviyo_assets(resource_types=["lists"], execute=execute)
    with pytest.raises(InvalidDefinition, match=words):
        build_klaviyo_definitions(KlaviyoResource(api_key=dg.EnvVar("A_KEY")), duckdb="shop.duckdb", resource_types=["lists"], execute=execute)


@pytest.mark.parametrize(("execute", "words"), [*REFUSED[:2], (lambda self: iter(()), "execute=.*too many positional arguments")])
def test_a_component_refuses_it_too(execute: Any, words: str) -> None:
    component = type("Shop", (KlaviyoComponent,), {"execute": execute})(api_key=dg.EnvVar("A_KEY"))

    with pytest.raises(InvalidDefinition, match=words):
        component.build_defs(dg.ComponentTree.for_test().load_context)


@pytest.mark.parametrize("execute", [print, max, lambda *arguments: iter(()), lambda context, sync, more=1: iter(())])
def test_what_can_be_called_with_two_arguments_is_accepted(execute: Any) -> None:
    """Python does not know the parameters of ``max``, which is written in C."""
    assert build_klaviyo_assets(resource_types=["lists"], execute=execute)


def returns_nothing(context: Any, sync: Any) -> Any:
    list(sync.run())


def starts_nothing(context: Any, sync: Any) -> Iterator[Any]:
    sync.run()
    yield dg.AssetObservation("other")


def stops_early(context: Any, sync: Any) -> Iterator[Any]:
    for result in sync.run():
        yield result
        if isinstance(result, dg.MaterializeResult):
            return


def drops_all(context: Any, sync: Any) -> Iterator[Any]:
    yield from (result for result in sync.run() if not isinstance(result, dg.MaterializeResult))


def drops_one(context: Any, sync: Any) -> Iterator[Any]:
    yield from (result for result in sync.run() if result.asset_key != SEGMENTS)


@pytest.mark.parametrize(
    ("execute", "words"),
    [
        (returns_nothing, "execute has returned NoneType, not the results of the sync."),
        (lambda context, sync: "a text", "execute has returned str, not the results of the sync."),
        (starts_nothing, "execute has ended, but it has not run the sync of klaviyo/lists, klaviyo/segments to its end."),
        (stops_early, "execute has ended, but it has not run the sync of klaviyo/lists, klaviyo/segments to its end."),
        (drops_all, "The sync has changed the tables of klaviyo/lists, klaviyo/segments, but execute has not yielded their materializations."),
        (drops_one, "The sync has changed the tables of klaviyo/segments, but execute has not yielded their materializations."),
    ],
)
def test_an_op_fails_with_a_sentence_if_results_are_missing(execute: Any, words: str, run: Callable[..., dg.ExecuteInProcessResult]) -> None:
    result = run(execute)

    (failed,) = [event.step_failure_data for event in result.all_node_events if event.is_step_failure]
    assert failed.user_failure_data is not None, "a Failure, not another error"
    assert failed.user_failure_data.description == f"{words} What to do: Let execute yield what sync.run() yields, and raise its failure."
    assert failed.error is not None
    assert failed.error.cause is None
    assert not any(event.event_type_value == "STEP_UP_FOR_RETRY" for event in result.all_node_events)


def returns_a_list(context: Any, sync: Any) -> Any:
    return list(sync.run())


def replaces_results(context: Any, sync: Any) -> Iterator[Any]:
    for result in sync.run():
        yield result._replace(metadata={"by": "me"}) if isinstance(result, dg.MaterializeResult) else result


@pytest.mark.parametrize("execute", [returns_a_list, replaces_results])
def test_results_may_be_collected_or_changed(execute: Any, run: Callable[..., dg.ExecuteInProcessResult]) -> None:
    result = run(execute)

    assert result.success
    assert {event.asset_key for event in result.get_asset_materialization_events()} == {LISTS, SEGMENTS}


def handles_the_failure(context: Any, sync: Any) -> Iterator[Any]:
    try:
        yield from sync.run()
    except dg.Failure as error:
        context.log.info(error.description)


def test_the_failure_of_a_sync_may_be_handled(run: Callable[..., dg.ExecuteInProcessResult]) -> None:
    """The sync has come to its end; what it has materialized was passed on."""
    result = run(handles_the_failure, key=key_lacking("segments:read"))

    assert result.success
    assert {event.asset_key for event in result.get_asset_materialization_events()} == {LISTS}


@pytest.fixture
def run(account: SandboxProcess, tmp_path: Path, instance: dg.DagsterInstance) -> Callable[..., dg.ExecuteInProcessResult]:
    """Returns a function that runs a job of two types in one op, which may be retried."""

    def result_of(execute: Any, key: str = ALL_SCOPES_KEY) -> dg.ExecuteInProcessResult:
        defs = build_klaviyo_definitions(
            KlaviyoResource(api_key=key, base_url=account.base_url),
            duckdb=tmp_path / "shop.duckdb",
            resource_types=["lists", "segments"],
            execute=execute,
            retry_policy=dg.RetryPolicy(max_retries=1),
            executor=dg.in_process_executor,
        )
        return defs.resolve_job_def("klaviyo_sync").execute_in_process(instance=instance, raise_on_error=False)

    return result_of

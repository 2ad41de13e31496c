"""The recipes of docs/alerts.md, run unchanged: what they send, and when."""

from collections.abc import Iterator
from types import ModuleType

import dagster as dg
import pytest

from klaviyo_assets.sandbox.keys import ALL_SCOPES_KEY
from klaviyo_assets_tests.documentation.blocks import run_python

SEVERITIES = {"warns": dg.AssetCheckSeverity.WARN, "fails": dg.AssetCheckSeverity.ERROR, "passes": dg.AssetCheckSeverity.ERROR}


class Verdict(dg.Config):
    """How the check of the asset ends."""

    verdict: str


@dg.asset(check_specs=[dg.AssetCheckSpec("complete", asset="events")])
def events(config: Verdict) -> dg.MaterializeResult:
    if config.verdict == "breaks":
        raise dg.Failure("Klaviyo refuses the key. What to do: create a new one.")
    result = dg.AssetCheckResult(
        check_name="complete", passed=config.verdict == "passes", severity=SEVERITIES[config.verdict], description="2 days differ."
    )
    return dg.MaterializeResult(check_results=[result])


DEFS = dg.Definitions(assets=[events])


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture
def sent() -> list[str]:
    return []


@pytest.fixture
def alerts(sent: list[str], monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setenv("KLAVIYO_API_KEY", ALL_SCOPES_KEY)
    module = run_python("docs/alerts.md")
    monkeypatch.setattr(module, "send", sent.append)
    return module


def materialize(instance: dg.DagsterInstance, verdict: str) -> dg.ExecuteInProcessResult:
    config = dg.RunConfig(ops={"events": Verdict(verdict=verdict)})
    return DEFS.resolve_implicit_global_asset_job_def().execute_in_process(config, instance=instance, raise_on_error=False)


def test_a_failed_check_sends_one_message_until_it_has_passed(alerts: ModuleType, instance: dg.DagsterInstance, sent: list[str]) -> None:
    cursor = None
    counts = []
    for verdict in ("passes", "fails", None, "fails", "passes", "fails"):
        if verdict:
            assert materialize(instance, verdict).success  # a failed check leaves its run green
        with dg.build_sensor_context(instance, cursor=cursor, repository_def=DEFS.get_repository_def()) as context:
            alerts.failed_checks(context)
            cursor = context.cursor
        counts.append(len(sent))

    assert counts == [0, 1, 1, 1, 1, 2]
    assert sent[0] == "events: complete failed. 2 days differ."


def test_a_warning_sends_nothing(alerts: ModuleType, instance: dg.DagsterInstance, sent: list[str]) -> None:
    materialize(instance, "warns")

    with dg.build_sensor_context(instance, repository_def=DEFS.get_repository_def()) as context:
        alerts.failed_checks(context)

    assert sent == []


def test_a_check_that_is_being_evaluated_stays_known(alerts: ModuleType, instance: dg.DagsterInstance, sent: list[str]) -> None:
    materialize(instance, "fails")
    job, config = DEFS.resolve_implicit_global_asset_job_def(), dg.RunConfig(ops={"events": Verdict(verdict="fails")})
    instance.create_run_for_job(job, run_config=config.to_config_dict(), asset_selection=frozenset({dg.AssetKey("events")}))
    key = dg.AssetCheckKey(dg.AssetKey("events"), "complete")
    latest = instance.get_latest_asset_check_evaluation_record(key)

    assert latest is not None
    assert latest.status.value == "PLANNED"
    with dg.build_sensor_context(instance, cursor='["events: complete"]', repository_def=DEFS.get_repository_def()) as context:
        alerts.failed_checks(context)
        assert context.cursor == '["events: complete"]'
    assert sent == []


def test_a_failed_run_sends_what_to_do(alerts: ModuleType, instance: dg.DagsterInstance, sent: list[str]) -> None:
    result = materialize(instance, "breaks")
    (failure,) = [event for event in result.all_events if event.event_type == dg.DagsterEventType.RUN_FAILURE]

    with dg.build_run_status_sensor_context("failed_runs", failure, instance, result.dagster_run) as context:
        alerts.failed_runs(context.for_run_failure())

    assert len(sent) == 1
    assert "What to do: create a new one." in sent[0]

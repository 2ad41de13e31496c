"""The environment variables of the shipped code location select metrics of events: a sync through Dagster stores the events of these only."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from klaviyo_assets import definitions
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.settings.options import InvalidSetting
from klaviyo_assets_tests.accounts import local_file, query

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("unpaced")]

NewAccount = Callable[..., SandboxProcess]


@pytest.fixture
def shop(new_account: NewAccount, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SandboxProcess:
    """An account without events that are still to arrive, which the environment names."""
    found = new_account(metrics=5, events=400, profiles=60)
    found.advance(timedelta(days=40))
    monkeypatch.setenv("KLAVIYO_API_KEY", found.keys.all_scopes)
    monkeypatch.setenv("KLAVIYO_BASE_URL", found.base_url)
    monkeypatch.setenv("KLAVIYO_DUCKDB_PATH", str(tmp_path / "shop.duckdb"))
    monkeypatch.setenv("KLAVIYO_RESOURCE_TYPES", "events,metrics")
    return found


def materialize() -> dg.ExecuteInProcessResult:
    """Load the code location, as Dagster does, and materialize its assets."""
    job = definitions._definitions().resolve_implicit_global_asset_job_def()
    return job.execute_in_process(raise_on_error=False)


def materialized(result: dg.ExecuteInProcessResult) -> set[str]:
    return {event.asset_key.path[-1] for event in result.get_asset_materialization_events() if event.asset_key is not None}


def stored(folder: Path) -> dict[str | None, int]:
    """Return the number of stored events by the name of their metric; None for events without one."""
    sql = "SELECT name, count(*) FROM events LEFT JOIN metrics ON metrics.id = metric_id WHERE events._deleted_at IS NULL GROUP BY ALL"
    return dict(query(local_file(folder, "shop.duckdb"), sql))


def true_counts(shop: SandboxProcess) -> dict[str | None, int]:
    """Return the number of the account's events by the name of their metric; None for events without one."""
    names = {one["id"]: one["attributes"]["name"] for one in shop.truth("metrics")}
    metrics = [one["relationships"]["metric"].get("data") for one in shop.truth("events")]
    return Counter(metric and names[metric["id"]] for metric in metrics)


def names_in(counts: dict[str | None, int]) -> list[str]:
    return sorted(name for name in counts if name is not None)


def test_only_events_of_the_named_metrics_are_stored(shop: SandboxProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    true = true_counts(shop)
    first, second, *others = names_in(true)
    assert others
    ids = {one["attributes"]["name"]: one["id"] for one in shop.truth("metrics")}
    monkeypatch.setenv("KLAVIYO_EVENT_METRICS", f"{first}, {ids[second]}")  # a name and an id

    result = materialize()

    assert result.success
    assert materialized(result) == {"events", "metrics"}
    assert stored(tmp_path) == {first: true[first], second: true[second]}


def test_events_of_an_excluded_metric_are_not_stored(shop: SandboxProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    true = true_counts(shop)
    left_out = names_in(true)[0]
    monkeypatch.setenv("KLAVIYO_EXCLUDE_EVENT_METRICS", left_out)

    assert materialize().success

    assert stored(tmp_path) == {name: count for name, count in true.items() if name != left_out}
    monkeypatch.delenv("KLAVIYO_EXCLUDE_EVENT_METRICS")
    shop.advance(timedelta(minutes=1))
    assert materialize().success
    assert stored(tmp_path) == true, "the history of a metric that is no longer excluded is read"


@pytest.mark.parametrize("variable", ["KLAVIYO_EVENT_METRICS", "KLAVIYO_EXCLUDE_EVENT_METRICS"])
def test_a_name_that_no_metric_has_fails_events_alone_and_the_error_names_the_variable(
    variable: str, shop: SandboxProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = names_in(true_counts(shop))[0]
    wrong = f"{name[:-1]}{'x' if name[-1] != 'x' else 'y'}"
    monkeypatch.setenv(variable, wrong)

    result = materialize()

    assert not result.success
    assert materialized(result) == {"metrics"}
    (failed,) = [event.step_failure_data for event in result.all_node_events if event.is_step_failure]
    words = failed.error_display_string
    assert f"{variable} names {wrong!r}, and the account has no metric with this name or id." in words
    assert f"Did you mean {name!r}" in words


def test_metrics_to_include_and_to_exclude_are_refused_when_the_code_location_loads(shop: SandboxProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLAVIYO_EVENT_METRICS", "Placed Order")
    monkeypatch.setenv("KLAVIYO_EXCLUDE_EVENT_METRICS", "Active on Site")

    with pytest.raises(InvalidSetting, match="KLAVIYO_EVENT_METRICS and KLAVIYO_EXCLUDE_EVENT_METRICS are both set"):
        definitions._definitions()


def test_a_type_that_does_not_exist_is_refused_when_the_code_location_loads(shop: SandboxProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLAVIYO_RESOURCE_TYPES", "core, list_membres")

    with pytest.raises(Exception, match="list_membres") as refused:
        definitions._definitions()

    assert "list_members" in str(refused.value), "it proposes the name that was meant"

"""Data versions change only with the rows, and code versions only with columns and options."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from klaviyo_assets import KlaviyoResource, KlaviyoTranslator, build_klaviyo_definitions
from klaviyo_assets_tests.marts.folders import write_model
from klaviyo_assets_tests.marts.stored import START, KeptOpen, StoredAccount


@pytest.fixture
def instance(monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    monkeypatch.setenv("A_KEY", "pk_0123456789abcdef0123456789abcdef01")
    with dg.DagsterInstance.ephemeral() as found:
        yield found


def definitions(path: Path, **options: Any) -> dg.Definitions:
    klaviyo = {name: options.pop(name) for name in list(options) if name in KlaviyoResource.model_fields}
    return build_klaviyo_definitions(KlaviyoResource(api_key=dg.EnvVar("A_KEY"), **klaviyo), duckdb=path, **options)


def code_versions(**options: Any) -> dict[str, str | None]:
    return {spec.key.path[-1]: spec.code_version for spec in definitions(Path("a.duckdb"), **options).resolve_all_asset_specs()}


def changed(one: Mapping[str, str | None], other: Mapping[str, str | None]) -> set[str]:
    return {name for name in one if one[name] != other[name]}


def test_code_versions_follow_the_options_that_decide_what_is_stored() -> None:
    plain = code_versions(partitions="daily")

    assert None not in plain.values()
    assert plain == code_versions(partitions="daily", concurrency=3, rate_limit_share=0.1, start_date=None)
    assert changed(plain, code_versions(partitions="daily", field_rules={"profiles": {"email": "drop"}})) == {"profiles"}
    assert changed(plain, code_versions(partitions="daily", event_metrics=["Placed Order"])) == {"events", "events_by_day"}
    assert changed(plain, code_versions(partitions="daily", revision="2025-01-15")) == {*plain}
    dated = code_versions(partitions="daily", start_date="2026-01-01")
    assert changed(plain, dated) == {"events", "events_by_day"}
    assert changed(dated, code_versions(partitions="daily", start_date=dg.EnvVar("A_DATE"))) == {"events", "events_by_day"}, "by its name"


def test_a_translator_may_set_the_code_version() -> None:
    class Versioned(KlaviyoTranslator):
        def get_asset_spec(self, entry: Any) -> dg.AssetSpec:
            return super().get_asset_spec(entry).replace_attributes(code_version="mine")

    assert {*code_versions(translator=Versioned(), start_date="2026-01-01").values()} == {"mine"}


def build(defs: dg.Definitions, instance: dg.DagsterInstance, job: str, *names: str) -> dict[str, str]:
    """Run a job for some assets, and return the data version of each."""
    keys = [dg.AssetKey(["klaviyo", name]) for name in names]
    result = defs.resolve_job_def(job).execute_in_process(instance=instance, asset_selection=keys)
    found = [event.materialization for event in result.get_asset_materialization_events()]
    assert {one.asset_key for one in found} == {*keys}
    return {one.asset_key.path[-1]: one.tags["dagster/data_version"] for one in found}


@pytest.mark.long
def test_the_versions_of_marts_and_of_the_copy_change_with_the_rows(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    folder, path = tmp_path / "models", tmp_path / "shop.duckdb"
    write_model(folder, "whole", "SELECT id, value / 3.0 AS value, count(*) OVER () AS n FROM live_events")
    header = "-- incremental: profile_id\n-- column profile_id: The person.\n"
    write_model(folder, "of_people", "SELECT profile_id, count(*) AS n FROM live_events GROUP BY ALL", key="profile_id", header=header)
    defs = definitions(path, marts=folder, publish=tmp_path / "copy" / "published.duckdb")

    def store(*numbers: int) -> None:
        warehouse = KeptOpen(path)
        account = StoredAccount(warehouse, *([] if path.with_suffix(".state").exists() else ["events"]))
        account.now += timedelta(hours=numbers[0])
        account.sync({"events": [{"id": f"e{number}", "profile_id": f"p{number}", "value": 1.0, "datetime": START} for number in numbers]})
        warehouse.close()

    def versions() -> dict[str, str]:
        return build(defs, instance, "klaviyo_build_marts", "whole", "of_people") | build(defs, instance, "klaviyo_publish", "published")

    store(*range(8))
    first = versions()
    assert versions() == first, "also of a model that is built completely each time"
    store(9)
    second = versions()
    assert changed(first, second) == {*first}
    assert versions() == second

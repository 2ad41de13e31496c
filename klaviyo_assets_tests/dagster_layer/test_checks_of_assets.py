"""What the checks of the assets report about the key, its scopes and the tables."""

from pathlib import Path

import dagster as dg
import duckdb
import pytest

from klaviyo_assets import CATALOG
from klaviyo_assets.sandbox.keys import PLAN_GATED_KEY, key_lacking
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets_tests.dagster_layer.account_runs import check_results, definitions, execute, materialized

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("unpaced")]


def test_a_missing_scope_stops_its_own_asset_only(account: SandboxProcess, tmp_path: Path, instance: dg.DagsterInstance) -> None:
    result = execute(definitions(account, tmp_path, key_lacking("reviews:read")), instance)

    assert not result.success
    assert materialized(result) == set(CATALOG.default_names) - {"reviews"}
    check = check_results(result)["reviews", "scope_coverage"]
    assert not check.passed
    assert check.metadata["verdict"].value == "scope missing"
    assert check.metadata["scope"].value == "reviews:read"
    assert "Create a new private API key that has reviews:read" in check.description
    assert check_results(result)["reviews", "primary_key"].description == "Nothing to check. The table klaviyo.reviews is empty."
    failure = next(event for event in result.all_node_events if event.is_step_failure)
    words = failure.step_failure_data.error_display_string  # type: ignore[union-attr]
    assert "lacks the scope reviews:read" in words
    assert "Create a new private API key that has reviews:read" in words


def test_with_the_first_eight_scopes_everything_else_works_and_the_run_is_green(
    account: SandboxProcess, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    result = execute(definitions(account, tmp_path, account.keys.required_scopes), instance)

    assert result.success
    first = {"campaigns", "events", "flows", "lists", "metrics", "profiles", "reviews", "segments"}
    assert materialized(result) == {name for name in CATALOG.default_names if {*CATALOG[name].scopes} <= {f"{one}:read" for one in first}} >= first
    found = check_results(result)
    for name in {*CATALOG.default_names} - materialized(result):
        assert not found[name, "scope_coverage"].passed
        assert found[name, "scope_coverage"].severity is dg.AssetCheckSeverity.WARN
        assert "create a new key that also has" in found[name, "scope_coverage"].description
    assert found["accounts", "api_key_valid"].passed
    assert "lacks accounts:read" in found["accounts", "api_key_valid"].description
    assert not found["accounts", "scope_coverage"].passed
    assert found["accounts", "scope_coverage"].severity is dg.AssetCheckSeverity.WARN


def test_plan_gate_is_not_reported_as_a_missing_scope(account: SandboxProcess, tmp_path: Path, instance: dg.DagsterInstance) -> None:
    result = execute(definitions(account, tmp_path, PLAN_GATED_KEY), instance, job="klaviyo_checks")

    assert check_results(result)["reviews", "scope_coverage"].metadata["verdict"].value == "not in the plan"


@pytest.mark.parametrize(
    ("key", "state", "words"),
    [
        ("pk_" + "0" * 34, "rejected", "does not accept"),
        ("abc123", "malformed", "public API key"),
        ("Bearer pk_0123456789abcdef0123456789abcdef01", "malformed", "HTTP header"),
        ("", "malformed", "empty"),
    ],
    ids=["unknown to Klaviyo", "public key", "pasted header", "empty"],
)
def test_the_access_checks_recognize_a_bad_key(
    key: str, state: str, words: str, account: SandboxProcess, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    result = execute(definitions(account, tmp_path, key), instance, job="klaviyo_checks")

    found = check_results(result)
    assert materialized(result) == set()
    assert found["accounts", "api_key_valid"].metadata["verdict"].value == state
    assert words in found["accounts", "api_key_valid"].description
    assert all(found[name, "scope_coverage"].metadata["verdict"].value == "key refused" for name in CATALOG.default_names)


def test_checks_run_alone_before_anything_is_materialized(account: SandboxProcess, tmp_path: Path, instance: dg.DagsterInstance) -> None:
    result = execute(definitions(account, tmp_path), instance, job="klaviyo_checks")

    assert result.success
    assert materialized(result) == set()
    assert set(check_results(result)) == {(name, "scope_coverage") for name in CATALOG.default_names} | {("accounts", "api_key_valid")}


def test_table_checks_find_what_is_wrong_with_the_whole_table(account: SandboxProcess, tmp_path: Path, instance: dg.DagsterInstance) -> None:
    defs = definitions(account, tmp_path)
    execute(defs, instance, asset_selection=[dg.AssetKey(["klaviyo", "lists"])])

    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        connection.execute("INSERT INTO klaviyo.lists BY NAME SELECT * FROM klaviyo.lists LIMIT 1")
        connection.execute("""UPDATE klaviyo.lists SET _extra = '{"colour": "red"}' WHERE id = (SELECT max(id) FROM klaviyo.lists)""")
    keys = [dg.AssetCheckKey(dg.AssetKey(["klaviyo", "lists"]), name) for name in ("primary_key", "unknown_attributes")]
    job = dg.Definitions(assets=defs.assets, resources=defs.resources, jobs=[dg.define_asset_job("alone", selection=dg.AssetSelection.checks(*keys))])
    found = check_results(job.resolve_job_def("alone").execute_in_process(instance=instance, raise_on_error=False))

    assert not found["lists", "primary_key"].passed
    assert "1 keys in more than one row" in found["lists", "primary_key"].description
    assert not found["lists", "unknown_attributes"].passed
    assert "colour" in found["lists", "unknown_attributes"].description


def test_check_that_cannot_run_does_not_hide_others(account: SandboxProcess, tmp_path: Path, instance: dg.DagsterInstance) -> None:
    defs = definitions(account, tmp_path)
    execute(defs, instance, asset_selection=[dg.AssetKey(["klaviyo", "lists"])])

    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        connection.execute("ALTER TABLE klaviyo.lists DROP COLUMN _extra")
    keys = [dg.AssetCheckKey(dg.AssetKey(["klaviyo", "lists"]), name) for name in ("primary_key", "unknown_attributes", "schema_drift")]
    job = dg.Definitions(assets=defs.assets, resources=defs.resources, jobs=[dg.define_asset_job("alone", selection=dg.AssetSelection.checks(*keys))])
    result = job.resolve_job_def("alone").execute_in_process(instance=instance, raise_on_error=False)
    found = check_results(result)

    assert result.success
    assert found["lists", "primary_key"].passed
    for name in ("unknown_attributes", "schema_drift"):
        assert (found["lists", name].passed, found["lists", name].severity) == (False, dg.AssetCheckSeverity.WARN)
        assert "_extra" in (found["lists", name].description or "")

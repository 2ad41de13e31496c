"""Components in use: the key is shown and stored nowhere; two accounts in one file; what ``dg`` imports to find the component."""

import configparser
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import duckdb
import pytest
import yaml
from polars.testing import assert_frame_equal

from klaviyo_assets import CATALOG
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets_tests.accounts import local_file, table, truth
from klaviyo_assets_tests.dagster_layer.launchpad import LOCATION, launchpad_of_file
from klaviyo_assets_tests.dagster_layer.projects import KEY, document, loaded, project, specs, text
from klaviyo_assets_tests.dagster_layer.test_launchpad import launch, stored_text

pytestmark = pytest.mark.filterwarnings("ignore::dagster.BetaWarning", "ignore:Property `ScheduleDefinition:DeprecationWarning")
"""Raised by Dagster's own code for what it adds to every component."""

NewAccount = Callable[..., SandboxProcess]

RESOURCES = """
    query ($repository: RepositorySelector!) {
      allTopLevelResourceDetailsOrError(repositorySelector: $repository) {
        ... on ResourceDetailsList { results { name configuredValues { key value type } configFields { name defaultValueAsJson } } }
      }
      assetNodes { id description metadataEntries { label description } configField { configType { key } } }
    }
"""


@pytest.mark.long
@pytest.mark.oldest
@pytest.mark.usefixtures("unpaced")
def test_the_key_is_not_in_graphql_launchpads_or_storage(account: SandboxProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, account.keys.all_scopes)
    attributes = {"base_url": account.base_url, "database": str(tmp_path / "shop.duckdb"), "resource_types": ["lists", "events"]}
    location = project(tmp_path / "shop", document("eu", **attributes))
    monkeypatch.syspath_prepend(tmp_path / "shop")
    home = tmp_path / "home"

    with launchpad_of_file(location, home) as launchpad:
        shown = {job: launchpad.shown(job) for job in launchpad.jobs}
        assert launchpad.launch("eu_checks", shown["eu_checks"]).is_success
        answer = launchpad._ask(RESOURCES, repository={"repositoryLocationName": LOCATION, "repositoryName": "__repository__"})

    assert len(shown) > 4
    assert {one["name"] for one in answer["allTopLevelResourceDetailsOrError"]["results"]} >= {"eu", "eu_duckdb"}
    assert len(answer["assetNodes"]) == 2
    assert not [found for found in (*shown.values(), json.dumps(answer), *stored_text(home)) if "pk_" in found]


@pytest.mark.long
@pytest.mark.oldest
@pytest.mark.usefixtures("unpaced")
def test_two_accounts_of_one_file_sync_at_once(
    account: SandboxProcess, new_account: NewAccount, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each with a translation of its own. Then the key of one account is missing, which does not stop the job of the other one."""
    accounts = {"eu": account, "us": new_account(seed=7, lists=5)}
    file = str(tmp_path / "shop.duckdb")
    documents = [
        document(
            name,
            api_key=f"{{{{ env.KEY_{name.upper()} }}}}",
            base_url=sandbox.base_url,
            database=file,
            resource_types=["accounts", "lists"],
            translation={"group_name": f"team_{name}"},
        )
        for name, sandbox in accounts.items()
    ]
    for name, sandbox in accounts.items():
        monkeypatch.setenv(f"KEY_{name.upper()}", sandbox.keys.all_scopes)

    with loaded(text(*documents)) as defs, dg.DagsterInstance.ephemeral() as instance:
        assert {key: spec.group_name for key, spec in specs(defs).items()} == {
            f"{name}/{type_}": f"team_{name}" for name in accounts for type_ in ("accounts", "lists")
        }
        assert defs.resolve_implicit_global_asset_job_def().execute_in_process(instance=instance).success
        with duckdb.connect(file, read_only=True) as connection:
            rows = {name: connection.execute(f"SELECT count(*) FROM {name}.lists").fetchone() for name in accounts}
            ids = {connection.execute(f"SELECT id FROM {name}.accounts").fetchone() for name in accounts}
        assert rows == {"eu": (account.options.lists,), "us": (5,)}
        assert len(ids) == 2

        monkeypatch.delenv("KEY_US")
        assert launch(defs, defs.resolve_job_def("eu_sync"), instance).success
        with pytest.raises(dg.DagsterInvalidConfigError, match="KEY_US"):
            launch(defs, defs.resolve_job_def("us_sync"), instance)


TINY = {
    "events": 100,
    "profiles": 40,
    "campaigns": 6,
    "flows": 3,
    "lists": 3,
    "segments": 3,
    "metrics": 6,
    "reviews": 9,
    "others": 3,
    "history_days": 10,
}


@pytest.mark.slow
@pytest.mark.usefixtures("unpaced")
def test_one_run_materializes_all_types_of_two_accounts_into_one_file(
    new_account: NewAccount, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime.now(UTC)
    accounts = {name: new_account(seed=seed, base=now - timedelta(minutes=61), clock=now, **TINY) for seed, name in enumerate(("eu", "us"), start=1)}
    documents = []
    for name, sandbox in accounts.items():
        monkeypatch.setenv(f"KEY_{name.upper()}", sandbox.keys.all_scopes)
        key = f"{{{{ env.KEY_{name.upper()} }}}}"
        documents.append(document(name, api_key=key, base_url=sandbox.base_url, database=str(tmp_path / "shop.duckdb"), rate_limit_share=1.0))

    with loaded(text(*documents)) as defs, dg.DagsterInstance.ephemeral() as instance:
        keys = [*defs.resolve_asset_graph().get_all_asset_keys()]
        result = defs.resolve_implicit_global_asset_job_def().execute_in_process(instance=instance, asset_selection=keys, raise_on_error=False)

    assert result.success
    materialized = {tuple(event.asset_key.path) for event in result.get_asset_materialization_events() if event.asset_key}
    assert materialized == {(name, type_) for name in accounts for type_ in CATALOG.default_names}
    warehouse = local_file(tmp_path, "shop.duckdb")
    for name, sandbox in accounts.items():
        for type_, entry in CATALOG.select(CATALOG.default_names).items():
            volatile = [column.name for column in entry.columns if column.volatile]
            assert_frame_equal(table(warehouse, type_, schema=name).drop(volatile), truth(sandbox, type_).drop(volatile))
    ids = {name: {*table(warehouse, "profiles", schema=name)["id"]} for name in accounts}
    assert ids["eu"].isdisjoint(ids["us"])


_DISCOVERY = """
import sys
import dagster
from dagster.components.core.package_entry import discover_package_objects
before = set(sys.modules)
{}
print(sorted(set(sys.modules) - before))
"""


def imported(statement: str) -> set[str]:
    command = [sys.executable, "-W", "error", "-c", _DISCOVERY.format(statement)]
    return set(yaml.safe_load(subprocess.run(command, capture_output=True, text=True, check=True).stdout))


@pytest.mark.long
def test_dg_finds_the_component_and_imports_only_its_module() -> None:
    statement = (
        "found = discover_package_objects(['klaviyo_assets']); assert [key.to_typename() for key in found] == ['klaviyo_assets.KlaviyoComponent']"
    )
    modules = imported(statement)

    assert modules == imported("import klaviyo_assets.component.component")
    names = (
        "polars",
        "duckdb",
        "dagster_duckdb",
        "httpx",
        "klaviyo_assets.build",
        "klaviyo_assets.assets.resource_type_assets",
        "klaviyo_assets.resources",
    )
    assert modules.isdisjoint(names)


def test_the_package_is_registered_with_dg() -> None:
    setup = configparser.ConfigParser()
    setup.read(Path(__file__).parents[2] / "setup.cfg")
    assert setup["options.entry_points"]["dagster_dg_cli.registry_modules"].strip() == "klaviyo_assets = klaviyo_assets"

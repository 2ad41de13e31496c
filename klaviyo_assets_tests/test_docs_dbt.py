"""The code in docs/dbt.md works unchanged. The part that needs dbt is skipped where dbt-duckdb and dagster-dbt are not installed."""

import os
import re
import sys
from pathlib import Path
from types import ModuleType

import dagster as dg
import duckdb
import pytest

from klaviyo_assets.publish.publisher import Publisher
from klaviyo_assets.publish.target import PublishTarget
from klaviyo_assets_tests.accounts import local_file
from klaviyo_assets_tests.marts.small_shop import EVENTS, SCHEMA, fill
from klaviyo_assets_tests.marts.stored import StoredAccount

PAGE = Path(__file__).parents[1] / "docs" / "dbt.md"


def block(language: str, within: str) -> str:
    """Return the block of code that contains a text."""
    (found,) = [code for code in re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL) if within in code]
    return str(found)


def module(code: str) -> ModuleType:
    """Return a block of Python as a module."""
    made = ModuleType("example")
    exec(compile(code, str(PAGE), "exec"), made.__dict__)
    return made


@pytest.mark.long
def test_the_definitions_have_the_views_and_the_published_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLAVIYO_API_KEY", "pk_0123456789abcdef0123456789abcdef01")
    defs = module(block("python", 'marts="fivetran"')).defs

    assert {"klaviyo/event", "klaviyo/published"} <= {spec.key.to_user_string() for spec in defs.resolve_all_asset_specs()}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The dbt project of the page, without packages, next to a published copy of the small shop."""
    pytest.importorskip("dagster_dbt")
    pytest.importorskip("dbt.adapters.duckdb")
    warehouse = local_file(tmp_path / "data", "warehouse.duckdb")
    StoredAccount(warehouse, "events").sync({"events": []})
    with warehouse.transaction() as connection:
        fill(connection, SCHEMA, EVENTS)
    Publisher(warehouse, PublishTarget.at(tmp_path / "data" / "published.duckdb", None)).publish()
    files = {
        "profiles.yml": block("yaml", "read_only: true"),
        "dbt_project.yml": block("yaml", "profile: shop"),
        "models/sources.yml": block("yaml", "asset_key"),
        "models/events_by_month.sql": block("sql", "date_trunc"),
    }
    for name, text in files.items():
        (path := tmp_path / "dbt" / name).parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("DBT_SEND_ANONYMOUS_USAGE_STATS", "false")
    monkeypatch.setenv("DAGSTER_IS_DEV_CLI", "1")  # the manifest is made as in dagster dev
    return tmp_path


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_own_models_run_downstream_of_the_tables(project: Path) -> None:
    example = module(block("python", "@dbt_assets"))
    (spec,) = example.shop_models.specs

    assert {dep.asset_key.to_user_string() for dep in spec.deps} == {"klaviyo/events", "klaviyo/published"}
    assert dg.materialize([example.shop_models], resources=example.models.resources).success
    with duckdb.connect(str(project / "data" / "analytics.duckdb"), read_only=True) as connection:
        ((counted,),) = connection.execute("SELECT sum(events) FROM dbt.events_by_month").fetchall()
    assert counted > 0

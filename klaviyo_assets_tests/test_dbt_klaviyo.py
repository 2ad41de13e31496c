"""The dbt package dbt_klaviyo builds on a published copy, as docs/dbt.md says, and its figures differ from the marts as the page explains.

``make dbt-klaviyo`` runs it. ``DBT`` in the environment is the command of a dbt, which has an environment of its own. Without access to dbt's package
index, ``INSTALLED_DBT_PACKAGES`` is a folder ``dbt_packages`` that was filled elsewhere.
"""

import json
import os
import re
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from klaviyo_assets.marts.library import FIVETRAN, read_models
from klaviyo_assets.marts.mart_runner import MartRunner
from klaviyo_assets.publish.publisher import Publisher
from klaviyo_assets.publish.target import PublishTarget
from klaviyo_assets_tests.accounts import local_file, small, sync
from klaviyo_assets_tests.marts.small_shop import SCHEMA
from klaviyo_assets_tests.test_docs_dbt import block

pytestmark = pytest.mark.slow

NOW = datetime(2026, 6, 15, tzinfo=UTC)
TYPES = (
    *("accounts", "metrics", "mapped_metrics", "events", "profiles", "tags"),
    *("campaigns", "campaign_messages", "flows", "flow_actions", "flow_messages"),
)
UNREACHABLE = re.compile("ConnectionError|External connection exception|Could not resolve host|Connection timed out")
MODELS = 18
Row = dict[str, Any]


@pytest.fixture(scope="module")
def dbt() -> str:
    """The command of dbt."""
    if "DBT" not in os.environ:
        pytest.skip("DBT does not name a dbt with dbt-duckdb; make dbt-klaviyo installs one")
    return os.environ["DBT"]


def run(dbt: str, project: Path, command: str) -> subprocess.CompletedProcess[str]:
    """Run a command of dbt in a project."""
    environment = {**os.environ, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}
    return subprocess.run([dbt, "--no-use-colors", command], cwd=project, env=environment, capture_output=True, text=True, check=False)


def install(dbt: str, project: Path) -> None:
    """Install the packages of a project, or skip the test if dbt's package index cannot be reached."""
    if folder := os.environ.get("INSTALLED_DBT_PACKAGES"):
        (project / "dbt_packages").symlink_to(Path(folder).absolute())
        return
    done = run(dbt, project, "deps")
    if done.returncode and UNREACHABLE.search(done.stdout + done.stderr):
        pytest.skip("dbt deps cannot reach hub.getdbt.com or github.com")
    assert done.returncode == 0, done.stdout + done.stderr


def merged(one: Row, other: Row) -> Row:
    """Return both mappings in one, values of nested ones too."""
    return {**one, **{key: merged(one[key], value) if isinstance(one.get(key), dict) else value for key, value in other.items()}}


def build(dbt: str, project: Path) -> list[Row]:
    """Build all models of a project and return their results."""
    done = run(dbt, project, "build")
    assert done.returncode == 0, done.stdout
    results: list[Row] = json.loads((project / "target" / "run_results.json").read_text())["results"]
    return results


@pytest.fixture(scope="module")
def project(dbt: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page's project, with its packages, next to a published copy with marts."""
    folder = tmp_path_factory.mktemp("dbt")
    project = folder / "dbt"
    settings = (yaml.safe_load(block("yaml", text)) for text in ("profile: shop", "klaviyo__event_pass_through_columns"))
    files = {
        "profiles.yml": block("yaml", "read_only: true"),
        "packages.yml": block("yaml", "package: fivetran/klaviyo"),
        "dbt_project.yml": yaml.safe_dump(merged(*settings)),
        "macros/duckdb.sql": block("sql", "duckdb__json_parse"),
    }
    for name, text in files.items():
        (path := project / name).parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    install(dbt, project)
    warehouse = local_file(folder / "data", "warehouse.duckdb")
    with small(metrics=30, base=NOW - timedelta(minutes=61), clock=NOW) as sandbox:
        for name in TYPES:
            sync(name, sandbox, warehouse)
    for result in MartRunner(warehouse, SCHEMA, read_models([FIVETRAN])).run(now=NOW):
        result.raise_if_failed()
    Publisher(warehouse, PublishTarget.at(folder / "data" / "published.duckdb", None)).publish()
    return project


@pytest.fixture(scope="module")
def built(dbt: str, project: Path) -> list[Row]:
    """The results of the first build."""
    return build(dbt, project)


def rows(project: Path, sql: str) -> list[Row]:
    """Run a query of the page in dbt's file."""
    with duckdb.connect(str(project.parent / "data" / "analytics.duckdb"), read_only=True) as connection:
        found = connection.execute(sql.replace("data/published.duckdb", str(project.parent / "data" / "published.duckdb")))
        names = [column[0] for column in found.description or ()]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def comparison(kind: str) -> str:
    """Return the page's comparison of campaigns, or what the page says to change in it for flows."""
    sql = block("sql", "dbt_klaviyo.klaviyo__campaigns")
    return sql if kind == "campaign" else re.sub("campaign(?=s|_)", "flow", sql)


def test_all_models_are_built(project: Path, built: list[Row]) -> None:
    models = [one for one in built if one["unique_id"].startswith("model.klaviyo.")]

    assert len(models) == MODELS
    assert {one["status"] for one in built} <= {"success", "pass"}
    stored = "SELECT count(*) AS events FROM published.klaviyo.events WHERE _deleted_at IS NULL"
    (events,) = rows(project, f"ATTACH 'data/published.duckdb' AS published (READ_ONLY); {stored}")
    assert rows(project, "SELECT count(*) AS events FROM dbt_klaviyo.klaviyo__events") == [events]


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize("kind", ["campaign", "flow"])
def test_each_difference_from_the_marts_is_explained(project: Path, kind: str) -> None:
    found = rows(project, comparison(kind))

    assert len(found) > 1
    for name in ("more_received", "more_clicked", "more_unsubscribed", "more_orders"):
        assert {row[name] for row in found} == {0}, name
    assert [row["more_opened"] for row in found] == [row["machine_opens"] for row in found]
    assert [row["more_revenue"] for row in found] == pytest.approx([row["value_in_other_currencies"] for row in found], abs=0.006)
    # Without such opens and orders, the comparison would show nothing.
    assert any(row["more_opened"] for row in found)
    assert any(row["more_revenue"] for row in found)


PEOPLE = {
    "klaviyo__flows": (
        "flow_id, sum(unique_count_clicked_email + unique_count_clicked_sms) AS clicked, sum(unique_count_opened_email) AS opened",
        "FROM (SELECT flow_id, profile_id, variation_id, max(clicks > 0) AS clicked, max(opens > 0) AS opened FROM {marts}.fct_flow_sends "
        "GROUP BY ALL) SELECT flow_id, sum(clicked::INT) AS clicked, sum(opened::INT) AS opened GROUP BY ALL",
    ),
    "klaviyo__campaigns": (
        "campaign_id, sum(unique_count_clicked_email + unique_count_clicked_sms) AS clicked, sum(unique_count_opened_email) AS opened",
        "SELECT campaign_id, sum(clicks_unique) AS clicked, sum(opens_unique_with_machines) AS opened FROM {marts}.campaign_performance "
        "WHERE channel <> 'push' GROUP BY ALL",
    ),
}
"""The people whom the package counts, by its model, and the same of the marts."""


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize("model", PEOPLE)
def test_people_are_counted_as_the_page_says(project: Path, model: str) -> None:
    theirs, ours = PEOPLE[model]
    attach = "ATTACH 'data/published.duckdb' AS published (READ_ONLY);"
    found = rows(project, f"{attach} {ours.format(marts='published.klaviyo_marts')} ORDER BY ALL")
    counted = rows(
        project, f"SELECT {theirs} FROM dbt_klaviyo.{model} GROUP BY ALL HAVING sum(count_received_email + count_received_sms) > 0 ORDER BY ALL"
    )

    assert len(found) > 1
    assert counted == found


@pytest.mark.usefixtures("built")
def test_a_property_is_passed_through(project: Path) -> None:
    (found,) = rows(project, "SELECT count(discount_codes) AS codes FROM dbt_klaviyo.klaviyo__events WHERE type = 'Placed Order'")

    assert found["codes"] > 0


@pytest.mark.usefixtures("built")
def test_an_incremental_run_changes_nothing(dbt: str, project: Path) -> None:
    before = rows(project, comparison("campaign"))
    assert {one["status"] for one in build(dbt, project)} <= {"success", "pass"}

    assert rows(project, comparison("campaign")) == before

"""The examples load, and their queries run on the marts."""

import ast
import runpy
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from klaviyo_assets.marts.library import read_models
from klaviyo_assets.marts.runner import MartRunner
from klaviyo_assets.publish.publisher import Publisher
from klaviyo_assets.publish.target import PublishTarget
from klaviyo_assets.state.sync_log import SyncLog, SyncLogEntry
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import local_file

NOTEBOOK = Path(__file__).parents[1] / "examples" / "notebook"


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A published copy with the marts of an account without data."""
    warehouse: LocalFile = local_file(tmp_path, "shop.duckdb")
    with warehouse.connection() as connection:
        connection.execute("CREATE SCHEMA klaviyo; CREATE TABLE klaviyo.metrics (id VARCHAR)")
        log = SyncLog(connection, warehouse, "klaviyo")
        log.prepare()
        log.insert(SyncLogEntry("a-sync", "metrics", "AbC123", "incremental", datetime(2026, 11, 27, tzinfo=UTC), None, outcome="succeeded"))
    for result in MartRunner(warehouse, "klaviyo", read_models()).run(["account_daily", "campaign_performance", "list_growth_daily"]):
        result.raise_if_failed()
    return Publisher(warehouse, PublishTarget.at(tmp_path / "published.duckdb")).publish().target.file


def test_the_notebooks_queries_run_on_the_marts(published: Path) -> None:
    texts = [node.value for node in ast.walk(ast.parse((NOTEBOOK / "report.py").read_text())) if isinstance(node, ast.Constant)]
    queries = [text for text in texts if isinstance(text, str) and "SELECT " in text]
    assert len(queries) == 4
    with duckdb.connect(str(published), read_only=True) as connection:
        connection.execute("USE klaviyo_marts")
        columns = [connection.sql(query).columns for query in queries]
    assert ["week", "channel", "currency", "revenue"] in columns


def test_the_notebook_renders(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("marimo")
    pytest.importorskip("altair")
    monkeypatch.setenv("KLAVIYO_PUBLISH_PATH", str(published))
    outputs, _ = runpy.run_path(str(NOTEBOOK / "report.py"))["app"].run()
    assert len(outputs) == 5


def test_the_code_location_of_the_notebook_loads() -> None:
    defs = runpy.run_path(str(NOTEBOOK / "definitions.py"))["defs"]
    graph = defs.resolve_asset_graph()
    published = dg.AssetKey(["klaviyo", "published"])
    assert graph.get(dg.AssetKey("report")).parent_keys == {published}
    assert any(key.path[-1] == "account_daily" for key in graph.get(published).parent_keys)

"""The examples load, and their queries run on the marts."""

import ast
import runpy
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from klaviyo_assets_tests.documentation.prepared import published_copy

NOTEBOOK = Path(__file__).parents[1] / "examples" / "notebook"


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A published copy with the marts of an account without data."""
    return published_copy(tmp_path)


@pytest.mark.long
def test_the_notebooks_queries_run_on_the_marts(published: Path) -> None:
    texts = [node.value for node in ast.walk(ast.parse((NOTEBOOK / "report.py").read_text())) if isinstance(node, ast.Constant)]
    queries = [text for text in texts if isinstance(text, str) and "SELECT " in text]
    assert len(queries) == 4
    with duckdb.connect(str(published), read_only=True) as connection:
        connection.execute("USE klaviyo_marts")
        columns = [connection.sql(query).columns for query in queries]
    assert ["week", "channel", "currency", "revenue"] in columns


@pytest.mark.long
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

"""The Python in the docs works: each page from top to bottom, as one module."""

import shutil
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from klaviyo_assets.sandbox.keys import ALL_SCOPES_KEY
from klaviyo_assets_tests.documentation.blocks import blocks, run_python
from klaviyo_assets_tests.documentation.not_run import NOT_RUN
from klaviyo_assets_tests.documentation.prepared import published_copy


def _published(folder: Path) -> None:
    published_copy(folder / "data")


def _demo(folder: Path) -> None:
    shutil.copy(published_copy(folder / "data"), folder / "data" / "demo.duckdb")


def _warehouse(folder: Path) -> None:
    (folder / "data").mkdir()
    with duckdb.connect(str(folder / "data" / "warehouse.duckdb")) as connection:
        connection.execute("CREATE SCHEMA klaviyo; CREATE TABLE klaviyo.lists (name VARCHAR, created TIMESTAMPTZ)")


PREPARED: dict[str, Callable[[Path], None]] = {
    "docs/operations.md": _warehouse,
    "docs/quickstart.md": _warehouse,
    "docs/published-copy.md": _published,
    "docs/queries.md": _demo,
}
"""What a page needs in the working folder."""

LONG = {"docs/sandbox.md"}
"""Pages that start a process."""


def pages_with_python() -> list[str]:
    """Return the pages, in order."""
    return list(dict.fromkeys(block.page for block in blocks("python")))


@pytest.mark.parametrize("page", [pytest.param(page, marks=[pytest.mark.long] if page in LONG else []) for page in pages_with_python()])
def test_the_python_of_a_page(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("KLAVIYO_API_KEY", "KLAVIYO_EU", "KLAVIYO_US"):
        monkeypatch.setenv(name, ALL_SCOPES_KEY)
    if page in PREPARED:
        PREPARED[page](tmp_path)

    module = run_python(page, without=[one.text for one in NOT_RUN if one.page == page])

    if isinstance(defs := module.__dict__.get("defs"), dg.Definitions):
        dg.Definitions.validate_loadable(defs)

"""``klaviyo-assets demo`` without a key, as a newcomer runs it: twice, with a .env file that is not filled in yet."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.checks import COMPLETE, check_specs

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]

CHECKS = sum(spec.name != COMPLETE for name in CATALOG.default_names for spec in check_specs(CATALOG[name], dg.AssetKey(name)))
"""Checks that have a result after the first sync; there was no audit yet."""


def demo(folder: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("KLAVIYO_", "DAGSTER_"))}
    command = [sys.executable, "-m", "klaviyo_assets.cli", "demo"]
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stderr == "" or "Traceback" not in result.stderr
    return result.stdout


def table(output: str) -> dict[str, list[int]]:
    """Return rows, rows in the sandbox, new, changed and deleted rows, by resource type."""
    lines = re.findall(r"^klaviyo\.(\w+) +([\d,]+) +([\d,]+) +([\d,]+) +([\d,]+) +([\d,]+) +\d+/\d+ passed +succeeded$", output, re.MULTILINE)
    return {name: [int(figure.replace(",", "")) for figure in figures] for name, *figures in lines}


def test_the_first_run_reads_everything_and_the_second_only_changes(tmp_path: Path) -> None:
    shutil.copy(ROOT / ".env.example", tmp_path / ".env")
    with (tmp_path / ".env").open("a") as settings:
        settings.write(f"KLAVIYO_DUCKDB_PATH={tmp_path / 'real.duckdb'}\n")

    first, second = demo(tmp_path), demo(tmp_path)

    assert set(table(first)) == set(table(second)) == set(CATALOG.default_names)
    assert all(rows == held == new for rows, held, new, _, _ in table(first).values())
    assert table(second)["events"][2] > 0
    new, changed, gone = table(second)["lists"][2:]
    assert (new, gone) == (1, 1)
    assert changed >= 1, "one is edited, and others may lose a tag that is deleted"
    assert f"All {CHECKS} checks passed." in first
    assert re.search(r"^email +[\d,]+\.\d\d EUR +\d+\.\d% +[█#]+$", first, re.MULTILINE), "revenue by channel"
    assert re.search(r" email +20\d\d-\d\d-\d\d +[\d,]+ +\d+\.\d% +\d+\.\d% +[\d,]+\.\d\d (EUR|USD)$", first, re.MULTILINE), "best campaigns"
    assert re.search(r" +[\d,]+ +[\d,]+ +[+-][\d,]+ +[▁-█]+$", first, re.MULTILINE), "growth of lists"
    assert f"All {CHECKS} checks passed." in second
    assert (tmp_path / "data" / "demo.duckdb").exists()
    assert not (tmp_path / "real.duckdb").exists(), "made-up records must not reach the real database"

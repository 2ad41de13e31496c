"""``klaviyo-assets demo`` without a key, as a newcomer runs it: twice, with a .env file that is not filled in yet."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.catalog.selection import select
from klaviyo_assets.checks.asset_checks import COMPLETE, check_specs
from klaviyo_assets.cli.demo_settings import SANDBOX_TYPES
from klaviyo_assets_tests.accounts import small
from klaviyo_assets_tests.marts.questions import QUESTIONS

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]

TYPES = select(CATALOG, SANDBOX_TYPES)

CHECKS = sum(spec.name != COMPLETE for name in TYPES for spec in check_specs(CATALOG[name], dg.AssetKey(name)))
"""Checks that have a result after the first sync; there was no audit yet."""


WITHOUT_ROWS = {"2", "11", "22", "24"}
"""Questions about A/B tests, which this account's live flows do not have, and about Klaviyo's reports, which the demo does not read."""


def demo(folder: Path, **settings: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("KLAVIYO_", "DAGSTER_"))} | settings
    command = [sys.executable, "-m", "klaviyo_assets.cli", "demo"]
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stderr == "" or "Traceback" not in result.stderr
    return result.stdout


def table(output: str) -> dict[str, list[int]]:
    """Return rows, rows in the sandbox, new, changed and deleted rows, by resource type."""
    lines = re.findall(r"^klaviyo\.(\w+) +([\d,]+) +([\d,]+) +([\d,]+) +([\d,]+) +([\d,]+) +\d+/\d+ passed +succeeded$", output, re.MULTILINE)
    return {name: [int(figure.replace(",", "")) for figure in figures] for name, *figures in lines}


def schemas_of(database: Path) -> set[str]:
    with duckdb.connect(str(database), read_only=True) as connection:
        return {schema for (schema,) in connection.execute("SELECT DISTINCT schema_name FROM duckdb_tables()").fetchall()}


def rows_of_queries(database: Path) -> dict[str, int]:
    """Return the number of rows of each query of docs/queries.md."""
    with duckdb.connect(str(database), read_only=True) as connection:
        connection.execute("SET search_path = 'klaviyo_marts,klaviyo'")
        return {number: len(connection.execute(sql).fetchall()) for number, sql in QUESTIONS.items()}


def test_the_first_run_reads_everything_and_the_second_only_changes(tmp_path: Path) -> None:
    shutil.copy(ROOT / ".env.example", tmp_path / ".env")
    with (tmp_path / ".env").open("a") as settings:
        # Of another account: none may have an effect on the sandbox, or on the files that they name.
        settings.write(f"KLAVIYO_DUCKDB_PATH={tmp_path / 'real.duckdb'}\nKLAVIYO_PUBLISH_PATH={tmp_path / 'published.duckdb'}\n")
        settings.write("KLAVIYO_RESOURCE_TYPES=lists\nKLAVIYO_EVENT_METRICS=No such metric\nKLAVIYO_ACCOUNT_ID=AbC123\nKLAVIYO_MARTS=models\n")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "cities.sql").write_text(
        "-- description: People by city.\n-- key: city\nSELECT coalesce(city, '') AS city, count(*) AS people FROM dim_profile GROUP BY ALL"
    )

    first, second = demo(tmp_path), demo(tmp_path)

    assert set(table(first)) == set(table(second)) == {*TYPES}
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
    assert [path.name for path in tmp_path.glob("*.duckdb")] == [], "made-up records must not reach the real files"
    database = tmp_path / "data" / "demo.duckdb"
    assert {number for number, rows in rows_of_queries(database).items() if not rows} == WITHOUT_ROWS
    assert rows_of_queries(tmp_path / "data" / "demo_published.duckdb") == rows_of_queries(database)
    with duckdb.connect(str(database), read_only=True) as connection:
        assert connection.execute("SELECT sum(people) FROM klaviyo_marts.cities").fetchall() == [(table(second)["profiles"][0],)], "the user's model"


def test_an_account_gets_the_marts_that_the_settings_name_and_no_others(tmp_path: Path) -> None:
    with small() as sandbox:
        account = {
            "KLAVIYO_API_KEY": sandbox.keys.all_scopes,
            "KLAVIYO_BASE_URL": sandbox.base_url,
            "KLAVIYO_DUCKDB_PATH": "real.duckdb",
            "KLAVIYO_RESOURCE_TYPES": "accounts,metrics,events,profiles",
        }
        printed = demo(tmp_path, **account)

        assert schemas_of(tmp_path / "real.duckdb") == {"klaviyo"}
        assert "KLAVIYO_MARTS is not set, so there are no marts." in printed
        assert {*re.findall(r"^klaviyo\.(\w+)", printed, re.MULTILINE)} == {"accounts", "metrics", "events", "profiles"}

        printed = demo(tmp_path, **account, KLAVIYO_MARTS="true", KLAVIYO_PUBLISH_PATH="published.duckdb")

        assert "klaviyo_marts" in schemas_of(tmp_path / "real.duckdb")
        assert "klaviyo_marts" in schemas_of(tmp_path / "published.duckdb")
        assert "Revenue of the last 30 days" in printed
        assert not (tmp_path / "data" / "demo.duckdb").exists()

"""The shell commands in the docs work, in a folder outside the checkout, against the sandbox."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets_tests.accounts import local_file, started_elsewhere, sync
from klaviyo_assets_tests.documentation.blocks import ROOT, Block
from klaviyo_assets_tests.documentation.servers import serves, serves_assets

_CONTINUED = re.compile(r"\\\n\s*")
_COMMENT = re.compile(r"\s+#.*$")


def _ends(*needed: str) -> Callable[[str, Path, Mapping[str, str]], None]:
    """Return a function that runs a command to its end, with empty files that it needs."""

    def run(command: str, folder: Path, environment: Mapping[str, str]) -> None:
        for name in needed:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).touch()
        done = subprocess.run(["bash", "-euc", command], cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    return run


def _on_a_database(command: str, folder: Path, environment: Mapping[str, str]) -> None:
    """Run a command to its end where a sync has filled the database, in a project with a catalog of its own."""
    sync("profiles", started_elsewhere(environment["KLAVIYO_BASE_URL"]), local_file(folder / "data", "warehouse.duckdb"))
    (folder / "my_project").mkdir()
    (folder / "my_project" / "klaviyo.py").write_text("from klaviyo_assets import CATALOG as CATALOG\n")
    _ends()(command, folder, environment)


_PROFILES_IN_FULL = """--assets 'key:"klaviyo/profiles"' --config-json '{"ops": {"klaviyo_profiles": {"config": {"mode": "full"}}}}'"""

_A_MONTH = """--assets 'key:"klaviyo/events_by_day"' --partition-range '2026-06-01...2026-06-30'"""


def _in_a_project(command: str, folder: Path, environment: Mapping[str, str]) -> None:
    """Run a command of ``dg`` in the example project, and check what it has written."""
    shutil.copytree(ROOT / "examples" / "dg_project", folder, dirs_exist_ok=True)
    paths = f"{folder / 'src'}{os.pathsep}{environment['PYTHONPATH']}"
    _ends()(f"{command} --account eu && dg check yaml", folder, {**environment, "PYTHONPATH": paths})
    assert (folder / "src" / "shop" / "defs" / "main" / "defs.yaml").exists()


def _in_the_code_location(command: str, folder: Path, environment: Mapping[str, str]) -> None:
    """Start Dagster's UI in the example in plain Python."""
    shutil.copytree(ROOT / "examples" / "code_location", folder, dirs_exist_ok=True)
    serves_assets("klaviyo/events", "events_by_metric", job="klaviyo_sync")(command, folder, environment)


COMMANDS: dict[str, Callable[[str, Path, Mapping[str, str]], None]] = {
    f"dg launch -m klaviyo_assets.definitions {_PROFILES_IN_FULL}": _ends(),
    f"KLAVIYO_PARTITIONS=daily dg launch -m klaviyo_assets.definitions {_A_MONTH}": _ends(),
    "klaviyo-assets erase ann@example.com --dry-run": _on_a_database,
    "klaviyo-assets erase ann@example.com": _on_a_database,
    "klaviyo-assets erase 01H2ANN ann@example.com": _on_a_database,
    "klaviyo-assets erase ann@example.com --catalog my_project.klaviyo:CATALOG": _on_a_database,
    "mv data/klaviyo.duckdb data/warehouse.duckdb": _ends("data/klaviyo.duckdb"),
    "mv data/klaviyo.duckdb.sync data/warehouse.duckdb.sync": _ends("data/klaviyo.duckdb.sync/locks"),
    "mv data/backup.duckdb data/warehouse.duckdb": _ends("data/backup.duckdb"),
    "mkdir -p ../shop": _ends(),
    "mv data/warehouse.duckdb data/warehouse.duckdb.sync ../shop/": _ends(
        "data/warehouse.duckdb", "data/warehouse.duckdb.sync/locks", "../shop/readme"
    ),
    "dg scaffold defs klaviyo_assets.KlaviyoComponent main": _in_a_project,
    "dagster dev -f definitions.py": _in_the_code_location,
    "klaviyo-assets sandbox": serves("http://127.0.0.1:8020"),
}
"""The commands, and how each is run."""

RUN_BY_QUICKSTART = "test_quickstart.py runs it"

NOT_RUN: dict[str, str] = {
    "make test": "runs this test",
    "uvx create-dagster@latest project shop --uv-sync": "needs a package index; packaging/test_created_project.py runs it without the installation",
    "pip install --editable . dagster-dg-cli dagster-webserver": "needs a package index",
    "pip install klaviyo-assets dagster-webserver": "needs a package index",
    "pip install 'klaviyo-assets[ui]' marimo altair": "needs a package index",
    "export KLAVIYO_API_KEY=pk_…": "each command is run with a key of the sandbox",
    "cd shop": "the folder of that project",
    "uv add 'klaviyo-assets[sandbox]'": "needs a package index; packaging/test_wheel.py installs the wheel",
    "source .venv/bin/activate": "the environment that uv makes",
    "dg scaffold defs klaviyo_assets.KlaviyoComponent klaviyo": RUN_BY_QUICKSTART,
    "dg check yaml": RUN_BY_QUICKSTART,
    "dg check defs": RUN_BY_QUICKSTART,
    "dg list defs": RUN_BY_QUICKSTART,
    "klaviyo-assets check": RUN_BY_QUICKSTART,
    "dg dev": RUN_BY_QUICKSTART,
    "dg launch --assets 'key:\"klaviyo/lists\"'": RUN_BY_QUICKSTART,
    "dg launch --job klaviyo_sync": RUN_BY_QUICKSTART,
    "dagster dev -m klaviyo_assets.definitions": RUN_BY_QUICKSTART,
    "make demo": "klaviyo-assets demo in the virtual environment: cli/test_demo.py runs that",
    "duckdb -readonly data/published.duckdb": "DuckDB's own shell is not a Python package; other tests run queries",
    "pip install 'klaviyo-assets[sandbox]'": "needs a package index; packaging/test_wheel.py installs the wheel",
}
"""The commands that the test here does not run, and why."""


def commands_of(block: Block) -> list[str]:
    """Return the commands of a block, without comments."""
    lines = (_COMMENT.sub("", line).strip() for line in _CONTINUED.sub("", block.code).splitlines())
    return [line for line in lines if line and not line.startswith("#")]


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: re.sub(r"\W+", "-", command)[:90])
def test_a_command_works(command: str, account: SandboxProcess, tmp_path: Path) -> None:
    folder = Path(sys.executable).parent
    environment = {
        **os.environ,
        "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "KLAVIYO_BASE_URL": account.base_url,
        "KLAVIYO_API_KEY": account.keys.all_scopes,
        "DO_NOT_TRACK": "1",
    }

    (project := tmp_path / "project").mkdir()
    COMMANDS[command](command, project, environment)

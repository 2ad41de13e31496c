"""The example projects, each in a folder of its own with the wheel installed: Dagster's commands check, load and run them against the sandbox."""

import os
import shutil
import subprocess
from pathlib import Path

import duckdb
import pytest

from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets_tests.packaging.conftest import ROOT

pytestmark = pytest.mark.slow


class Project:
    """A copy of an example, and the environment that its commands run in."""

    def __init__(self, name: str, folder: Path, python: Path, account: SandboxProcess) -> None:
        self.folder = folder / name
        shutil.copytree(ROOT / "examples" / name, self.folder)
        self.environment = {
            **os.environ,
            "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}",
            "VIRTUAL_ENV": str(python.parents[1]),
            "PYTHONPATH": str(self.folder / "src"),
            "KLAVIYO_API_KEY": account.keys.all_scopes,
            "KLAVIYO_BASE_URL": account.base_url,
            "DO_NOT_TRACK": "1",
        }

    def run(self, *command: str) -> str:
        """Run a command to its end, and return what it printed."""
        done = subprocess.run(command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False)
        output = done.stdout + done.stderr
        assert done.returncode == 0, output
        return output

    def count(self, table: str) -> int:
        """Return the rows of a table."""
        with duckdb.connect(str(self.folder / "data" / "warehouse.duckdb"), read_only=True) as connection:
            ((rows,),) = connection.execute(f"SELECT count(*) FROM klaviyo.{table}").fetchall()
        return int(rows)


def test_the_dg_project(installed: Path, account: SandboxProcess, tmp_path: Path) -> None:
    project = Project("dg_project", tmp_path, installed, account)

    project.run("dg", "check", "yaml")
    project.run("dg", "launch", "--assets", 'key:"klaviyo/profiles" or key:"signups_by_month"')

    assert project.count("profiles") >= account.options.profiles


def test_the_code_location(installed: Path, account: SandboxProcess, tmp_path: Path) -> None:
    project = Project("code_location", tmp_path, installed, account)

    project.run("dg", "launch", "-f", "definitions.py", "--assets", 'key:"klaviyo/metrics" or key:"klaviyo/events" or key:"events_by_metric"')

    assert project.count("events") >= account.options.events

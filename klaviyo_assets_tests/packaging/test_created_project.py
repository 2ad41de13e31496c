"""A project as ``create-dagster`` makes it today, with the wheel installed: the commands of the quickstart work in it."""

import os
import subprocess
import sys
import tomllib
import venv
from collections.abc import Mapping
from pathlib import Path

import pytest

from klaviyo_assets_tests.documentation.test_quickstart import DEFINITIONS, PAGE, PYPROJECT
from klaviyo_assets_tests.packaging.conftest import ROOT

pytestmark = pytest.mark.slow

CREATE = "create-dagster@latest project shop --uv-sync"
"""The command of the quickstart. Here it installs nothing: the environment with the wheel is used instead."""


def run(command: list[str], folder: Path, environment: Mapping[str, str]) -> str:
    """Run a command to its end, and return what it printed."""
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def create_dagster(tmp_path: Path) -> Path:
    """The command ``create-dagster``, from the package index."""
    python = tmp_path / "create" / "bin" / "python"
    venv.create(tmp_path / "create")
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--retries", "1", "create-dagster"]
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"create-dagster cannot be installed: {done.stderr.strip().splitlines()[-1]}")
    return python.with_name("create-dagster")


def test_the_commands_of_the_quickstart_work_in_a_created_project(create_dagster: Path, installed: Path, tmp_path: Path) -> None:
    assert CREATE in (ROOT / PAGE).read_text()
    environment = {**os.environ, "DO_NOT_TRACK": "1", "KLAVIYO_API_KEY": "pk_0123456789abcdef0123456789abcdef01"}
    run([str(create_dagster), "project", "shop", "--no-uv-sync"], tmp_path, environment)
    project = tmp_path / "shop"
    # The test of the quickstart writes these itself, since it needs no package index.
    assert tomllib.loads((project / "pyproject.toml").read_text())["tool"]["dg"] == tomllib.loads(PYPROJECT)["tool"]["dg"]
    assert (project / "src" / "shop" / "definitions.py").read_text().split() == DEFINITIONS.split()

    path, environment_of_wheel = f"{installed.parent}{os.pathsep}{os.environ['PATH']}", str(installed.parents[1])
    environment |= {"PATH": path, "VIRTUAL_ENV": environment_of_wheel, "PYTHONPATH": str(project / "src")}
    assert "klaviyo_assets.KlaviyoComponent" in run(["dg", "list", "components"], project, environment)
    run(["dg", "scaffold", "defs", "klaviyo_assets.KlaviyoComponent", "klaviyo"], project, environment)
    assert (project / "src" / "shop" / "defs" / "klaviyo" / "defs.yaml").is_file()
    run(["dg", "check", "yaml"], project, environment)
    run(["dg", "check", "defs"], project, environment)
    assert "klaviyo/events" in run(["dg", "list", "defs", "--json"], project, environment)

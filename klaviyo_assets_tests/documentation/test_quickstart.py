"""docs/quickstart.md from top to bottom: its commands, in order, in a project as ``create-dagster`` makes it."""

import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
import yaml

from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets_tests.documentation.blocks import ROOT, blocks_of, run_python
from klaviyo_assets_tests.documentation.servers import serves_assets
from klaviyo_assets_tests.documentation.test_commands import NOT_RUN, RUN_BY_QUICKSTART, commands_of

PAGE = "docs/quickstart.md"
SERVERS = ("dg dev", "dagster dev -m klaviyo_assets.definitions")
TYPES = ["lists", "profiles", "segments"]
"""What the job of the page syncs here; cli/test_demo.py runs it with all types."""

# The files that create-dagster 1.13 writes.
PYPROJECT = '[tool.dg]\ndirectory_type = "project"\n\n[tool.dg.project]\nroot_module = "shop"\nregistry_modules = ["shop.components.*"]\n'
DEFINITIONS = """\
from pathlib import Path

from dagster import definitions, load_from_defs_folder


@definitions
def defs():
    return load_from_defs_folder(path_within_project=Path(__file__).parent)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """An empty project."""
    package = tmp_path / "src" / "shop"
    (package / "defs").mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    (package / "__init__.py").touch()
    (package / "defs" / "__init__.py").touch()
    (package / "definitions.py").write_text(DEFINITIONS)
    return tmp_path


def commands() -> list[str]:
    """Return the commands of the page that can be run here."""
    found = [command for block in blocks_of(ROOT / PAGE) if block.language == "bash" for command in commands_of(block)]
    return [command for command in found if NOT_RUN.get(command) == RUN_BY_QUICKSTART]


@pytest.mark.slow
def test_the_quickstart(project: Path, account: SandboxProcess, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (with_sandbox,) = [block.code for block in blocks_of(ROOT / PAGE) if block.language == "yaml"]
    (project / ".env").write_text(f"KLAVIYO_API_KEY={account.keys.all_scopes}\nKLAVIYO_BASE_URL={account.base_url}\n")
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": f"{project / 'src'}{os.pathsep}{ROOT}",
        "DO_NOT_TRACK": "1",
    }

    assert commands()[0].startswith("dg scaffold")
    for command in commands():
        if command in SERVERS:
            serves_assets("klaviyo/lists", "klaviyo/profiles", job="klaviyo_sync")(command, project, environment)
            continue
        done = subprocess.run(["bash", "-euc", command], cwd=project, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        if command.startswith("dg scaffold"):
            written = project / "src" / "shop" / "defs" / "klaviyo" / "defs.yaml"
            shown = yaml.safe_load(with_sandbox)
            del shown["attributes"]["base_url"]
            assert yaml.safe_load(written.read_text()) == shown
            written.write_text(with_sandbox.replace("attributes:\n", f"attributes:\n  resource_types: {TYPES}\n"))

    with duckdb.connect(str(project / "data" / "warehouse.duckdb"), read_only=True) as connection:
        rows = {name: connection.execute(f"SELECT count(*) FROM klaviyo.{name}").fetchone() for name in TYPES}
    options = account.options
    assert rows == {"lists": (options.lists,), "profiles": (options.profiles,), "segments": (options.segments,)}
    monkeypatch.chdir(project)
    run_python(PAGE)
    assert "created" in capsys.readouterr().out

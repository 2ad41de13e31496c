"""The wheel, installed into an empty environment outside the checkout."""

import subprocess
import sys
import venv
from pathlib import Path

import pytest

from klaviyo_assets import CATALOG

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]

LOAD = """
import sys
import klaviyo_assets
assert not {"polars", "duckdb", "dagster", "httpx"} & set(sys.modules), "importing the package must not import heavy libraries"
import dagster as dg
from klaviyo_assets.definitions import defs
dg.Definitions.validate_loadable(defs)
print(klaviyo_assets.__file__, len(defs.resolve_asset_graph().get_all_asset_keys()))
"""


def test_wheel_installs_and_its_code_location_loads(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "build", "--wheel", "--outdir", str(tmp_path), str(ROOT)], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    venv.create(tmp_path / "venv")
    python = tmp_path / "venv" / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-compile", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, wheel], check=True)

    loaded = subprocess.run([python, "-c", LOAD], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert loaded.returncode == 0, loaded.stderr
    path, count = loaded.stdout.split()
    assert Path(path).is_relative_to(tmp_path)
    assert count == str(len(CATALOG.default_names))

    command = subprocess.run([python.with_name("klaviyo-assets"), "sandbox"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert command.returncode == 1
    assert "pip install 'klaviyo-assets[sandbox]'" in command.stderr

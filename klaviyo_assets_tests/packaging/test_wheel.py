"""The wheel and the source distribution: what is in them, what they say, and that the wheel works outside the checkout."""

import subprocess
import tarfile
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest
from packaging.metadata import Metadata

from klaviyo_assets import CATALOG, __version__
from klaviyo_assets_tests.packaging.conftest import ROOT, Distributions

pytestmark = pytest.mark.slow

LOAD = """
import sys
import klaviyo_assets
assert not {"polars", "duckdb", "dagster", "httpx"} & set(sys.modules), "importing the package must not import heavy libraries"
import dagster as dg
from klaviyo_assets.definitions import defs
dg.Definitions.validate_loadable(defs)
print(klaviyo_assets.__file__, len(defs.resolve_asset_graph().get_all_asset_keys()))
"""


def package_files() -> set[str]:
    """Return the files of the package: code, SQL, what was made from it, and the mark that it has types."""
    kinds = {".py", ".sql", ".json", ".typed"}
    return {str(path.relative_to(ROOT)) for path in (ROOT / "klaviyo_assets").rglob("*") if path.suffix in kinds}


def test_the_wheel_has_the_package_and_nothing_else(distributions: Distributions) -> None:
    names = {name for name in zipfile.ZipFile(distributions.wheel).namelist() if ".dist-info/" not in name}

    assert names == package_files()
    assert {"klaviyo_assets/py.typed", "klaviyo_assets/marts/sql/fct_orders.sql"} <= names


def test_the_source_distribution_has_what_the_wheel_is_made_of(distributions: Distributions) -> None:
    with tarfile.open(distributions.source) as archive:
        names = {name.partition("/")[2] for name in archive.getnames() if archive.getmember(name).isfile()}

    assert {name for name in names if ".egg-info/" not in name} == package_files() | {
        "setup.cfg",
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "PKG-INFO",
    }


def test_the_metadata_is_what_a_package_index_accepts(distributions: Distributions) -> None:
    with zipfile.ZipFile(distributions.wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        raw = archive.read(name)

    metadata = Metadata.from_email(raw, validate=True)  # raises an exception group of all errors
    assert (metadata.name, str(metadata.version), metadata.license_expression) == ("klaviyo-assets", __version__, "Apache-2.0")
    assert metadata.description_content_type == "text/markdown"
    assert message_from_bytes(raw).get_payload().startswith("# klaviyo_assets")
    assert set(metadata.project_urls or {}) == {"Documentation", "Source", "Issues", "Changelog"}
    assert [classifier for classifier in metadata.classifiers or [] if classifier.startswith("Operating System")] == [
        "Operating System :: MacOS",
        "Operating System :: POSIX :: Linux",
    ]


def test_the_changelog_has_a_section_for_what_is_not_released_and_one_for_this_version() -> None:
    sections = [line for line in (ROOT / "CHANGELOG.md").read_text().splitlines() if line.startswith("## ")]

    assert sections[0] == "## [Unreleased]"
    assert any(line.startswith(f"## [{__version__}]") for line in sections)


def test_its_code_location_loads_outside_the_checkout(installed: Path, tmp_path: Path) -> None:
    loaded = subprocess.run([installed, "-W", "error", "-c", LOAD], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert loaded.returncode == 0, loaded.stderr
    path, count = loaded.stdout.split()
    assert Path(path).is_relative_to(installed.parents[1])
    assert count == str(len(CATALOG.default_names))


def test_the_command_says_its_version(installed: Path, tmp_path: Path) -> None:
    command = subprocess.run([installed.with_name("klaviyo-assets"), "--version"], cwd=tmp_path, capture_output=True, text=True, check=True)

    assert command.stdout == f"{__version__}\n"


def test_the_sandbox_says_which_extra_it_needs(installed: Path, tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['uvicorn'] = sys.modules['starlette'] = None; from klaviyo_assets.cli.main import main; sys.exit(main(['sandbox']))"
    )

    command = subprocess.run([installed, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert command.returncode == 1
    assert "pip install 'klaviyo-assets[sandbox]'" in command.stderr

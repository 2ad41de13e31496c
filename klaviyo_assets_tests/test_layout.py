"""The rules of the layout are complete: the import contracts name every module that they are about, and tests mirror the folders of the package."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import klaviyo_assets

TESTS = Path(__file__).parent
PACKAGE = Path(klaviyo_assets.__file__).parent
SETTINGS = TESTS.parent / "pyproject.toml"

MADE_FROM = {"_internal", "_version", "errors"}
"""What the catalog imports, so that the sandbox needs it too."""

TESTED_ELSEWHERE = {
    "assets": "dagster_layer",
    "catalog/types": "catalog",
    "frames": "dagster_layer",
    "load/access": "sync",
    "load/children": "sync",
    "load/deletions": "sync",
    "load/integrity": "sync",
    "load/migrations": "load",
    "ops": "dagster_layer",
    "reporting": "dagster_layer",
    "sandbox/generate": "sandbox",
    "sandbox/generate/shop": "sandbox",
}
"""Folders of the package without a folder of tests: where their tests are."""

ABOUT_THE_WHOLE = {"contract", "dagster_layer", "documentation", "end_to_end", "faults", "packaging", "scenarios"}
"""Folders of tests that do not belong to one folder of the package."""


def folders(root: Path) -> set[str]:
    """Return the folders with code below a folder."""
    return {path.parent.relative_to(root).as_posix() for path in root.rglob("__init__.py")} - {"."}


def imported_names(contract: Mapping[str, Any], key: str) -> set[str]:
    """Return the modules of this package that a contract lists, without the name of the package."""
    return {name.removeprefix("klaviyo_assets.") for name in contract[key] if name.startswith("klaviyo_assets.")}


@pytest.fixture(scope="module")
def contracts() -> dict[str, dict[str, Any]]:
    listed = tomllib.loads(SETTINGS.read_text())["tool"]["importlinter"]["contracts"]
    return {contract["name"]: contract for contract in listed}


def test_the_engine_without_dagster_is_every_layer_from_the_settings_down(contracts: dict[str, dict[str, Any]]) -> None:
    layers = contracts["Modules import downwards only"]["layers"]
    engine = {name.strip() for layer in layers[layers.index("settings") :] for name in layer.split("|")}
    assert imported_names(contracts["The engine needs no Dagster"], "source_modules") == engine


def test_the_sandbox_may_import_nothing_but_the_catalog(contracts: dict[str, dict[str, Any]]) -> None:
    modules = {path.stem for path in PACKAGE.glob("*.py")} | {name for name in folders(PACKAGE) if "/" not in name}
    forbidden = imported_names(contracts["The sandbox imports the catalog only"], "forbidden_modules")
    not_directly = imported_names(contracts["The sandbox does not import what the catalog is made from"], "forbidden_modules")
    assert not_directly == MADE_FROM
    assert forbidden == modules - MADE_FROM - {"__init__", "catalog", "sandbox"}


def test_each_folder_of_the_package_has_a_folder_of_tests() -> None:
    assert folders(PACKAGE) - folders(TESTS) == TESTED_ELSEWHERE.keys()
    assert set(TESTED_ELSEWHERE.values()) <= folders(TESTS)
    assert folders(TESTS) - folders(PACKAGE) == ABOUT_THE_WHOLE

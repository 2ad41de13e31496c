"""What holds for every packaged model: its description is complete, and it can do without any row."""

from pathlib import Path

import pytest

from klaviyo_assets.marts.library import read_models
from klaviyo_assets.marts.runner import MartRunner
from klaviyo_assets_tests.accounts import local_file
from klaviyo_assets_tests.marts.conftest import Shop
from klaviyo_assets_tests.marts.small_shop import SCHEMA

pytestmark = pytest.mark.duckdb


def test_every_column_is_described_in_order(shop: Shop) -> None:
    models = read_models()

    assert {name: [*result.columns] for name, result in shop[1].items()} == {name: [*model.header.columns] for name, model in models.items()}


def test_checks_pass_and_numbers_are_found(shop: Shop) -> None:
    assert [(name, check) for name, result in shop[1].items() for check in result.checks if not check.passed] == []


def test_without_rows(tmp_path: Path) -> None:
    """Models of an account that has nothing yet are empty."""
    results = [*MartRunner(local_file(tmp_path, "shop.duckdb"), SCHEMA, read_models()).run()]

    assert [result.error for result in results if result.error] == []
    assert {result.model: result.rows for result in results if result.rows} == {}
    assert [check for result in results for check in result.checks if not check.passed and not check.warns] == []

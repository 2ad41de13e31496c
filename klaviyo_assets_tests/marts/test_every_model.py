"""What holds for every packaged model: its description is complete, and its checks run."""

import pytest

from klaviyo_assets.marts.library import read_models
from klaviyo_assets_tests.marts.conftest import Shop

pytestmark = pytest.mark.duckdb


def test_every_column_is_described_in_order(shop: Shop) -> None:
    models = read_models()

    assert {name: [*result.columns] for name, result in shop[1].items()} == {name: [*model.header.columns] for name, model in models.items()}


def test_checks_pass_and_numbers_are_found(shop: Shop) -> None:
    assert [(name, check) for name, result in shop[1].items() for check in result.checks if not check.passed] == []

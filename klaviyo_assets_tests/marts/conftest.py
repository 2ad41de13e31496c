"""The marts of the small shop, built once for all tests of this folder."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from klaviyo_assets.marts.library import marts_schema, read_models
from klaviyo_assets.marts.mart_runner import MartRunner
from klaviyo_assets.marts.results import ModelResult
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import local_file
from klaviyo_assets_tests.marts.answers import Answers, build_answers
from klaviyo_assets_tests.marts.small_shop import EVENTS, NOW, SCHEMA, Row, fill

Shop = tuple[LocalFile, dict[str, ModelResult]]
Rows = Callable[..., list[tuple[Any, ...]]]


def build_shop(
    folder: Path, events: Sequence[Row] = EVENTS, more: Mapping[str, Sequence[Row]] | None = None, names: Sequence[str] | None = None
) -> Shop:
    """Store the small shop in a new file and build models of it.

    Args:
        folder: Where the file is created.
        events: Events of the shop.
        more: More rows by table.
        names: Models; None for all.
    """
    warehouse = local_file(folder, "shop.duckdb")
    with warehouse.transaction() as connection:
        fill(connection, SCHEMA, events, more)
    results = {result.model: result for result in MartRunner(warehouse, SCHEMA, read_models()).run(names, now=NOW)}
    assert [result.error for result in results.values() if result.error] == []
    return warehouse, results


def select(warehouse: LocalFile, sql: str) -> list[tuple[Any, ...]]:
    """Run a query; models and raw tables need no schema."""
    with warehouse.connection() as connection:
        connection.execute(f"SET search_path = '{warehouse.database}.{marts_schema(SCHEMA)},{warehouse.database}.{SCHEMA}'")
        connection.execute("SET TimeZone = 'UTC'")
        return connection.execute(sql).fetchall()


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """The small shop with all marts, and the result of each."""
    return build_shop(tmp_path_factory.mktemp("shop"))


@pytest.fixture(scope="session")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """The sandbox's account with all marts."""
    return build_answers(tmp_path_factory.mktemp("answers"))


@pytest.fixture
def rows(shop: Shop) -> Rows:
    """Returns the rows of a query on the small shop."""
    return lambda sql: select(shop[0], sql)

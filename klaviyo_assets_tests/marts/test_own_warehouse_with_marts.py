"""The marts in a warehouse of the user's own that has no capabilities beyond plain SQL."""

from pathlib import Path

import pytest

from klaviyo_assets.marts.library import read_models
from klaviyo_assets.marts.results import Outcome
from klaviyo_assets_tests.marts.shop import TABLES, event, open_shop
from klaviyo_assets_tests.marts.stored import START, StoredAccount
from klaviyo_assets_tests.warehouse.attached import AttachedDatabase

pytestmark = [pytest.mark.duckdb, pytest.mark.long]

PROFILES = 40
"""Enough for an update: a change of most profiles is a complete build."""


@pytest.fixture
def account(tmp_path: Path) -> StoredAccount:
    found = StoredAccount(AttachedDatabase(tmp_path), *TABLES)
    open_shop(found)
    found.sync(
        {
            "profiles": [{"id": f"p{number}", "created": START} for number in range(PROFILES)],
            "events": [event(f"e{number}", "order", number, f"p{number}", value=10.0, currency="EUR") for number in range(PROFILES)],
        }
    )
    return found


def test_every_mart_is_built_and_updated(account: StoredAccount) -> None:
    models = read_models()

    built = account.build(models)
    assert {result.outcome for result in built.values()} == {Outcome.REBUILT}
    assert account.rows("fct_orders", "count(*), sum(value)") == [(PROFILES, 10.0 * PROFILES)]

    account.sync({"events": [event("late", "order", 1, "p7", value=5.0, currency="EUR")]})
    updated = account.build(models)
    assert updated["fct_orders"].outcome is Outcome.UPDATED
    for name, (stored, computed) in account.built_and_computed(models).items():
        assert stored == computed, name


def test_sums_of_integers_are_of_the_type_that_tools_read(account: StoredAccount) -> None:
    account.build(read_models())

    with account.warehouse.connection() as connection:
        found = connection.execute("SELECT table_name, column_name FROM duckdb_columns() WHERE data_type = 'HUGEINT'").fetchall()
    assert found == []

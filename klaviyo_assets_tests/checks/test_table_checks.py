"""What the checks of a table say if there are no rows to check."""

from collections.abc import Callable

import dagster as dg
import pytest

from klaviyo_assets.api.klaviyo_errors import KlaviyoError
from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.checks import asset_checks
from klaviyo_assets.checks.table_checks import TableChecks
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import query, sync

NewAccount = Callable[..., SandboxProcess]


def said_by_checks(warehouse: LocalFile) -> dict[str, str]:
    """Run all checks of the table lists; return their descriptions. All must pass."""
    found = TableChecks(warehouse, CATALOG["lists"], "klaviyo", dg.AssetKey(["klaviyo", "lists"])).run(asset_checks.TABLE_CHECKS, None)
    assert all(one.passed for one in found.results)
    return {one.check_name or "": one.description or "" for one in found.results}


def all_say(words: str) -> dict[str, str]:
    return {name: words for name in asset_checks.TABLE_CHECKS if name != asset_checks.INCLUDED_COMPLETE}  # lists include nothing


def test_checks_of_a_missing_table_say_that_it_does_not_exist(account: SandboxProcess, warehouse: LocalFile) -> None:
    missing = all_say("Nothing to check. The table klaviyo.lists does not exist.")
    assert said_by_checks(warehouse) == missing, "a new file"

    sync("metrics", account, warehouse)
    assert said_by_checks(warehouse) == missing


def test_checks_after_a_failed_first_sync_say_that_the_table_is_empty(new_account: NewAccount, warehouse: LocalFile) -> None:
    sandbox = new_account()
    sandbox.faults({"path": "/api/lists", "kind": "503", "times": 1, "after": 1})
    with pytest.raises(KlaviyoError):
        sync("lists", sandbox, warehouse, max_retries=0)

    assert said_by_checks(warehouse) == all_say("Nothing to check. The table klaviyo.lists is empty.")


def test_checks_of_an_emptied_table_say_that_it_is_empty(account: SandboxProcess, warehouse: LocalFile) -> None:
    sync("lists", account, warehouse)
    rows = query(warehouse, "SELECT count(*) FROM lists")[0][0]
    assert said_by_checks(warehouse) == {
        asset_checks.PRIMARY_KEY: f"{rows} rows checked (the whole table): 0 without a key, 0 keys in more than one row.",
        asset_checks.UNKNOWN_ATTRIBUTES: "Every attribute has a column.",
        asset_checks.SCHEMA_DRIFT: "The records match Klaviyo's schema.",
    }

    query(warehouse, "DELETE FROM lists")

    assert said_by_checks(warehouse) == all_say("Nothing to check. The table klaviyo.lists is empty.")

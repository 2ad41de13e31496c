"""What the checks of a table say if there are no rows to check, or the table cannot be read."""

from collections.abc import Callable
from typing import Any

import dagster as dg
import pytest

from klaviyo_assets.api.klaviyo_errors import KlaviyoError
from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.checks import asset_checks
from klaviyo_assets.checks.table_checks import TableChecks
from klaviyo_assets.quality.inspector import Inspector
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


def test_checks_of_a_file_that_is_no_database_warn_that_the_table_could_not_be_read(warehouse: LocalFile) -> None:
    warehouse.path.write_bytes(b"no database" * 1000)

    found = TableChecks(warehouse, CATALOG["lists"], "klaviyo", dg.AssetKey(["klaviyo", "lists"])).run(asset_checks.TABLE_CHECKS, None)

    assert {one.check_name: (one.passed, one.severity) for one in found.results} == dict.fromkeys(all_say(""), (False, dg.AssetCheckSeverity.WARN))
    (words,) = {one.description or "" for one in found.results}
    assert words.startswith("The table could not be read: ")
    assert "klaviyo.duckdb" in words
    assert "klaviyo.duckdb" in found.preview
    assert warehouse.path.read_bytes() == b"no database" * 1000


def test_a_table_that_is_dropped_during_the_checks_could_not_be_read(
    account: SandboxProcess, warehouse: LocalFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync("lists", account, warehouse)
    results = TableChecks._results

    def drop_first(self: TableChecks, inspector: Inspector, selected: Any) -> Any:
        inspector.connection.execute("DROP TABLE klaviyo.klaviyo.lists")
        return results(self, inspector, selected)

    monkeypatch.setattr(TableChecks, "_results", drop_first)

    found = TableChecks(warehouse, CATALOG["lists"], "klaviyo", dg.AssetKey(["klaviyo", "lists"])).run(asset_checks.TABLE_CHECKS, None)

    assert {one.check_name for one in found.results} == {*all_say("")}
    for one in found.results:
        assert (one.passed, one.severity) == (False, dg.AssetCheckSeverity.WARN)
        assert (one.description or "").startswith("The table could not be read: Catalog Error")


@pytest.mark.long
@pytest.mark.parametrize("name", ["flow_actions", "events"])
def test_what_responses_lacked_is_not_known_without_the_log_of_syncs(name: str, account: SandboxProcess, warehouse: LocalFile) -> None:
    sync(name, account, warehouse)
    query(warehouse, "DROP TABLE _syncs")

    checks = TableChecks(warehouse, CATALOG[name], "klaviyo", dg.AssetKey(["klaviyo", name]))
    (found,) = checks.run([asset_checks.INCLUDED_COMPLETE], None).results

    assert found.passed
    assert found.description == f"Nothing to check. No successful sync of {name} has recorded yet what the responses lacked."

"""The account of a schema: the first sync pins it, keys of other accounts are rejected, and an unknown account causes a warning."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from polars.testing import assert_frame_equal

from klaviyo_assets.api.klaviyo_errors import RequestFailed
from klaviyo_assets.errors import AccountMismatch
from klaviyo_assets.extract.sync_options import SyncMode, SyncOptions
from klaviyo_assets.sandbox.keys import RECOMMENDED_SCOPES_KEY, key_lacking
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import query, sync, table, truth

pytestmark = pytest.mark.long

NewAccount = Callable[..., SandboxProcess]

NEW_KEY = key_lacking("segments:read")


def everything(warehouse: LocalFile) -> list[list[tuple[object, ...]]]:
    return [query(warehouse, f"SELECT * FROM {name} ORDER BY ALL") for name in ("lists", "_syncs", "_coverage")]


def test_a_key_of_another_account_is_rejected_with_both_ids_before_any_write(
    account: SandboxProcess, new_account: NewAccount, warehouse: LocalFile
) -> None:
    mine = sync("lists", account, warehouse).row.account_id
    other = new_account(seed=99)
    before = everything(warehouse)

    with pytest.raises(AccountMismatch) as caught:
        sync("lists", other, warehouse)

    (theirs,) = truth(other, "accounts")["id"]
    assert mine in str(caught.value)
    assert theirs in str(caught.value)
    assert "KLAVIYO_ACCEPT_OTHER_ACCOUNT" in str(caught.value)
    assert everything(warehouse) == before
    assert other.stats()["endpoints"]["/api/lists"]["requests"] == 1, "only the probe was sent"


def test_a_new_key_of_the_same_account_continues(new_account: NewAccount, warehouse: LocalFile) -> None:
    sandbox = new_account()
    first = sync("events", sandbox, warehouse)

    report = sync("events", sandbox, warehouse, key=NEW_KEY)

    assert report.row.account_id == first.row.account_id
    assert report.row.records_read < first.row.records_read / 2, "the coverage remains valid"
    assert report.notes == ()


@pytest.mark.parametrize("name", ["events", "lists", "reviews"])
def test_a_schema_changes_to_another_account_if_accepted(name: str, account: SandboxProcess, new_account: NewAccount, warehouse: LocalFile) -> None:
    sync(name, account, warehouse)
    old = set(table(warehouse, name)["id"])
    other = new_account(seed=99)
    other.advance(timedelta(minutes=1))  # a new sandbox's clock starts at a whole second, which may be slightly in the past

    report = sync(name, other, warehouse, accept_other_account=True)

    assert "changes from Klaviyo account" in report.notes[0]
    known = truth(other, name)
    assert set(known["id"]) <= set(table(warehouse, name)["id"]), "everything of the new account is read"
    sync(name, other, warehouse, SyncOptions(mode=SyncMode.full))
    assert_frame_equal(table(warehouse, name), known)
    assert set(table(warehouse, name, deleted=True)["id"]) == old - set(known["id"])


def test_a_key_with_an_unknown_account_causes_one_warning(account: SandboxProcess, warehouse: LocalFile) -> None:
    (note,) = sync("lists", account, warehouse, key=RECOMMENDED_SCOPES_KEY).notes

    assert "account of the API key is unknown" in note
    assert "KLAVIYO_ACCOUNT_ID" in note
    assert "another key before" not in note
    assert sync("flows", account, warehouse, key=RECOMMENDED_SCOPES_KEY).notes == ()


def test_a_second_key_with_an_unknown_account_causes_a_longer_warning(account: SandboxProcess, warehouse: LocalFile) -> None:
    sync("lists", account, warehouse, key=RECOMMENDED_SCOPES_KEY)

    (note,) = sync("lists", account, warehouse, key=key_lacking("accounts:read")).notes

    assert "filled with another key before, and whether both keys belong to one account is unknown" in note


def test_rows_of_an_unknown_account_are_attributed_to_a_known_one_with_a_warning(account: SandboxProcess, warehouse: LocalFile) -> None:
    sync("lists", account, warehouse, key=RECOMMENDED_SCOPES_KEY)

    report = sync("lists", account, warehouse)

    assert f"its rows are attributed to account {report.row.account_id}" in report.notes[0]
    assert sync("lists", account, warehouse).notes == ()


def test_staged_files_of_an_unknown_account_are_not_loaded_for_another_key(
    new_account: NewAccount, warehouse: LocalFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("klaviyo_assets.api.retries.BACKOFF_BASE", 0.01)
    theirs, mine = new_account(seed=99), new_account()
    theirs.faults({"path": "/api/events", "kind": "503", "times": None, "after": 3})
    with pytest.raises(RequestFailed):
        sync("events", theirs, warehouse, key=theirs.keys.recommended_scopes, concurrency=2)
    assert list((warehouse.state_dir / "klaviyo" / "staging" / "events").iterdir())

    report = sync("events", mine, warehouse, key=NEW_KEY)

    assert not report.resumed
    assert_frame_equal(table(warehouse, "events"), truth(mine, "events"))

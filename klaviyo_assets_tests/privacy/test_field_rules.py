"""Fields that are dropped or hashed: nothing of them is stored, everything else is as it came."""

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from klaviyo_assets.api.auth import parse_api_key
from klaviyo_assets.api.client import KlaviyoClient
from klaviyo_assets.api.errors import KlaviyoError
from klaviyo_assets.api.settings import ClientSettings
from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.privacy.guard import FieldGuard, guards_for
from klaviyo_assets.privacy.hashing import Kind, Salt
from klaviyo_assets.privacy.rules import FieldRules, InvalidFieldRules, parse_rules
from klaviyo_assets.sandbox.keys import ALL_SCOPES_KEY
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.settings import InvalidSetting, from_environment
from klaviyo_assets.sync.request import Mode, SyncRequest
from klaviyo_assets.sync.run import Sync, SyncReport
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import query, table, truth

NewAccount = Callable[..., SandboxProcess]

SALT = "a secret of the tests, long enough"

RULES: FieldRules = {
    "profiles": {"email": "hash", "phone_number": "hash", "first_name": "drop", "properties": "drop"},
    "events": {"event_properties.$value": "drop", "event_properties.Items": "hash"},
    "reviews": {"email": "hash", "author": "drop"},
}


@pytest.fixture(autouse=True)
def salt(clean_environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLAVIYO_FIELD_SALT", SALT)


def ruled(name: str, sandbox: SandboxProcess, warehouse: LocalFile, rules: FieldRules, request: SyncRequest | None = None) -> SyncReport:
    async def run() -> SyncReport:
        guard = guards_for(rules).get(name, FieldGuard())
        async with KlaviyoClient(parse_api_key(ALL_SCOPES_KEY), ClientSettings(base_url=sandbox.base_url, max_retries=1)) as client:
            log = logging.getLogger("klaviyo_assets_tests")
            return await Sync(CATALOG[name], request or SyncRequest(), client, warehouse, "klaviyo", "a-run", log, guard=guard).run()

    return asyncio.run(run())


def plain_values(sandbox: SandboxProcess, column: str = "email") -> list[str]:
    return truth(sandbox, "profiles")[column].drop_nulls().to_list()


def found_in(data: bytes, values: list[str]) -> list[str]:
    return [value for value in values if value.encode() in data]


def bytes_of(warehouse: LocalFile) -> bytes:
    return b"".join(path.read_bytes() for path in warehouse.path.parent.rglob("*") if path.is_file())


def test_what_a_rule_names_is_stored_nowhere_and_the_rest_is_as_it_came(account: SandboxProcess, plain_file: LocalFile) -> None:
    ruled("profiles", account, plain_file, RULES)

    rows, wanted = table(plain_file, "profiles"), truth(account, "profiles")
    salt = Salt(SALT)
    assert rows["email"].to_list() == [None if value is None else salt.hash(value, Kind.EMAIL) for value in wanted["email"]]
    assert rows["phone_number"].to_list() == [None if value is None else salt.hash(value, Kind.PHONE) for value in wanted["phone_number"]]
    assert rows["first_name"].null_count() == rows["properties"].null_count() == rows.height
    named = ["email", "phone_number", "first_name", "properties"]
    assert rows.drop(named).equals(wanted.drop(named))
    everything = bytes_of(plain_file)
    assert len(plain_values(account)) > 100
    assert found_in(everything, plain_values(account)) == found_in(everything, plain_values(account, "phone_number")) == []
    assert SALT.encode() not in everything


def test_the_search_would_find_values_that_are_there(account: SandboxProcess, plain_file: LocalFile) -> None:
    ruled("profiles", account, plain_file, {})

    assert found_in(bytes_of(plain_file), plain_values(account)) == plain_values(account)


def test_nothing_of_them_lies_in_staging(new_account: NewAccount, warehouse: LocalFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("klaviyo_assets.api.client._BACKOFF_BASE", 0.01)
    sandbox = new_account(profiles=600)
    sandbox.faults({"path": "/api/profiles", "kind": "503", "times": None, "after": 4})
    with pytest.raises(KlaviyoError):
        ruled("profiles", sandbox, warehouse, RULES)

    staged = pl.concat(pl.read_parquet(path) for path in warehouse.path.parent.rglob("*.parquet"))
    assert staged.height > 0
    assert staged["first_name"].null_count() == staged.height
    assert staged["email"].drop_nulls().str.starts_with("sha256:").all()
    sandbox.clear_faults()
    assert ruled("profiles", sandbox, warehouse, RULES).resumed
    assert table(warehouse, "profiles").height == truth(sandbox, "profiles").height


def test_members_of_custom_properties_change_and_every_other_byte_stays(account: SandboxProcess, warehouse: LocalFile) -> None:
    ruled("events", account, warehouse, RULES)

    rows, wanted = table(warehouse, "events"), truth(account, "events")
    seen = 0
    for ours, theirs in zip(rows["event_properties"], wanted["event_properties"], strict=True):
        before, after = json.loads(theirs), json.loads(ours)
        assert "$value" not in after
        assert {name: value for name, value in after.items() if name != "Items"} == {
            name: value for name, value in before.items() if name not in ("$value", "Items")
        }
        seen += before != after
        assert before != after or ours == theirs
    assert seen > 10
    assert rows.drop("event_properties").equals(wanted.drop("event_properties"))


def test_hashes_of_one_value_in_two_tables_join(account: SandboxProcess, warehouse: LocalFile) -> None:
    ruled("profiles", account, warehouse, RULES)
    ruled("reviews", account, warehouse, RULES)

    joined = truth(account, "reviews").join(truth(account, "profiles"), on="email").height
    assert query(warehouse, "SELECT count(*) FROM reviews JOIN profiles USING (email)") == [(joined,)]


def test_a_new_rule_is_applied_to_rows_that_are_there_and_leaves_nothing_in_the_file(account: SandboxProcess, plain_file: LocalFile) -> None:
    ruled("profiles", account, plain_file, {})
    before = table(plain_file, "profiles")
    assert found_in(bytes_of(plain_file), plain_values(account))

    report = ruled("profiles", account, plain_file, RULES)

    assert report.row.records_read < before.height  # it was not read again
    assert any("were treated by it" in note for note in report.notes)
    salt, rows = Salt(SALT), table(plain_file, "profiles")
    assert rows["email"].to_list() == [None if value is None else salt.hash(value, Kind.EMAIL) for value in before["email"]]
    assert rows.drop("email", "phone_number", "first_name", "properties").equals(before.drop("email", "phone_number", "first_name", "properties"))
    assert found_in(bytes_of(plain_file), plain_values(account)) == []
    assert not plain_file.state_dir.joinpath("compaction-due").exists()
    again = ruled("profiles", account, plain_file, RULES)
    assert (again.row.rows_updated, again.notes) == (0, ())
    assert table(plain_file, "profiles").equals(rows)


@pytest.mark.parametrize("rules", [{}, {"profiles": {"email": "hash"}}], ids=["all rules gone", "one of them left"])
def test_a_rule_that_is_loosened_brings_the_values_back(rules: FieldRules, account: SandboxProcess, warehouse: LocalFile) -> None:
    ruled("profiles", account, warehouse, RULES)

    ruled("profiles", account, warehouse, rules)

    wanted = truth(account, "profiles")
    assert table(warehouse, "profiles")["first_name"].equals(wanted["first_name"])
    assert table(warehouse, "profiles")["properties"].equals(wanted["properties"])
    assert table(warehouse, "profiles")["email"].equals(wanted["email"]) is not bool(rules)


def test_another_salt_makes_other_hashes_of_all_rows(account: SandboxProcess, warehouse: LocalFile, monkeypatch: pytest.MonkeyPatch) -> None:
    ruled("profiles", account, warehouse, RULES)
    monkeypatch.setenv("KLAVIYO_FIELD_SALT", "another secret of the tests")

    ruled("profiles", account, warehouse, RULES)

    salt = Salt("another secret of the tests")
    wanted = [None if value is None else salt.hash(value, Kind.EMAIL) for value in truth(account, "profiles")["email"]]
    assert table(warehouse, "profiles")["email"].to_list() == wanted


def test_a_full_read_keeps_to_the_rules(account: SandboxProcess, warehouse: LocalFile) -> None:
    ruled("profiles", account, warehouse, RULES)
    rows = table(warehouse, "profiles")

    ruled("profiles", account, warehouse, RULES, SyncRequest(mode=Mode.FULL))

    assert table(warehouse, "profiles").equals(rows)


WRONG: dict[str, tuple[Any, str]] = {
    "type": ({"profile": {"email": "hash"}}, "which is no resource type"),
    "field": ({"profiles": {"mail": "hash"}}, "is not known, or needed as it is"),
    "id": ({"profiles": {"id": "hash"}}, "is not known, or needed as it is"),
    "version": ({"profiles": {"updated": "drop"}}, "is not known, or needed as it is"),
    "action": ({"profiles": {"email": "mask"}}, "'mask' is no action. Use drop or hash"),
    "number": ({"events": {"timestamp": "hash"}}, "no room for a hash"),
    "json": ({"profiles": {"properties": "hash"}}, "cannot be hashed as a whole"),
    "inside of text": ({"profiles": {"email.name": "drop"}}, "has nothing inside"),
    "twice": ({"profiles": {"properties": "drop", "properties.a": "hash"}}, "about the same"),
    "control characters": ({"profiles": {"\x1b[2J": "drop"}}, r"'\\x1b[2J'"),
}


@pytest.mark.parametrize(("rules", "words"), WRONG.values(), ids=WRONG)
def test_a_rule_that_cannot_be_kept_is_refused(rules: Any, words: str) -> None:
    with pytest.raises(InvalidFieldRules) as caught:
        parse_rules(rules)
    assert words in str(caught.value)


@pytest.mark.parametrize("text", [None, "", "short"])
def test_hashes_need_a_salt_that_is_a_secret(text: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KLAVIYO_FIELD_SALT")
    if text is not None:
        monkeypatch.setenv("KLAVIYO_FIELD_SALT", text)

    with pytest.raises(InvalidFieldRules, match="KLAVIYO_FIELD_SALT"):
        guards_for(RULES)
    assert guards_for({"profiles": {"email": "drop"}})["profiles"].salt is None


def test_rules_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLAVIYO_FIELD_RULES", json.dumps(RULES))
    assert from_environment().field_rules == RULES
    for wrong in ("email", '{"profiles": "email"}', '{"profiles": {"mail": "drop"}}'):
        monkeypatch.setenv("KLAVIYO_FIELD_RULES", wrong)
        with pytest.raises(InvalidSetting, match="KLAVIYO_FIELD_RULES"):
            from_environment()

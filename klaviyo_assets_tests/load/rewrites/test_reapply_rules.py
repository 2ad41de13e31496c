"""Fields that are dropped or hashed: their values are stored nowhere, and everything else is unchanged."""

import asyncio
import json
import logging
import traceback
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from klaviyo_assets.api.auth import parse_api_key
from klaviyo_assets.api.client import KlaviyoClient
from klaviyo_assets.api.client_settings import ClientSettings
from klaviyo_assets.api.klaviyo_errors import KlaviyoError
from klaviyo_assets.catalog import CATALOG, Catalog
from klaviyo_assets.decode import PageDecoder
from klaviyo_assets.extract.sync_options import SyncMode, SyncOptions
from klaviyo_assets.privacy.apply import FieldRuleSet, rule_sets_for
from klaviyo_assets.privacy.hashing import Salt, ValueKind
from klaviyo_assets.privacy.rules import FieldRules, InvalidFieldRules, parse_rules
from klaviyo_assets.sandbox.keys import ALL_SCOPES_KEY
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.settings.options import InvalidSetting, from_environment
from klaviyo_assets.sync.sync_report import SyncReport
from klaviyo_assets.sync.sync_runner import SyncRunner
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import query, table, truth
from klaviyo_assets_tests.event_columns import NAMES as EVENT_COLUMNS
from klaviyo_assets_tests.event_columns import with_event_columns

pytestmark = pytest.mark.long

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


def sync_with_rules(
    name: str,
    sandbox: SandboxProcess,
    warehouse: LocalFile,
    rules: FieldRules,
    request: SyncOptions | None = None,
    catalog: Catalog = CATALOG,
) -> SyncReport:
    async def run() -> SyncReport:
        field_rules = rule_sets_for(rules, catalog).get(name, FieldRuleSet())
        async with KlaviyoClient(parse_api_key(ALL_SCOPES_KEY), ClientSettings(base_url=sandbox.base_url, max_retries=1)) as client:
            log = logging.getLogger("klaviyo_assets_tests")
            return await SyncRunner(
                catalog[name], request or SyncOptions(), client, warehouse, "klaviyo", "a-run", log, field_rules=field_rules
            ).run()

    return asyncio.run(run())


def plain_values(sandbox: SandboxProcess, column: str = "email") -> list[str]:
    return truth(sandbox, "profiles")[column].drop_nulls().to_list()


def found_in(data: bytes, values: list[str]) -> list[str]:
    return [value for value in values if value.encode() in data]


def all_bytes(warehouse: LocalFile) -> bytes:
    return b"".join(path.read_bytes() for path in warehouse.path.parent.rglob("*") if path.is_file())


def test_values_with_a_rule_are_stored_nowhere_and_others_are_unchanged(account: SandboxProcess, plain_file: LocalFile) -> None:
    sync_with_rules("profiles", account, plain_file, RULES)

    rows, expected = table(plain_file, "profiles"), truth(account, "profiles")
    salt = Salt(SALT)
    assert rows["email"].to_list() == [None if value is None else salt.hash(value, ValueKind.EMAIL) for value in expected["email"]]
    assert rows["phone_number"].to_list() == [None if value is None else salt.hash(value, ValueKind.PHONE) for value in expected["phone_number"]]
    assert rows["first_name"].null_count() == rows["properties"].null_count() == rows.height
    named = ["email", "phone_number", "first_name", "properties"]
    assert rows.drop(named).equals(expected.drop(named))
    everything = all_bytes(plain_file)
    assert len(plain_values(account)) > 100
    assert found_in(everything, plain_values(account)) == found_in(everything, plain_values(account, "phone_number")) == []
    assert SALT.encode() not in everything


def test_the_search_finds_values_that_are_stored(account: SandboxProcess, plain_file: LocalFile) -> None:
    sync_with_rules("profiles", account, plain_file, {})

    for _ in range(2):
        everything = all_bytes(plain_file)
        assert found_in(everything, plain_values(account)) == plain_values(account)
        assert found_in(everything, plain_values(account, "properties")) == plain_values(account, "properties"), "JSON is not compressed either"
        plain_file.request_compaction()
        plain_file.compact_if_requested()


def test_staged_files_do_not_contain_the_values(new_account: NewAccount, warehouse: LocalFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("klaviyo_assets.api.retries.BACKOFF_BASE", 0.01)
    sandbox = new_account(profiles=600)
    sandbox.faults({"path": "/api/profiles", "kind": "503", "times": None, "after": 4})
    with pytest.raises(KlaviyoError):
        sync_with_rules("profiles", sandbox, warehouse, RULES)

    staged = pl.concat(pl.read_parquet(path) for path in warehouse.path.parent.rglob("*.parquet"))
    assert staged.height > 0
    assert staged["first_name"].null_count() == staged["properties"].null_count() == staged.height
    assert staged["email"].drop_nulls().str.starts_with("sha256:").all()
    texts = staged.with_columns(pl.col(pl.List(pl.String)).list.join(" ")).select(pl.all().cast(pl.String, strict=False))
    everything = texts.write_json().encode()
    assert found_in(everything, plain_values(sandbox)) == found_in(everything, plain_values(sandbox, "phone_number")) == []
    sandbox.clear_faults()
    assert sync_with_rules("profiles", sandbox, warehouse, RULES).resumed
    assert table(warehouse, "profiles").height == truth(sandbox, "profiles").height


def test_only_the_named_members_of_custom_properties_change(account: SandboxProcess, warehouse: LocalFile) -> None:
    sync_with_rules("events", account, warehouse, RULES)

    rows, expected = table(warehouse, "events"), truth(account, "events")
    seen = 0
    for stored, original in zip(rows["event_properties"], expected["event_properties"], strict=True):
        before, after = json.loads(original), json.loads(stored)
        assert "$value" not in after
        assert {name: value for name, value in after.items() if name != "Items"} == {
            name: value for name, value in before.items() if name not in ("$value", "Items")
        }
        seen += before != after
        assert before != after or stored == original
    assert seen > 10
    assert rows.equals(with_event_columns(rows))
    assert rows["value"].null_count() == rows.height
    assert rows.drop("event_properties", *EVENT_COLUMNS).equals(expected.drop("event_properties", *EVENT_COLUMNS))


def test_hashes_of_one_value_in_two_tables_join(account: SandboxProcess, warehouse: LocalFile) -> None:
    sync_with_rules("profiles", account, warehouse, RULES)
    sync_with_rules("reviews", account, warehouse, RULES)

    joined = truth(account, "reviews").join(truth(account, "profiles"), on="email").height
    assert query(warehouse, "SELECT count(*) FROM reviews JOIN profiles USING (email)") == [(joined,)]


def test_a_new_rule_is_applied_to_stored_rows_and_leaves_no_values_in_the_file(account: SandboxProcess, plain_file: LocalFile) -> None:
    sync_with_rules("profiles", account, plain_file, {})
    before = table(plain_file, "profiles")
    assert found_in(all_bytes(plain_file), plain_values(account))

    report = sync_with_rules("profiles", account, plain_file, RULES)

    assert report.row.records_read < before.height  # the rows were not read again
    assert any("were rewritten to match it" in note for note in report.notes)
    salt, rows = Salt(SALT), table(plain_file, "profiles")
    assert rows["email"].to_list() == [None if value is None else salt.hash(value, ValueKind.EMAIL) for value in before["email"]]
    assert rows.drop("email", "phone_number", "first_name", "properties").equals(before.drop("email", "phone_number", "first_name", "properties"))
    assert found_in(all_bytes(plain_file), plain_values(account)) == []
    assert not plain_file.state_dir.joinpath("compaction-due").exists()
    again = sync_with_rules("profiles", account, plain_file, RULES)
    assert (again.row.rows_updated, again.notes) == (0, ())
    assert table(plain_file, "profiles").equals(rows)


@pytest.mark.parametrize("column", ["email", "properties"])
def test_a_new_rule_removes_earlier_values_of_rows_from_the_file(
    column: str, new_account: NewAccount, plain_file: LocalFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("klaviyo_assets.warehouse.vacuum._BIG_TABLE", 10)  # dead rows stay for a while, as in a table of 100,000 rows
    secrets = {"email": "held.before@example.org", "properties": {"ssn": "held.before@example.org"}}
    sandbox = new_account(profiles=60)
    (id_,) = sandbox.change("add", type="profiles", attributes={column: secrets[column]})
    sync_with_rules("profiles", sandbox, plain_file, {})
    sandbox.change("update", type="profiles", id=id_, attributes={column: {"a": 1} if column == "properties" else None})
    sync_with_rules("profiles", sandbox, plain_file, {})
    assert b"held.before" in all_bytes(plain_file)
    assert not [row for row in table(plain_file, "profiles").iter_rows() if "held.before" in str(row)]

    sync_with_rules("profiles", sandbox, plain_file, {"profiles": {"email": "hash"} if column == "email" else {"properties.ssn": "drop"}})

    assert b"held.before" not in all_bytes(plain_file)


def test_a_new_rule_removes_values_left_by_an_interrupted_full_read(account: SandboxProcess, plain_file: LocalFile) -> None:
    sync_with_rules("profiles", account, plain_file, {})
    query(plain_file, "CREATE TABLE _profiles_rebuilt AS FROM profiles")

    sync_with_rules("profiles", account, plain_file, RULES)

    assert found_in(all_bytes(plain_file), plain_values(account)) == []


def test_a_first_sync_rewrites_nothing(account: SandboxProcess, warehouse: LocalFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("klaviyo_assets.warehouse.compaction.compact", None)

    assert sync_with_rules("profiles", account, warehouse, RULES).notes == ()


@pytest.mark.parametrize("rules", [{}, {"profiles": {"email": "hash"}}], ids=["no rules", "one rule"])
def test_a_loosened_rule_restores_the_values(rules: FieldRules, account: SandboxProcess, warehouse: LocalFile) -> None:
    sync_with_rules("profiles", account, warehouse, RULES)

    sync_with_rules("profiles", account, warehouse, rules)

    expected = truth(account, "profiles")
    assert table(warehouse, "profiles")["first_name"].equals(expected["first_name"])
    assert table(warehouse, "profiles")["properties"].equals(expected["properties"])
    assert table(warehouse, "profiles")["email"].equals(expected["email"]) is not bool(rules)


def test_another_salt_changes_the_hashes_of_all_rows(account: SandboxProcess, warehouse: LocalFile, monkeypatch: pytest.MonkeyPatch) -> None:
    sync_with_rules("profiles", account, warehouse, RULES)
    monkeypatch.setenv("KLAVIYO_FIELD_SALT", "another secret of the tests")

    sync_with_rules("profiles", account, warehouse, RULES)

    salt = Salt("another secret of the tests")
    expected = [None if value is None else salt.hash(value, ValueKind.EMAIL) for value in truth(account, "profiles")["email"]]
    assert table(warehouse, "profiles")["email"].to_list() == expected


def test_a_rule_that_drops_extra_as_a_whole_also_applies_to_stored_rows(new_account: NewAccount, warehouse: LocalFile) -> None:
    sandbox = new_account(profiles=5, events=0)
    (first,) = sandbox.change("add", type="profiles", attributes={"nick_name": "Annie"})
    sync_with_rules("profiles", sandbox, warehouse, {})
    assert query(warehouse, "SELECT id FROM profiles WHERE _extra ->> 'nick_name' = 'Annie'") == [(first,)]
    sandbox.change("add", type="profiles", attributes={"nick_name": "Bobby", "email": 7})

    sync_with_rules("profiles", sandbox, warehouse, {"profiles": {"_extra": "drop", "first_name": "hash"}})

    assert query(warehouse, "SELECT count(*), count(_extra) FROM profiles") == [(7, 0)]
    expected = truth(sandbox, "profiles").drop("_extra", "first_name")
    assert table(warehouse, "profiles").select(expected.columns).equals(expected)


def test_a_full_read_applies_the_rules(account: SandboxProcess, warehouse: LocalFile) -> None:
    sync_with_rules("profiles", account, warehouse, RULES)
    rows = table(warehouse, "profiles")

    sync_with_rules("profiles", account, warehouse, RULES, SyncOptions(mode=SyncMode.full))

    assert table(warehouse, "profiles").equals(rows)


WRONG: dict[str, tuple[Any, str]] = {
    "type": ({"profile": {"email": "hash"}}, "which is no resource type"),
    "field": ({"profiles": {"mail": "hash"}}, "is not known, or needed as it is"),
    "id": ({"profiles": {"id": "hash"}}, "is not known, or needed as it is"),
    "version": ({"profiles": {"updated": "drop"}}, "is not known, or needed as it is"),
    "action": ({"profiles": {"email": "mask"}}, "'mask' is no action. Use drop or hash"),
    "number": ({"events": {"timestamp": "hash"}}, "no room for a hash"),
    "json": ({"profiles": {"properties": "hash"}}, "cannot be hashed as a whole"),
    "inside text": ({"profiles": {"email.name": "drop"}}, "has nothing inside"),
    "twice": ({"profiles": {"properties": "drop", "properties.a": "hash"}}, "about the same"),
    "needed, as extra": ({"profiles": {"_extra.updated": "drop"}}, "has a column, and is needed as it is"),
    "number, as extra": ({"events": {"_extra.timestamp": "hash"}}, "no room for a hash"),
    "parent of columns": ({"profiles": {"_extra.location": "drop"}}, "Name these, each with a rule: location.address1"),
    "twice, as extra": ({"profiles": {"email": "drop", "_extra.email": "drop"}}, "about the same"),
    "no mapping": ({"profiles": "drop"}, 'not a mapping. Write them as {"profiles": {"email": "hash"}}.'),
    "extra as a whole": ({"profiles": {"_extra": "hash"}}, "Drop it, or name a member of it: _extra.<name>."),
    "control characters": ({"profiles": {"\x1b[2J": "drop"}}, r"'\\x1b[2J'"),
}


@pytest.mark.parametrize(("rules", "message"), WRONG.values(), ids=WRONG)
def test_an_invalid_rule_is_rejected(rules: Any, message: str) -> None:
    with pytest.raises(InvalidFieldRules) as caught:
        parse_rules(rules)
    assert message in str(caught.value)


@pytest.mark.parametrize("text", [None, "", "short"])
def test_hashes_need_a_secret_salt(text: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KLAVIYO_FIELD_SALT")
    if text is not None:
        monkeypatch.setenv("KLAVIYO_FIELD_SALT", text)

    with pytest.raises(InvalidFieldRules, match="KLAVIYO_FIELD_SALT"):
        rule_sets_for(RULES)
    assert rule_sets_for({"profiles": {"email": "drop"}})["profiles"].salt is None


def test_rules_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLAVIYO_FIELD_RULES", json.dumps(RULES))
    assert from_environment().field_rules == RULES
    for wrong in ("email", '{"profiles": "email"}', '{"profiles": {"mail": "drop"}}'):
        monkeypatch.setenv("KLAVIYO_FIELD_RULES", wrong)
        with pytest.raises(InvalidSetting, match="KLAVIYO_FIELD_RULES"):
            from_environment()


def stored_record(attributes: str, fields: dict[str, str]) -> dict[str, Any]:
    """Return the stored row of a profile without null values."""
    field_rules = rule_sets_for({"profiles": fields})["profiles"]
    document = f'{{"data":[{{"type":"profile","id":"1","attributes":{attributes}}}]}}'.encode()
    (row,) = field_rules.apply(PageDecoder(CATALOG["profiles"]).page(document).frame).to_dicts()
    return {name: value for name, value in row.items() if value is not None and name != "id"}


COVERED: dict[str, tuple[str, dict[str, str], dict[str, Any]]] = {
    "a column, named as extra": ('{"email":"ann@example.com","x":1}', {"_extra.email": "drop"}, {"_extra": '{"x":1}'}),
    "a value that did not fit its column": ('{"email":["ann@example.com"],"x":1}', {"_extra.email": "drop"}, {"_extra": '{"x":1}'}),
    "inside a column": ('{"properties":{"a":1,"b":2}}', {"_extra.properties.a": "drop"}, {"properties": '{"b":2}'}),
    "by the column's name": ('{"location":{"zip":"1"},"location_zip":"1"}', {"_extra.location_zip": "drop"}, {}),
    "a parent that is text": ('{"location":"Main St 5","x":1}', {"location.address1": "drop"}, {"_extra": '{"x":1}'}),
    "a parent that is a list": ('{"location":["Main St 5"]}', {"location.address1": "hash"}, {}),
    "an unknown member of a parent that is text": ('{"location":"Main St 5"}', {"_extra.location.floor": "drop"}, {}),
    "a list of unknown objects": ('{"x":[{"a":1,"b":2}]}', {"_extra.x.a": "drop"}, {"_extra": '{"x":[{"b":2}]}'}),
    "the only thing in extra": ('{"nick":"ann"}', {"_extra.nick": "drop"}, {}),
    "a list in place of all attributes": ('["ann@example.com"]', {"email": "drop"}, {"_extra": '{"record.attributes":[null]}'}),
    "half a character elsewhere": ('{"title":"\\ud83d","email":"a@b"}', {"email": "drop"}, {"title": "\\ud83d", "_extra": '{"_odd_text":null}'}),
}


@pytest.mark.parametrize(("attributes", "fields", "stored"), COVERED.values(), ids=COVERED)
def test_a_rule_applies_to_its_field_wherever_it_is(attributes: str, fields: dict[str, str], stored: dict[str, Any]) -> None:
    assert stored_record(attributes, fields) == stored


def test_a_rule_for_an_unknown_field_applies_once_it_has_a_column(account: SandboxProcess, warehouse: LocalFile) -> None:
    entry = CATALOG["profiles"]
    older = replace(entry, columns=tuple(column for column in entry.columns if column.name != "first_name"))
    rules = {"profiles": {"_extra.first_name": "drop"}}
    sync_with_rules("profiles", account, warehouse, rules, catalog=Catalog([older]))

    sync_with_rules("profiles", account, warehouse, rules)

    assert query(warehouse, "SELECT count(first_name), count(*) FILTER (_extra LIKE '%first_name%') FROM profiles") == [(0, 0)]
    assert query(warehouse, "SELECT count(last_name) > 0 FROM profiles") == [(True,)]


def test_a_salt_does_not_appear_in_tracebacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLAVIYO_FIELD_SALT", "".join(["a sh", "ort one"]))

    with pytest.raises(InvalidFieldRules) as caught:
        rule_sets_for(RULES)

    shown = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert "at least 16" in shown
    assert "a short one" not in shown

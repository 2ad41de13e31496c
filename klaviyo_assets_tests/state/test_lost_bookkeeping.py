"""Bookkeeping is dropped or emptied: erased people stay erased, no value is hashed twice, rows are read again, and a note reports the loss."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from polars.testing import assert_frame_equal

from klaviyo_assets.extract.sync_options import SyncMode, SyncOptions
from klaviyo_assets.privacy.hashing import Salt, ValueKind
from klaviyo_assets.privacy.rules import FieldRules
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.state.bookkeeping_copy import BookkeepingCopy
from klaviyo_assets.state.tombstones import id_hash
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import query, small, sync, table, truth
from klaviyo_assets_tests.erasure.test_erase import erase
from klaviyo_assets_tests.load.rewrites.test_reapply_rules import SALT, sync_with_rules

pytestmark = pytest.mark.long

RULES: FieldRules = {"profiles": {"email": "hash", "first_name": "drop", "properties.tier": "hash"}}

LOSSES = ["DROP TABLE {}", "TRUNCATE {}", "DELETE FROM {}"]


@pytest.fixture(scope="module")
def account() -> Iterator[SandboxProcess]:
    """A small account that does not change."""
    now = datetime.now(UTC)
    with small(events=60, profiles=40, reviews=20, base=now - timedelta(minutes=61), clock=now) as sandbox:
        yield sandbox


@pytest.fixture(autouse=True)
def salt(clean_environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLAVIYO_FIELD_SALT", SALT)


def some_id(warehouse: LocalFile) -> str:
    return str(query(warehouse, "SELECT min(id) FROM profiles")[0][0])


def drop_tables(warehouse: LocalFile, condition: str) -> None:
    for (name,) in query(warehouse, f"SELECT table_name FROM duckdb_tables() WHERE {condition}"):
        query(warehouse, f"DROP TABLE {name}")


def has_profile(warehouse: LocalFile, id_: str) -> bool:
    return bool(query(warehouse, f"SELECT 1 FROM profiles WHERE id = '{id_}'"))


@pytest.mark.duckdb
@pytest.mark.parametrize("loss", LOSSES)
def test_an_erased_person_is_not_stored_again(loss: str, account: SandboxProcess, warehouse: LocalFile) -> None:
    sync("profiles", account, warehouse)
    id_ = some_id(warehouse)
    assert erase(warehouse, id_).returncode == 0
    query(warehouse, loss.format("_erased"))

    report = sync("profiles", account, warehouse, SyncOptions(SyncMode.full))

    assert not has_profile(warehouse, id_)
    assert any("_erased lacked 1 record that had been erased: restored" in note for note in report.notes), report.notes
    assert query(warehouse, "SELECT record FROM _erased") == [(id_hash(id_),)]
    assert not any("_erased" in note for note in sync("profiles", account, warehouse).notes)


@pytest.mark.parametrize("loss", ["every bookkeeping table", "every table", "the file", "some rows"])
def test_erased_people_are_not_stored_again_even_if_more_is_lost(loss: str, account: SandboxProcess, warehouse: LocalFile) -> None:
    sync("profiles", account, warehouse)
    ids = [id_ for (id_,) in query(warehouse, "SELECT id FROM profiles ORDER BY id LIMIT 2")]
    for id_ in ids:
        assert erase(warehouse, id_).returncode == 0
    match loss:
        case "every bookkeeping table":
            drop_tables(warehouse, "table_name LIKE '#_%' ESCAPE '#'")
        case "every table":
            drop_tables(warehouse, "true")
        case "the file":
            warehouse.path.unlink()
        case _:
            query(warehouse, f"DELETE FROM _erased WHERE record = '{id_hash(ids[0])}'")

    report = sync("profiles", account, warehouse, SyncOptions(SyncMode.full))

    assert not any(has_profile(warehouse, id_) for id_ in ids)
    assert any("had been erased: restored" in note for note in report.notes)


def test_a_deliberately_readmitted_person_is_stored(account: SandboxProcess, warehouse: LocalFile) -> None:
    sync("profiles", account, warehouse)
    id_ = some_id(warehouse)
    assert erase(warehouse, id_).returncode == 0
    BookkeepingCopy(warehouse, "klaviyo").path.unlink()
    query(warehouse, "DELETE FROM _erased")

    sync("profiles", account, warehouse, SyncOptions(SyncMode.full))

    assert has_profile(warehouse, id_)


@pytest.mark.parametrize("content", [None, b"", b"\0\0\0", b"{", b'{"erased": 7}', b"\xff"])
def test_a_lost_or_damaged_copy_is_created_again_from_the_table(content: bytes | None, account: SandboxProcess, warehouse: LocalFile) -> None:
    sync("lists", account, warehouse)
    assert erase(warehouse, "person-1").returncode == 0
    copy = BookkeepingCopy(warehouse, "klaviyo")
    if content is None:
        copy.path.unlink()
    else:
        copy.path.write_bytes(content)

    sync("lists", account, warehouse)
    query(warehouse, "DROP TABLE _erased")
    sync("lists", account, warehouse)

    assert query(warehouse, "SELECT record FROM _erased") == [(id_hash("person-1"),)]


def test_a_dry_run_restores_and_records_nothing(account: SandboxProcess, warehouse: LocalFile) -> None:
    sync("lists", account, warehouse)
    assert erase(warehouse, "person-1", "--dry-run").returncode == 0

    assert not any("_erased" in note for note in sync("lists", account, warehouse).notes)
    assert query(warehouse, "SELECT table_name FROM duckdb_tables() WHERE table_name = '_erased'") == []


@pytest.mark.parametrize("loss", LOSSES)
def test_losing_the_recorded_rules_does_not_change_the_table(loss: str, account: SandboxProcess, warehouse: LocalFile) -> None:
    sync_with_rules("profiles", account, warehouse, RULES)
    before = table(warehouse, "profiles")
    recorded = query(warehouse, "FROM _field_rules ORDER BY ALL")
    query(warehouse, loss.format("_field_rules"))

    report = sync_with_rules("profiles", account, warehouse, RULES)

    assert table(warehouse, "profiles").equals(before)
    assert before["email"].to_list() == [
        None if one is None else Salt(SALT).hash(one, ValueKind.EMAIL) for one in truth(account, "profiles")["email"]
    ]
    assert any("_field_rules lacked the field rules" in note for note in report.notes), report.notes
    assert query(warehouse, "FROM _field_rules ORDER BY ALL") == recorded
    assert not any("_field_rules" in note for note in sync_with_rules("profiles", account, warehouse, RULES).notes)


@pytest.mark.parametrize("changed", ["salt", "no rules", "other rules"])
def test_rules_changed_since_the_loss_are_applied(
    changed: str, account: SandboxProcess, warehouse: LocalFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync_with_rules("profiles", account, warehouse, RULES)
    query(warehouse, "DROP TABLE _field_rules")
    if changed == "salt":
        monkeypatch.setenv("KLAVIYO_FIELD_SALT", "another secret of the tests")
    rules: FieldRules = {"salt": RULES, "no rules": {}, "other rules": {"profiles": {"email": "drop"}}}[changed]  # type: ignore[assignment]

    report = sync_with_rules("profiles", account, warehouse, rules)

    stored, plain = table(warehouse, "profiles"), truth(account, "profiles")
    match changed:
        case "salt":
            salt = Salt("another secret of the tests")
            assert stored["email"].to_list() == [None if one is None else salt.hash(one, ValueKind.EMAIL) for one in plain["email"]]
        case "no rules":
            assert stored.equals(plain)
        case _:
            assert stored["email"].null_count() == stored.height
            assert stored["first_name"].equals(plain["first_name"])
    assert any("_field_rules lacked the field rules" in note for note in report.notes)
    assert not any("_field_rules" in note for note in sync_with_rules("profiles", account, warehouse, rules).notes)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("rule", ["hash", "drop"])
def test_an_erasure_is_rejected_while_the_rules_are_not_recorded(rule: str, loss: str, account: SandboxProcess, warehouse: LocalFile) -> None:
    rules: FieldRules = {"profiles": {"email": rule}}
    sync_with_rules("profiles", account, warehouse, rules)
    email = truth(account, "profiles")["email"].drop_nulls()[0]
    id_ = truth(account, "profiles").filter(truth(account, "profiles")["email"] == email)["id"][0]
    query(warehouse, loss.format("_field_rules"))

    rejected = erase(warehouse, email, KLAVIYO_FIELD_SALT=SALT)

    assert rejected.returncode == 1
    assert "_field_rules lacks the field rules that the rows of profiles were stored with" in rejected.stderr
    assert "Run a sync of profiles" in rejected.stderr
    sync_with_rules("profiles", account, warehouse, rules)
    done = erase(warehouse, email if rule == "hash" else id_, KLAVIYO_FIELD_SALT=SALT)
    assert done.returncode == 0, done.stderr
    assert not has_profile(warehouse, id_)


def test_a_new_table_was_stored_without_rules(account: SandboxProcess, warehouse: LocalFile) -> None:
    sync_with_rules("profiles", account, warehouse, RULES)
    drop_tables(warehouse, "true")

    report = sync_with_rules("profiles", account, warehouse, {})

    assert not any("_field_rules" in note for note in report.notes)
    assert table(warehouse, "profiles").equals(truth(account, "profiles"))


def test_an_empty_table_is_read_again_if_the_log_of_syncs_is_lost_too(account: SandboxProcess, warehouse: LocalFile) -> None:
    sync("profiles", account, warehouse)
    query(warehouse, "DELETE FROM profiles")
    query(warehouse, "DELETE FROM _syncs")

    report = sync("profiles", account, warehouse)

    assert (
        "The table klaviyo.profiles is empty, and there is no record of whether it was empty after the last sync. Its coverage no longer counts: "
        "incremental syncs read everything again."
    ) in report.notes
    assert_frame_equal(table(warehouse, "profiles"), truth(account, "profiles"))

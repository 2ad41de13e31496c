"""One command erases a person from tables, staged files and free blocks, and later syncs do not store the person again."""

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import polars as pl
import pytest

from klaviyo_assets.api.klaviyo_errors import KlaviyoError
from klaviyo_assets.cli.main import main
from klaviyo_assets.erasure.subject import DataSubject
from klaviyo_assets.errors import SyncError
from klaviyo_assets.extract.sync_options import SyncMode, SyncOptions
from klaviyo_assets.privacy.hashing import Salt, ValueKind
from klaviyo_assets.privacy.rules import FieldRules
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.state.locks import sync_lock
from klaviyo_assets.state.tombstones import id_hash, without_erased
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import query, sync, table, truth
from klaviyo_assets_tests.filled_once import fill_once
from klaviyo_assets_tests.load.rewrites.test_reapply_rules import SALT, sync_with_rules

pytestmark = pytest.mark.long

NewAccount = Callable[..., SandboxProcess]


@dataclass
class Result:
    """Exit status and output of the command."""

    returncode: int
    stdout: str
    stderr: str


def erase(warehouse: LocalFile, *arguments: str, **settings: str) -> Result:
    """Run the command in this process, so that the fixtures' patches apply."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        for name in [name for name in os.environ if name.startswith("KLAVIYO_")]:
            patch.delenv(name)
        for name, value in {"KLAVIYO_DUCKDB_PATH": str(warehouse.path), **settings}.items():
            patch.setenv(name, value)
        patch.chdir(warehouse.path.parent)
        status = main(["erase", *arguments])
    return Result(status, out.getvalue(), err.getvalue())


def figures(result: subprocess.CompletedProcess[str]) -> dict[str, list[int]]:
    """Return rows deleted and rows that named the person, by table."""
    lines = [line.split() for line in result.stdout.splitlines()]
    return {line[0]: [int(line[1]), int(line[2])] for line in lines if len(line) == 3 and line[1].isdecimal()}


def a_person(warehouse: LocalFile) -> tuple[str, str, str]:
    """Return id, e-mail and phone of a profile that has events, and make others mention it."""
    ((id_, email, phone),) = query(
        warehouse,
        "SELECT id, email, phone_number FROM profiles WHERE email IS NOT NULL AND phone_number IS NOT NULL "
        "AND id IN (SELECT profile_id FROM events) ORDER BY id LIMIT 1",
    )
    others = f'"not": "jo{email} {email}.au"'
    hidden = rf'"note": "see\n{email}", "url": "?e={email.replace("@", "%40")}", "p": {phone[1:]}, "id": "\t{id_}"'
    query(
        warehouse,
        f'UPDATE events SET event_properties = \'{{"friend": "{email.upper()}, {email}", {others}, {hidden}, "n": 1.0}}\' '
        f"WHERE id = (SELECT min(id) FROM events WHERE profile_id <> '{id_}')",
    )
    return id_, email, phone


def everything_below(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def synced_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Path of a copy of the folder after its syncs; the first test that needs it creates it."""
    return tmp_path_factory.mktemp("synced") / "folder"


@pytest.fixture
def filled(account: SandboxProcess, plain_file: LocalFile, synced_folder: Path) -> LocalFile:
    """A database with the people of the account, and the files next to it."""
    fill_once(plain_file, synced_folder, lambda: [sync(name, account, plain_file) for name in ("profiles", "events", "reviews", "lists")])
    return plain_file


@pytest.mark.parametrize("by", ["id", "email", "phone"])
def test_nothing_of_a_person_is_left(by: str, filled: LocalFile, account: SandboxProcess) -> None:
    id_, email, phone = a_person(filled)
    ((events,),) = query(filled, f"SELECT count(*) FROM events WHERE profile_id = '{id_}'")
    others = set(query(filled, f"SELECT id FROM events WHERE profile_id IS DISTINCT FROM '{id_}'"))
    assert email.encode() in everything_below(filled.path.parent)

    result = erase(filled, {"id": id_, "email": f" {email.upper()}", "phone": phone}[by])

    assert result.returncode == 0, result.stderr
    assert figures(result)["profiles"] == [1, 0]
    assert figures(result)["events"] == [events, 1]
    left = everything_below(filled.path.parent)
    # Two addresses of other people contain it: one begins with a longer name, the other ends with another domain.
    assert left.replace(f"jo{email}".encode(), b"").replace(f"{email}.au".encode(), b"").count(email.encode()) == 0
    assert id_.encode() not in left
    assert phone.encode() not in left
    assert query(filled, "SELECT event_properties FROM events WHERE event_properties LIKE '%friend%'") == [
        (
            f'{{"friend": "[erased], [erased]", "not": "jo{email} {email}.au", "note": "see\\n[erased]", "url": "?e=[erased]", "p": "[erased]", '
            '"id": "\\t[erased]", "n": 1.0}',
        )
    ]
    assert set(query(filled, "SELECT id FROM events")) == others

    for name in ("profiles", "events", "reviews"):
        sync(name, account, filled, SyncOptions(mode=SyncMode.full) if name != "reviews" else None)
    assert query(filled, f"SELECT count(*) FROM profiles WHERE id = '{id_}'") == [(0,)]
    assert query(filled, f"SELECT count(*) FROM events WHERE profile_id = '{id_}'") == [(0,)]
    assert set(query(filled, "SELECT id FROM events")) >= others  # a late event may have arrived meanwhile


def test_a_dry_run_reports_and_changes_nothing(filled: LocalFile) -> None:
    id_, email, _ = a_person(filled)
    before = {name: table(filled, name) for name in ("profiles", "events")}

    result = erase(filled, email, "--dry-run")

    assert "ROWS TO DELETE" in result.stdout
    assert figures(result)["profiles"] == [1, 0]
    assert all(table(filled, name).equals(frame) for name, frame in before.items())
    assert id_ in table(filled, "profiles")["id"].to_list()


def test_staged_files_are_deleted(new_account: NewAccount, warehouse: LocalFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("klaviyo_assets.api.retries.BACKOFF_BASE", 0.01)
    sandbox = new_account()
    sync("profiles", sandbox, warehouse)
    id_, email, _ = query(warehouse, "SELECT id, email, 0 FROM profiles WHERE email IS NOT NULL ORDER BY id LIMIT 1")[0]
    sandbox.faults({"path": "/api/events", "kind": "503", "times": None, "after": 3})
    with pytest.raises(KlaviyoError):
        sync("events", sandbox, warehouse)
    assert list(warehouse.state_dir.rglob("*.parquet"))

    assert erase(warehouse, email).returncode == 0

    assert not list(warehouse.state_dir.rglob("*.parquet"))
    sandbox.clear_faults()
    sync("events", sandbox, warehouse)
    assert query(warehouse, f"SELECT count(*) FROM events WHERE profile_id = '{id_}'") == [(0,)]


@pytest.mark.parametrize("who", ["", "+1", "Ann Smith", "a@b@c"])
def test_an_ambiguous_name_is_refused(who: str, filled: LocalFile) -> None:
    with pytest.raises(SyncError, match="identifies no person"):
        DataSubject.named(who)
    result = erase(filled, who)
    assert result.returncode == 1
    assert "identifies no person" in result.stderr


def test_invalid_address_or_number_matches_no_profile() -> None:
    person = DataSubject.named("01H2")
    unusable = {ValueKind.EMAIL: ("[erased]", ""), ValueKind.PHONE: ("unknown", "12", "1234-56")}
    for value, kind in [(value, kind) for kind, values in unusable.items() for value in values]:
        person.learn(value, kind)
    assert person == DataSubject.named("01H2")

    person.learn(" Ann@Example.com", ValueKind.EMAIL)
    person.learn("0049 170 1234567", ValueKind.PHONE)
    assert person == DataSubject.named("01H2", "ann@example.com", "+491701234567")


def test_an_unknown_id_changes_nothing(filled: LocalFile) -> None:
    before = table(filled, "events")

    result = erase(filled, "value")

    assert "No table holds data" in result.stdout
    assert "delete the profile there too" in result.stdout
    assert table(filled, "events").equals(before)
    assert query(filled, "SELECT record FROM _erased") == [(id_hash("value"),)]
    again = erase(filled, "unknown@example.org")
    assert (again.returncode, "Klaviyo still has" in again.stdout) == (0, False)
    assert "give its id" in again.stdout


def test_no_person_is_erased_during_a_sync(filled: LocalFile) -> None:
    _, email, _ = a_person(filled)
    with sync_lock(filled.state_dir / "klaviyo", "events", "run-7"):
        result = erase(filled, email)

    assert result.returncode == 1
    assert "run-7" in result.stderr
    assert query(filled, f"SELECT count(*) FROM profiles WHERE email = '{email}'") == [(1,)]


def test_a_missing_file_is_not_created(tmp_path: Path, warehouse: LocalFile) -> None:
    result = erase(warehouse, "ann@example.com", "--database", str(tmp_path / "no.duckdb"))

    assert result.returncode == 1
    assert "There is no file" in result.stderr
    assert not (tmp_path / "no.duckdb").exists()


def test_rows_without_an_owner_are_kept() -> None:
    frame = pl.DataFrame({"id": ["a", "b", "c"], "profile_id": ["p", None, "q"]})
    assert without_erased(frame, "profile_id", ["id"], frozenset({id_hash("p")}))["id"].to_list() == ["b", "c"]


def another_person(warehouse: LocalFile, id_: str) -> str:
    return str(query(warehouse, f"SELECT min(id) FROM profiles WHERE id <> '{id_}' AND id IN (SELECT profile_id FROM events)")[0][0])


def test_a_person_who_shares_a_phone_number_stays(filled: LocalFile) -> None:
    id_, email, phone = a_person(filled)
    other = another_person(filled, id_)
    query(filled, f"UPDATE profiles SET phone_number = '{phone}' WHERE id = '{other}'")

    by_phone = erase(filled, phone)

    assert by_phone.returncode == 1
    assert f"2 profiles have this phone number: {', '.join(sorted((id_, other)))}" in by_phone.stderr
    assert erase(filled, email).stdout.count(other) == 1
    assert query(filled, f"SELECT phone_number FROM profiles WHERE id IN ('{id_}', '{other}')") == [(phone,)]
    assert query(filled, f"SELECT count(*) > 0 FROM events WHERE profile_id = '{other}'") == [(True,)]
    assert query(filled, f"SELECT list(record) FROM _erased WHERE record IN ('{id_hash(id_)}', '{id_hash(other)}')") == [([id_hash(id_)],)]

    erase(filled, phone)
    assert query(filled, f"SELECT count(*) FROM profiles WHERE phone_number = '{phone}'") == [(0,)]


def test_tables_of_an_interrupted_full_sync_are_deleted(filled: LocalFile) -> None:
    id_, email, phone = a_person(filled)
    query(filled, "CREATE TABLE _profiles_rebuilt AS FROM profiles")
    query(filled, f"DELETE FROM profiles WHERE id = '{id_}'")

    result = erase(filled, email)

    assert figures(result)["_profiles_rebuilt"] == [1, 0]
    assert figures(result)["events"][0] > 0, "a person found there is searched for in all tables"
    assert query(filled, "SELECT count(*) FROM duckdb_tables() WHERE table_name LIKE '%rebuilt'") == [(0,)]
    left = everything_below(filled.path.parent)
    assert (id_.encode() in left, phone.encode() in left) == (False, False)


def test_earlier_values_of_a_row_are_removed_from_the_file(new_account: NewAccount, plain_file: LocalFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("klaviyo_assets.warehouse.vacuum._BIG_TABLE", 10)  # deleted rows stay for a while, as in a table of 100,000
    sandbox = new_account(profiles=60, events=0)
    (id_,) = sandbox.change("add", type="profiles", attributes={"email": "old@example.org", "properties": {"note": "only here"}})
    sync("profiles", sandbox, plain_file)
    sandbox.change("update", type="profiles", id=id_, attributes={"email": "new@example.org", "properties": {}})
    sync("profiles", sandbox, plain_file)
    assert b"old@example.org" in everything_below(plain_file.path.parent)

    assert "No table holds data" in erase(plain_file, "old@example.org").stdout

    left = everything_below(plain_file.path.parent)
    assert (b"old@example.org" in left, b"only here" in left, b"new@example.org" in left) == (False, False, True)


def test_the_log_of_a_killed_sync_is_removed(filled: LocalFile) -> None:
    id_, email, _ = a_person(filled)
    work = (
        "import duckdb, os, sys; c = duckdb.connect(sys.argv[1]); c.execute(\"SET wal_autocheckpoint = '1GB'\"); "
        "c.execute(f\"UPDATE klaviyo.klaviyo.profiles SET title = 'only in the log' WHERE id = '{sys.argv[2]}'\"); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", work, str(filled.path), id_], check=False)
    assert b"only in the log" in filled.path.with_name("klaviyo.duckdb.wal").read_bytes()

    assert erase(filled, email).returncode == 0

    assert b"only in the log" not in everything_below(filled.path.parent)


def test_spilled_files_are_deleted(filled: LocalFile) -> None:
    _, email, _ = a_person(filled)
    for folder in (filled.state_dir / "spill", filled.path.with_name("klaviyo.duckdb.tmp")):
        folder.mkdir()
        (folder / "duckdb_temp_storage_DEFAULT-0.tmp").write_text(email)

    assert erase(filled, email).returncode == 0

    assert not list(filled.path.parent.rglob("duckdb_temp_*"))


def test_a_profile_that_is_erased_before_it_is_read_is_not_stored(account: SandboxProcess, warehouse: LocalFile) -> None:
    id_ = truth(account, "profiles")["id"][0]
    sync("lists", account, warehouse)

    result = erase(warehouse, id_)

    assert "No table holds data" in result.stdout
    assert "no sync will store that profile" in result.stdout
    sync("profiles", account, warehouse)
    assert query(warehouse, f"SELECT count(*) FROM profiles WHERE id = '{id_}'") == [(0,)]


def test_a_missing_or_newer_schema_is_refused(filled: LocalFile) -> None:
    unknown = erase(filled, "ann@example.com", "--schema", "klavyio")
    query(filled, "UPDATE _layout SET version = 99")
    newer = erase(filled, "ann@example.com")

    assert (unknown.returncode, newer.returncode) == (1, 1)
    assert "no schema 'klavyio'" in unknown.stderr
    assert "with --schema: klaviyo." in unknown.stderr
    assert "layout 99" in newer.stderr
    assert not (filled.state_dir / "klavyio").exists()


class TestHashed:
    """If addresses are hashed or dropped, the command identifies the person or says that it cannot."""

    @pytest.fixture
    def sandbox(self, new_account: NewAccount) -> SandboxProcess:
        sandbox = new_account(profiles=60, events=50, reviews=20)
        email = truth(sandbox, "profiles")["email"].drop_nulls()[0]
        sandbox.change("add", type="reviews", attributes={"email": email, "author": "The Author"})
        return sandbox

    @staticmethod
    def filled(sandbox: SandboxProcess, warehouse: LocalFile, rules: FieldRules) -> tuple[str, str]:
        """Sync with rules; return id and e-mail address of a person who wrote a review."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("KLAVIYO_FIELD_SALT", SALT)
            for name in ("profiles", "reviews"):
                sync_with_rules(name, sandbox, warehouse, rules)
        profiles = truth(sandbox, "profiles")
        (email,) = truth(sandbox, "reviews").filter(pl.col("author") == "The Author")["email"]
        return profiles.filter(pl.col("email") == email)["id"][0], email

    HASHED: ClassVar[FieldRules] = {"profiles": {"email": "hash"}, "reviews": {"email": "hash"}}

    @pytest.mark.parametrize("salt", [None, "another secret of the tests"])
    def test_without_the_salt_the_command_fails(self, salt: str | None, sandbox: SandboxProcess, warehouse: LocalFile) -> None:
        _, email = self.filled(sandbox, warehouse, self.HASHED)

        result = erase(warehouse, email, **({"KLAVIYO_FIELD_SALT": salt} if salt else {}))

        assert result.returncode == 1
        assert ("KLAVIYO_FIELD_SALT is another one" if salt else "KLAVIYO_FIELD_SALT is not set") in result.stderr
        assert "name the id of the profile" in result.stderr
        assert query(warehouse, "SELECT count(*) FROM reviews WHERE author = 'The Author'") == [(1,)]

    @pytest.mark.parametrize("by", ["id", "email"])
    def test_rows_are_found_by_their_hashes(self, by: str, sandbox: SandboxProcess, warehouse: LocalFile) -> None:
        id_, email = self.filled(sandbox, warehouse, self.HASHED)

        result = erase(warehouse, id_) if by == "id" else erase(warehouse, email, KLAVIYO_FIELD_SALT=SALT)

        assert figures(result)["profiles"] == [1, 0]
        assert figures(result)["reviews"][0] >= 1
        assert query(warehouse, "SELECT count(*) FROM reviews WHERE author = 'The Author'") == [(0,)]

    def test_hashes_in_texts_of_others_are_replaced(self, sandbox: SandboxProcess, warehouse: LocalFile) -> None:
        id_, email = self.filled(sandbox, warehouse, self.HASHED)
        other = query(warehouse, f"SELECT min(id) FROM profiles WHERE id <> '{id_}'")[0][0]
        query(warehouse, f"""UPDATE profiles SET properties = '{{"friend": "{Salt(SALT).hash(email, ValueKind.EMAIL)}"}}' WHERE id = '{other}'""")

        erase(warehouse, id_)

        assert query(warehouse, f"SELECT properties FROM profiles WHERE id = '{other}'") == [('{"friend": "[erased]"}',)]

    def test_hashes_in_one_table_only_need_the_salt_too(self, sandbox: SandboxProcess, warehouse: LocalFile) -> None:
        id_, _ = self.filled(sandbox, warehouse, {"reviews": {"email": "hash"}})

        refused = erase(warehouse, id_)
        done = erase(warehouse, id_, KLAVIYO_FIELD_SALT=SALT)

        assert refused.returncode == 1
        assert "The reviews table holds hashes" in refused.stderr
        assert figures(done)["reviews"][0] >= 1

    def test_a_dropped_address_identifies_no_person(self, sandbox: SandboxProcess, warehouse: LocalFile) -> None:
        id_, email = self.filled(sandbox, warehouse, {"profiles": {"email": "drop"}})

        refused, by_id = erase(warehouse, email), erase(warehouse, id_)
        both = erase(warehouse, id_, email)

        assert refused.returncode == 1
        assert "Give the id of the profile" in refused.stderr
        assert figures(by_id) == {"profiles": [1, 0]}
        assert "give it after the id" in by_id.stdout
        assert figures(both)["reviews"][0] >= 1

    def test_reviews_without_addresses_are_reported(self, sandbox: SandboxProcess, warehouse: LocalFile) -> None:
        _, email = self.filled(sandbox, warehouse, {"reviews": {"email": "drop"}})

        assert "the rows of the person cannot be identified" in erase(warehouse, email).stdout

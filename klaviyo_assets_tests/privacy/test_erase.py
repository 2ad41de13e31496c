"""One command, and a person is nowhere: not in a table, not in what is staged, not in a free block; and stays away."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from dagster_duckdb import DuckDBResource

from klaviyo_assets.api.errors import KlaviyoError
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.sync.erased import mark_of, without_erased
from klaviyo_assets.sync.erasure import Person
from klaviyo_assets.sync.errors import SyncError
from klaviyo_assets.sync.request import Mode, SyncRequest
from klaviyo_assets.sync.taken import taken
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import query, sync, table, truth
from klaviyo_assets_tests.privacy.test_field_rules import SALT, ruled

NewAccount = Callable[..., SandboxProcess]


@pytest.fixture
def plain_file(tmp_path: Path) -> LocalFile:
    """A database that does not compress, so that a search through its bytes means something."""
    config = {"storage_compatibility_version": "v1.5.0", "force_compression": "uncompressed"}
    return LocalFile(DuckDBResource(database=str(tmp_path / "klaviyo.duckdb"), connection_config=config))


def erase(warehouse: LocalFile, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KLAVIYO_")}
    environment |= {"KLAVIYO_DUCKDB_PATH": str(warehouse.path), **settings}
    command = [sys.executable, "-m", "klaviyo_assets.cli", "erase", *arguments]
    return subprocess.run(command, cwd=warehouse.path.parent, env=environment, capture_output=True, text=True, check=False)


def figures(result: subprocess.CompletedProcess[str]) -> dict[str, list[int]]:
    """Return rows deleted and rows that named the person, by table."""
    lines = [line.split() for line in result.stdout.splitlines()]
    return {line[0]: [int(line[1]), int(line[2])] for line in lines if len(line) == 3 and line[1].isdecimal()}


def somebody(warehouse: LocalFile) -> tuple[str, str, str]:
    """Return id, e-mail and phone of a profile that has events, and make others mention it."""
    ((id_, email, phone),) = query(
        warehouse,
        "SELECT id, email, phone_number FROM profiles WHERE email IS NOT NULL AND phone_number IS NOT NULL "
        "AND id IN (SELECT profile_id FROM events) ORDER BY id LIMIT 1",
    )
    query(
        warehouse,
        f'UPDATE events SET event_properties = \'{{"friend": "{email.upper()}, {email}", "not": "jo{email} {email}.au", "n": 1.0}}\' '
        f"WHERE id = (SELECT min(id) FROM events WHERE profile_id <> '{id_}')",
    )
    return id_, email, phone


def everything_below(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def filled(account: SandboxProcess, plain_file: LocalFile) -> LocalFile:
    for name in ("profiles", "events", "reviews", "lists"):
        sync(name, account, plain_file)
    return plain_file


@pytest.mark.parametrize("by", ["id", "email", "phone"])
def test_nothing_of_a_person_is_left(by: str, filled: LocalFile, account: SandboxProcess) -> None:
    id_, email, phone = somebody(filled)
    ((events,),) = query(filled, f"SELECT count(*) FROM events WHERE profile_id = '{id_}'")
    ((others,),) = query(filled, f"SELECT count(*) FROM events WHERE profile_id IS DISTINCT FROM '{id_}'")
    assert email.encode() in everything_below(filled.path.parent)

    result = erase(filled, {"id": id_, "email": f" {email.upper()}", "phone": phone}[by])

    assert result.returncode == 0, result.stderr
    assert figures(result)["profiles"] == [1, 0]
    assert figures(result)["events"] == [events, 1]
    left = everything_below(filled.path.parent)
    # Of others there is one address that begins with a longer name, and one that ends with another domain.
    assert left.replace(f"jo{email}".encode(), b"").replace(f"{email}.au".encode(), b"").count(email.encode()) == 0
    assert id_.encode() not in left
    assert phone.encode() not in left
    assert query(filled, "SELECT event_properties FROM events WHERE event_properties LIKE '%friend%'") == [
        (f'{{"friend": "[erased], [erased]", "not": "jo{email} {email}.au", "n": 1.0}}',)
    ]
    assert query(filled, "SELECT count(*) FROM events") == [(others,)]

    for name in ("profiles", "events", "reviews"):
        sync(name, account, filled, SyncRequest(mode=Mode.FULL) if name != "reviews" else None)
    assert query(filled, f"SELECT count(*) FROM profiles WHERE id = '{id_}'") == [(0,)]
    assert query(filled, f"SELECT count(*) FROM events WHERE profile_id = '{id_}'") == [(0,)]
    assert query(filled, "SELECT count(*) FROM events") == [(others,)]


def test_a_dry_run_tells_and_changes_nothing(filled: LocalFile) -> None:
    id_, email, _ = somebody(filled)
    before = {name: table(filled, name) for name in ("profiles", "events")}

    result = erase(filled, email, "--dry-run")

    assert "ROWS TO DELETE" in result.stdout
    assert figures(result)["profiles"] == [1, 0]
    assert all(table(filled, name).equals(frame) for name, frame in before.items())
    assert id_ in table(filled, "profiles")["id"].to_list()


def test_what_is_staged_goes(new_account: NewAccount, warehouse: LocalFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("klaviyo_assets.api.client._BACKOFF_BASE", 0.01)
    sandbox = new_account()
    sync("profiles", sandbox, warehouse)
    id_, email, _ = query(warehouse, "SELECT id, email, 0 FROM profiles WHERE email IS NOT NULL LIMIT 1")[0]
    sandbox.faults({"path": "/api/events", "kind": "503", "times": None, "after": 3})
    with pytest.raises(KlaviyoError):
        sync("events", sandbox, warehouse)
    assert list(warehouse.state_dir.rglob("*.parquet"))

    assert erase(warehouse, email).returncode == 0

    assert not list(warehouse.state_dir.rglob("*.parquet"))
    sandbox.clear_faults()
    sync("events", sandbox, warehouse)
    assert query(warehouse, f"SELECT count(*) FROM events WHERE profile_id = '{id_}'") == [(0,)]


def test_somebody_whose_address_is_hashed_is_found(account: SandboxProcess, warehouse: LocalFile) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KLAVIYO_FIELD_SALT", SALT)
        ruled("profiles", account, warehouse, {"profiles": {"email": "hash"}})
    email = truth(account, "profiles")["email"].drop_nulls()[0]

    assert figures(erase(warehouse, email)) == {}
    assert figures(erase(warehouse, email, KLAVIYO_FIELD_SALT=SALT)) == {"profiles": [1, 0]}


@pytest.mark.parametrize("who", ["", "+1", "Ann Smith", "a@b@c"])
def test_a_name_that_may_be_anybody_is_refused(who: str, filled: LocalFile) -> None:
    with pytest.raises(SyncError, match="names nobody"):
        Person.named(who)
    result = erase(filled, who)
    assert result.returncode == 1
    assert "names nobody" in result.stderr


def test_a_word_that_is_no_id_changes_nothing(filled: LocalFile) -> None:
    before = table(filled, "events")

    result = erase(filled, "value")

    assert "No table holds anything" in result.stdout
    assert table(filled, "events").equals(before)


def test_no_person_is_erased_beside_a_sync(filled: LocalFile) -> None:
    _, email, _ = somebody(filled)
    with taken(filled.state_dir / "klaviyo", "events", "run-7"):
        result = erase(filled, email)

    assert result.returncode == 1
    assert "run-7" in result.stderr
    assert query(filled, f"SELECT count(*) FROM profiles WHERE email = '{email}'") == [(1,)]


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path, warehouse: LocalFile) -> None:
    result = erase(warehouse, "ann@example.com", "--database", str(tmp_path / "no.duckdb"))

    assert result.returncode == 1
    assert "There is no file" in result.stderr
    assert not (tmp_path / "no.duckdb").exists()


def test_rows_without_an_owner_are_kept() -> None:
    frame = pl.DataFrame({"id": ["a", "b", "c"], "profile_id": ["p", None, "q"]})
    assert without_erased(frame, "id", frozenset({mark_of("p")}))["id"].to_list() == ["b", "c"]

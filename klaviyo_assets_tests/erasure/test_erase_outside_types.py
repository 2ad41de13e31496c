"""An erasure includes tables of resource types from outside the package, and refuses to run if it does not know one of them."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from klaviyo_assets.catalog import CATALOG, Catalog
from klaviyo_assets.catalog.columns import Column, ColumnType, attribute, parent_id, record_id, to_one
from klaviyo_assets.catalog.replication import Replication
from klaviyo_assets.catalog.resource_type import Parent, ResourceType
from klaviyo_assets.cli.erase_command import erase as erase_in_python
from klaviyo_assets.erasure.erase import DataSubject, Erased, Erasure
from klaviyo_assets.errors import SyncError
from klaviyo_assets.privacy.hashing import Salt, ValueKind
from klaviyo_assets.privacy.rules import Action
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.state.locks import sync_lock
from klaviyo_assets.state.tombstones import id_hash, without_erased
from klaviyo_assets.warehouse import LocalFile, Warehouse
from klaviyo_assets_tests.accounts import local_file, query, sync
from klaviyo_assets_tests.erasure.test_erase import erase, figures
from klaviyo_assets_tests.load.loads import NOON, Loads
from klaviyo_assets_tests.load.rewrites.test_reapply_rules import SALT
from klaviyo_assets_tests.outside_types import CATALOG as WIDER
from klaviyo_assets_tests.outside_types import NAME, SEGMENT_PEOPLE, VOUCHER_CODES, VOUCHERS
from klaviyo_assets_tests.warehouse.attached import AttachedDatabase

NewAccount = Callable[..., SandboxProcess]

ANN, BOB = "01AAAAAAAAAAAAAAAAAAAAAAAA", "01BBBBBBBBBBBBBBBBBBBBBBBB"
EMAIL = "ann@example.com"

VOTES = replace(
    VOUCHERS,
    name="votes",
    jsonapi_type="vote",
    description="One row per vote in a poll.",
    primary_key=("poll_id", "vote_id"),
    columns=(
        Column("poll_id", ColumnType.STRING, "The poll.", ("subset", "poll_id")),
        record_id("Id of the vote.", name="vote_id"),
        attribute("email", ColumnType.STRING, "Who voted."),
        attribute("comment", ColumnType.STRING, "What they said."),
        attribute("voter", ColumnType.STRING, "Profile id of who voted."),
    ),
    replication=Replication(),  # no test syncs it
)
"""Rows with an e-mail address, and with a profile id that the type does not declare."""


@pytest.fixture(params=["file", "no row numbers"])
def any_warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> Warehouse:
    return local_file(tmp_path) if request.param == "file" else AttachedDatabase(tmp_path)


def fill_profiles(warehouse: Warehouse, folder: Path) -> None:
    profiles = Loads(warehouse, folder, "profiles")
    profiles([{"id": ANN, "email": EMAIL, "updated": NOON}, {"id": BOB, "email": "bob@example.com", "updated": NOON}])


def vote(poll: str, id_: str, **values: object) -> dict[str, object]:
    return {"poll_id": poll, "vote_id": id_, **values}


def erased(warehouse: Warehouse, *names: str, salt: Salt | None = None, catalog: Catalog = CATALOG, dry_run: bool = False) -> Erased:
    return Erasure(warehouse, "klaviyo", salt, catalog).run(DataSubject.named(*names), dry_run=dry_run)


def found(result: Erased) -> dict[str, tuple[int, int]]:
    return {one.table: (one.rows, one.mentions) for one in result.found}


@pytest.mark.duckdb
@pytest.mark.long
@pytest.mark.parametrize(
    "entry",
    [
        replace(VOTES, subject_column="voter"),
        replace(VOTES, columns=(*VOTES.columns[:4], to_one("profile", "Who voted."))),
        replace(VOTES, jsonapi_type="profile", columns=(VOTES.columns[0], record_id("Who voted.", name="voter")), primary_key=("poll_id", "voter")),
        replace(
            VOTES,
            columns=(parent_id("voter", "Who voted."), *VOTES.columns[1:4]),
            primary_key=("voter", "vote_id"),
            parent=Parent(CATALOG["profiles"], "/api/profiles/{id}/votes", "voter"),
        ),
    ],
    ids=["declared", "a relationship", "profiles of something", "something of profiles"],
)
def test_rows_with_the_id_of_the_profile_are_deleted(entry: ResourceType, any_warehouse: Warehouse, tmp_path: Path) -> None:
    fill_profiles(any_warehouse, tmp_path)
    who = entry.profile_column or ""
    others = [name for name in entry.primary_key if name != who]
    rows = [{**dict.fromkeys(others, key), who: person} for key, person in (("P1", ANN), ("P2", ANN), ("P3", BOB))]
    Loads(any_warehouse, tmp_path, entry)(rows)
    query(any_warehouse, f'UPDATE votes SET _extra = \'{{"friend": "{EMAIL}"}}\'')

    result = erased(any_warehouse, EMAIL, catalog=CATALOG.with_(entry))

    assert found(result)["votes"] == (2, 1)
    assert query(any_warehouse, f"SELECT {who}, _extra::VARCHAR FROM votes") == [(BOB, '{"friend": "[erased]"}')]
    assert query(any_warehouse, "SELECT record FROM _erased") == [(id_hash(ANN),)]


@pytest.mark.long
def test_rows_with_the_address_are_deleted_and_not_stored_again(any_warehouse: Warehouse, tmp_path: Path) -> None:
    fill_profiles(any_warehouse, tmp_path)
    rows = [vote("P1", "1", email=EMAIL), vote("P1", "2", email="bob@example.com"), vote("P2", "1", email="bob@example.com")]
    Loads(any_warehouse, tmp_path, VOTES)(rows)

    result = erased(any_warehouse, EMAIL, catalog=CATALOG.with_(VOTES))

    assert found(result)["votes"] == (1, 0)
    assert query(any_warehouse, "SELECT poll_id, vote_id FROM votes ORDER BY ALL") == [("P1", "2"), ("P2", "1")]
    hashes = frozenset(value for (value,) in query(any_warehouse, "SELECT record FROM _erased"))
    (staged,) = Loads(any_warehouse, tmp_path, VOTES).staged(rows)
    kept = without_erased(pl.read_parquet(staged), VOTES.profile_column, VOTES.primary_key, hashes)
    assert kept.select("poll_id", "vote_id").rows() == [("P1", "2"), ("P2", "1")]


@pytest.mark.long
def test_rows_with_a_hashed_address_need_the_salt(any_warehouse: Warehouse, tmp_path: Path) -> None:
    fill_profiles(any_warehouse, tmp_path)
    salt = Salt(SALT)
    Loads(any_warehouse, tmp_path, VOTES)(
        [vote("P1", "1", email=salt.hash(EMAIL, ValueKind.EMAIL)), vote("P1", "2", email="sha256:of another person")]
    )
    query(any_warehouse, "CREATE TABLE _field_rules (resource_type VARCHAR, field VARCHAR, action VARCHAR, salt_fingerprint VARCHAR)")
    query(any_warehouse, f"INSERT INTO _field_rules VALUES ('votes', 'email', '{Action.HASH.value}', '{salt.fingerprint}')")
    catalog = CATALOG.with_(VOTES)

    with pytest.raises(SyncError, match="The votes table holds hashes in place of each e-mail address, and KLAVIYO_FIELD_SALT is not set"):
        erased(any_warehouse, EMAIL, catalog=catalog)
    assert found(erased(any_warehouse, EMAIL, salt=salt, catalog=catalog))["votes"] == (1, 0)


@pytest.mark.duckdb
@pytest.mark.long
def test_a_primary_key_that_names_the_person_is_reported(warehouse: LocalFile, tmp_path: Path) -> None:
    fill_profiles(warehouse, tmp_path)
    Loads(warehouse, tmp_path, VOTES)([vote(ANN, "1", voter=ANN), vote(BOB, "1", voter=BOB)])

    result = erased(warehouse, EMAIL, catalog=CATALOG.with_(VOTES))

    (note,) = [note for note in result.notes if "votes" in note]
    assert "names the person in the column poll_id" in note
    assert "set subject_column of the resource type votes" in note
    assert query(warehouse, "SELECT poll_id, voter FROM votes ORDER BY ALL") == [(ANN, "[erased]"), (BOB, BOB)]


@pytest.mark.long
@pytest.mark.parametrize("dry_run", [False, True], ids=["erase", "dry run"])
@pytest.mark.parametrize("loss", ["", "_syncs", "_syncs, _coverage"], ids=["complete", "log emptied", "bookkeeping emptied"])
def test_a_table_of_an_unknown_type_is_named_and_nothing_is_changed(loss: str, dry_run: bool, any_warehouse: Warehouse, tmp_path: Path) -> None:
    fill_profiles(any_warehouse, tmp_path)
    Loads(any_warehouse, tmp_path, replace(VOTES, subject_column="voter"))([vote("P1", "1", voter=ANN, comment=EMAIL)])
    for name in loss.split(", ") if loss else ():
        query(any_warehouse, f"DELETE FROM {name}")
    query(any_warehouse, "CREATE TABLE a_copy AS FROM profiles")

    with pytest.raises(SyncError, match=r"resource types that this program does not know: votes\. .* Nothing was erased\.") as caught:
        erased(any_warehouse, EMAIL, dry_run=dry_run)

    assert "--catalog MODULE:VARIABLE" in caught.value.advice
    assert query(any_warehouse, "SELECT voter, comment FROM votes") == [(ANN, EMAIL)]
    assert query(any_warehouse, f"SELECT count(*) FROM profiles WHERE id = '{ANN}'") == [(1,)]
    query(any_warehouse, "DROP TABLE votes")
    assert found(erased(any_warehouse, EMAIL, dry_run=dry_run))["profiles"] == (1, 0), "a table that is no longer synced can be dropped"


def test_a_leftover_table_of_an_unknown_type_is_named(warehouse: LocalFile, tmp_path: Path) -> None:
    fill_profiles(warehouse, tmp_path)
    Loads(warehouse, tmp_path, VOTES)
    query(warehouse, "ALTER TABLE votes RENAME TO _votes_rebuilt")

    with pytest.raises(SyncError, match="does not know: _votes_rebuilt"):
        erased(warehouse, EMAIL)


@pytest.mark.long
def test_a_sync_of_an_unknown_type_is_not_disturbed(warehouse: LocalFile, tmp_path: Path) -> None:
    fill_profiles(warehouse, tmp_path)
    folder = warehouse.state_dir / "klaviyo"
    folder.mkdir(exist_ok=True)
    with sync_lock(folder, "votes", "run-7"), pytest.raises(SyncError, match="votes is being synced already by run run-7"):
        erased(warehouse, EMAIL)

    assert found(erased(warehouse, EMAIL))["profiles"] == (1, 0)


@pytest.mark.long
def test_a_table_that_lacks_the_column_of_the_profile_is_named(warehouse: LocalFile, tmp_path: Path) -> None:
    fill_profiles(warehouse, tmp_path)
    Loads(warehouse, tmp_path, VOTES)([vote("P1", "1", voter=ANN)])
    query(warehouse, "ALTER TABLE votes DROP COLUMN voter")

    with pytest.raises(SyncError, match="The votes table lacks the column voter") as caught:
        erased(warehouse, EMAIL, catalog=CATALOG.with_(replace(VOTES, subject_column="voter")))
    assert "Run a sync of votes" in caught.value.advice


@pytest.mark.long
def test_a_narrower_catalog_still_includes_the_types_of_the_package(warehouse: LocalFile, tmp_path: Path) -> None:
    fill_profiles(warehouse, tmp_path)

    assert found(erased(warehouse, EMAIL, catalog=Catalog([VOTES])))["profiles"] == (1, 0)


@pytest.mark.long
def test_other_schemas_that_syncs_have_filled_are_named(warehouse: LocalFile, tmp_path: Path) -> None:
    fill_profiles(warehouse, tmp_path)
    query(warehouse, "CREATE SCHEMA eu")
    query(warehouse, "CREATE TABLE eu._syncs AS FROM klaviyo.klaviyo._syncs")

    (note,) = erased(warehouse, EMAIL).notes
    assert note.endswith("(--schema): eu.")


@pytest.mark.long
def test_members_from_outside_and_from_the_package_are_erased_and_not_stored_again(new_account: NewAccount, warehouse: LocalFile) -> None:
    shop = new_account(profiles=60, events=50, lists=6, segments=5, others=12, catalog=NAME)
    types = ["profiles", "events", "lists", CATALOG["list_members"], "segments", SEGMENT_PEOPLE, VOUCHERS, VOUCHER_CODES]
    for entry in types:
        sync(entry, shop, warehouse)
    ((id_, email),) = query(
        warehouse,
        "SELECT id, email FROM profiles WHERE email IS NOT NULL AND id IN (SELECT profile_id FROM list_members) "
        "AND id IN (SELECT profile_id FROM segment_people) ORDER BY id LIMIT 1",
    )
    query(warehouse, f"UPDATE voucher_codes SET unique_code = '{email}' WHERE code_id = (SELECT min(code_id) FROM voucher_codes)")
    counts = {name: query(warehouse, f"SELECT count(*) FROM {name} WHERE profile_id = '{id_}'")[0][0] for name in ("list_members", "segment_people")}
    others = {name: set(query(warehouse, f"SELECT COLUMNS('_id$') FROM {name} WHERE profile_id <> '{id_}'")) for name in counts}

    refused = erase(warehouse, email)
    done = erase(warehouse, email, "--catalog", NAME)

    assert refused.returncode == 1
    assert "does not know: segment_people, voucher_codes, vouchers." in refused.stderr
    assert "--catalog MODULE:VARIABLE" in refused.stderr
    assert done.returncode == 0, done.stderr
    assert {name: figures(done)[name] for name in counts} == {name: [count, 0] for name, count in counts.items()}
    assert all(counts.values())
    assert figures(done)["voucher_codes"] == [0, 1]
    assert query(warehouse, "SELECT count(*) FROM voucher_codes WHERE unique_code = '[erased]'") == [(1,)]
    for entry in types:
        sync(entry, shop, warehouse)
    assert {name: set(query(warehouse, f"SELECT COLUMNS('_id$') FROM {name}")) for name in counts} == others


@pytest.mark.long
def test_the_catalog_can_be_passed_in_python(warehouse: LocalFile, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill_profiles(warehouse, tmp_path)
    Loads(warehouse, tmp_path, SEGMENT_PEOPLE)([{"segment_id": "S1", "profile_id": ANN}, {"segment_id": "S1", "profile_id": BOB}])

    assert erase_in_python(EMAIL, database=str(warehouse.path)) == 1
    assert erase_in_python(EMAIL, database=str(warehouse.path), catalog=WIDER) == 0

    assert "segment_people  1" in capsys.readouterr().out
    assert query(warehouse, "SELECT profile_id FROM segment_people") == [(BOB,)]


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "words"),
    [("no_such_module:CATALOG", "cannot be loaded"), ("json:CATALOG", "cannot be loaded"), ("json:loads", "is not a Catalog"), ("", "")],
)
def test_a_missing_catalog_is_an_error(name: str, words: str, warehouse: LocalFile, tmp_path: Path) -> None:
    fill_profiles(warehouse, tmp_path)

    result = erase(warehouse, EMAIL, "--dry-run", "--catalog", name)

    assert (result.returncode, words in result.stderr) == (1 if words else 0, True)


@pytest.mark.long
def test_a_catalog_of_the_working_folder_is_found(warehouse: LocalFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    fill_profiles(warehouse, tmp_path)
    Loads(warehouse, tmp_path, SEGMENT_PEOPLE)([{"segment_id": "S1", "profile_id": ANN}])
    (tmp_path / "my_shop_types.py").write_text("from klaviyo_assets_tests.outside_types import CATALOG as MINE\n")

    assert figures(erase(warehouse, EMAIL, "--catalog", "my_shop_types:MINE"))["segment_people"] == [1, 0]

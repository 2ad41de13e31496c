"""A primary key of two columns, as in child types: the parent's id and the record's own id."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from klaviyo_assets.catalog.columns import Column, ColumnType, attribute
from klaviyo_assets.catalog.replication import Incremental
from klaviyo_assets.catalog.types.lists import LISTS
from klaviyo_assets.decode import EXTRA
from klaviyo_assets.load.access.row_access import RowAccess
from klaviyo_assets.load.batch import Batch
from klaviyo_assets.load.deletions.deletions import Deletions
from klaviyo_assets.load.loader import Loader
from klaviyo_assets.quality.inspector import inspecting
from klaviyo_assets.translator import column_schema
from klaviyo_assets.warehouse import Warehouse
from klaviyo_assets_tests.accounts import local_file, query
from klaviyo_assets_tests.load.loads import NOON, Loads, after
from klaviyo_assets_tests.warehouse.attached import AttachedDatabase

pytestmark = pytest.mark.duckdb

MEMBERS = replace(
    LISTS,
    name="list_members",
    jsonapi_type="profile",
    primary_key=("list_id", "profile_id"),
    columns=(
        Column("list_id", ColumnType.STRING, "The list.", ("subset", "list_id")),
        Column("profile_id", ColumnType.STRING, "The profile.", ("id",)),
        attribute("joined_group_at", ColumnType.TIMESTAMP, "When it joined."),
        attribute("email", ColumnType.STRING, "Email.", required=True),
    ),
    replication=Incremental("joined_group_at", lookback_ages=()),
    version_column=None,
)

PAIRS = [("L1", "P1"), ("L1", "P2"), ("L2", "P1"), ("L2", "P2")]


def rows(pairs: Sequence[tuple[str, str]], **values: object) -> list[dict[str, object]]:
    return [
        {"list_id": list_id, "profile_id": profile, "joined_group_at": NOON, "email": f"{list_id}-{profile}", **values} for list_id, profile in pairs
    ]


@pytest.fixture(params=["file", "no row numbers"])
def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> Warehouse:
    return local_file(tmp_path) if request.param == "file" else AttachedDatabase(tmp_path)


@pytest.fixture
def members(warehouse: Warehouse, tmp_path: Path) -> Loads:
    return Loads(warehouse, tmp_path, MEMBERS)


def stored(warehouse: Warehouse, columns: str = "email", where: str = "_deleted_at IS NULL") -> list[tuple[str, ...]]:
    return query(warehouse, f"SELECT list_id, profile_id, {columns} FROM list_members WHERE {where} ORDER BY list_id, profile_id")


def test_a_batch_is_deduplicated_by_both_columns(members: Loads, warehouse: Warehouse) -> None:
    older = rows(PAIRS[:2], email="older", _synced_at=after(-1))

    assert members(rows(PAIRS), older) == (4, 0)
    assert stored(warehouse) == [(list_id, profile, f"{list_id}-{profile}") for list_id, profile in PAIRS]


def test_new_changed_and_same_rows_are_distinguished_by_both_columns(members: Loads, warehouse: Warehouse) -> None:
    members(rows(PAIRS[:3]))

    assert members(rows(PAIRS[:1]) + rows(PAIRS[1:2], email="changed") + rows(PAIRS[3:])) == (1, 1)
    assert stored(warehouse) == [("L1", "P1", "L1-P1"), ("L1", "P2", "changed"), ("L2", "P1", "L2-P1"), ("L2", "P2", "L2-P2")]


def test_a_replaced_row_keeps_the_values_of_users_columns(members: Loads, warehouse: Warehouse) -> None:
    members(rows(PAIRS))
    query(warehouse, "ALTER TABLE list_members ADD COLUMN note VARCHAR")
    query(warehouse, "UPDATE list_members SET note = list_id || profile_id")

    assert members(rows(PAIRS[:2], email="changed")) == (0, 2)
    assert stored(warehouse, "note") == [(list_id, profile, list_id + profile) for list_id, profile in PAIRS]


def test_missing_keys_are_not_in_any_file(members: Loads, warehouse: Warehouse) -> None:
    members(rows(PAIRS))
    loader = Loader(warehouse, MEMBERS, "klaviyo")

    missing = RowAccess(loader).missing_keys(members.staged(rows([PAIRS[1], PAIRS[2]])))
    with warehouse.transaction() as connection:
        marked = Deletions(connection, loader.tables).mark(missing, after(1))

    assert missing == [PAIRS[0], PAIRS[3]]
    assert marked == 2
    assert stored(warehouse, "_deleted_at", "_deleted_at IS NOT NULL") == [(*PAIRS[0], after(1)), (*PAIRS[3], after(1))]


@pytest.mark.parametrize("returned", [[("L1", "P2")], []], ids=["one left", "all left"])
def test_only_rows_of_the_parents_that_were_read_are_marked(returned: Sequence[tuple[str, str]], members: Loads, warehouse: Warehouse) -> None:
    members(rows(PAIRS))
    loader = Loader(warehouse, MEMBERS, "klaviyo")

    files = members.staged(rows(returned)) if returned else ()
    with warehouse.transaction() as connection:
        marked = Deletions(connection, loader.tables).mark_missing_of_parents("list_id", ["L1"], files, after(1))

    assert [pair for *pair, _ in stored(warehouse)] == [list(pair) for pair in [*returned, *PAIRS[2:]]]
    assert marked == 2 - len(returned)


@pytest.mark.parametrize("has_own_column", [False, True], ids=["unchanged", "with a user's column"])
def test_a_full_read_is_swapped_in(has_own_column: bool, members: Loads, warehouse: Warehouse) -> None:
    members(rows(PAIRS[:3]))
    if has_own_column:
        query(warehouse, "ALTER TABLE list_members ADD COLUMN note VARCHAR DEFAULT 'mine'")
    loader = Loader(warehouse, MEMBERS, "klaviyo")
    loader.create_rebuilt()

    files = members.staged(rows(PAIRS[:1], _synced_at=after(5)) + rows(PAIRS[1:2], email="changed") + rows(PAIRS[3:]))
    loader.load(Batch(files=files, covered=()), members.row, rebuilt=True)
    loader.swap(members.row, [], None, after(9))

    assert vars(loader.progress.counts) == {"inserted": 1, "updated": 1, "deleted": 1}
    assert stored(warehouse) == [("L1", "P1", "L1-P1"), ("L1", "P2", "changed"), ("L2", "P2", "L2-P2")]
    assert stored(warehouse, "_synced_at")[0][2] == NOON  # the same content keeps its time
    assert [pair for *pair, _ in stored(warehouse, where="_deleted_at IS NOT NULL")] == [["L2", "P1"]]


def test_rows_with_the_same_key_are_found(members: Loads, warehouse: Warehouse) -> None:
    members(rows(PAIRS))
    query(warehouse, "INSERT INTO list_members (list_id, profile_id) VALUES ('L1', 'P1'), ('L1', NULL)")

    with inspecting(warehouse, MEMBERS, "klaviyo") as inspector:
        for since in (None, after(-1)):
            assert inspector.primary_key(since).duplicates == ["L1/P1"]
        assert inspector.primary_key().nulls == 1


def test_a_drift_names_a_row_by_both_columns(members: Loads, warehouse: Warehouse) -> None:
    members(rows(PAIRS[2:3], email=None, **{EXTRA: '{"unheard_of": 1}'}))

    with inspecting(warehouse, MEMBERS, "klaviyo") as inspector:
        assert [drift.example_id for drift in (*inspector.unknown_attributes(), *inspector.drifts())] == ["L2/P1", "L2/P1"]


def test_dagster_shows_both_columns_as_the_key() -> None:
    schema = column_schema(MEMBERS)

    assert [column.name for column in schema.columns if not column.constraints.nullable] == ["list_id", "profile_id", "email", "_synced_at"]
    assert not any(column.constraints.unique for column in schema.columns)
    assert schema.constraints.other == ["(list_id, profile_id) is unique"]

"""Members of lists and segments: joins by windows, removals by counts, merges, deleted groups, and groups that the user selects."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from klaviyo_assets.api.client import KlaviyoClient
from klaviyo_assets.api.klaviyo_errors import KlaviyoError
from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.catalog.columns import parent_id
from klaviyo_assets.catalog.resource_type import Parent, ResourceType
from klaviyo_assets.extract.parent_counts import count_children
from klaviyo_assets.extract.strategies import verification
from klaviyo_assets.extract.sync_options import SyncMode, SyncOptions
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.sync import children
from klaviyo_assets.sync.sync_report import SyncReport
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import in_small_pages, query, small, sync, table, truth
from klaviyo_assets_tests.outside_types import VOUCHERS

Counts = dict[str, tuple[int, datetime]]

NAME = "list_members"
HALF_A_MINUTE = timedelta(seconds=30)
DUE = verification.LONGEST + timedelta(hours=1)


@pytest.fixture
def shop() -> Iterator[SandboxProcess]:
    with small(lists=5, profiles=80, segments=4, events=0, others=20) as sandbox:
        yield sandbox


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Count even small lists."""
    monkeypatch.setattr(verification, "FEW", 0)


def first_sync(sandbox: SandboxProcess, warehouse: LocalFile, name: str = "lists") -> SyncReport:
    sync(name, sandbox, warehouse)
    return sync(f"{name[:-1]}_members", sandbox, warehouse)


def counts_requested(sandbox: SandboxProcess) -> int:
    return sum("profile_count" in one["query"] for one in sandbox.stats()["log"])


def left(warehouse: LocalFile) -> set[tuple[str, str]]:
    return set(query(warehouse, f"SELECT list_id, profile_id FROM {NAME} WHERE removed_at IS NOT NULL AND removed_at = _deleted_at"))


def a_member(sandbox: SandboxProcess) -> tuple[str, str]:
    one = sandbox.truth(NAME)[0]
    return one["meta"]["list_id"], one["id"]


def remove(sandbox: SandboxProcess, member: tuple[str, str]) -> None:
    sandbox.change("delete", type=NAME, parent=member[0], id=member[1])


@pytest.mark.long
def test_later_syncs_read_only_what_joined_since(shop: SandboxProcess, warehouse: LocalFile) -> None:
    first = first_sync(shop, warehouse)
    parent, again = a_member(shop)
    shop.advance(timedelta(hours=2))
    (new,) = shop.change("add", type=NAME, parent=parent)
    shop.change("update", type=NAME, parent=parent, id=again, attributes={"joined_group_at": shop.now().isoformat()})

    report = sync(NAME, shop, warehouse)

    assert first.row.records_read > 20
    assert (report.row.records_read, report.row.rows_inserted, report.row.rows_updated) == (2, 1, 1)
    assert_frame_equal(table(warehouse, NAME), truth(shop, NAME))
    assert query(warehouse, f"SELECT count(*) FROM {NAME} WHERE list_id = '{parent}' AND profile_id = '{new}'") == [(1,)]


@pytest.mark.long
@pytest.mark.parametrize("few", [0, 2_000], ids=["by counts", "by complete reads"])
def test_removals_are_found_when_a_list_is_due(few: int, shop: SandboxProcess, warehouse: LocalFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "FEW", few)
    first_sync(shop, warehouse)
    member = a_member(shop)
    remove(shop, member)
    assert sync(NAME, shop, warehouse).row.rows_deleted == 0, "not due yet"
    shop.advance(DUE)
    shop.reset_stats()

    report = sync(NAME, shop, warehouse)

    assert (report.row.rows_deleted, left(warehouse)) == (1, {member})
    assert (counts_requested(shop) > 0) is (few == 0)
    assert_frame_equal(table(warehouse, NAME), truth(shop, NAME))

    for seed in range(80):  # until the same profile joins again
        if member in {(one["meta"]["list_id"], one["id"]) for one in shop.truth(NAME)}:
            break
        shop.change("add", type=NAME, parent=member[0], seed=seed)
    sync(NAME, shop, warehouse)
    assert left(warehouse) == set(), "a member that joins again has no removed_at"
    assert_frame_equal(table(warehouse, NAME), truth(shop, NAME))


@pytest.mark.long
@pytest.mark.usefixtures("counted")
def test_only_lists_with_another_count_are_read_again(shop: SandboxProcess, warehouse: LocalFile) -> None:
    first_sync(shop, warehouse)
    member = a_member(shop)
    remove(shop, member)
    shop.advance(DUE)

    report = sync(NAME, shop, warehouse)

    members = sum(one["meta"]["list_id"] == member[0] for one in shop.truth(NAME))
    assert report.row.records_read == members
    verified = dict(query(warehouse, f"SELECT parent, read_at FROM _coverage WHERE resource_type = '{NAME}' AND field = 'list_id'"))
    assert {*verified.values()} == {report.row.started_at}, "all lists are verified now"
    shop.reset_stats()
    assert sync(NAME, shop, warehouse).row.records_read == 0
    assert counts_requested(shop) == 0, "so none is counted again"


@pytest.mark.long
@pytest.mark.usefixtures("counted")
def test_an_interrupted_reread_is_repeated(shop: SandboxProcess, warehouse: LocalFile) -> None:
    first_sync(shop, warehouse)
    member = a_member(shop)
    remove(shop, member)
    shop.advance(DUE)
    lists = len(query(warehouse, "FROM lists"))
    shop.faults({"path": "/api/lists/{id}/profiles", "kind": "503", "times": 1, "after": lists + 1})
    with pytest.raises(KlaviyoError):
        sync(NAME, shop, warehouse, max_retries=0, concurrency=1)
    shop.clear_faults()

    sync(NAME, shop, warehouse)

    assert left(warehouse) == {member}
    assert_frame_equal(table(warehouse, NAME), truth(shop, NAME))


@pytest.mark.long
@pytest.mark.usefixtures("counted")
def test_members_of_a_merged_profile_are_found_although_the_count_is_equal(shop: SandboxProcess, warehouse: LocalFile) -> None:
    """A merge may put an old time of joining under another id: the count stays the same, and no window shows the new member."""
    sync("profiles", shop, warehouse)
    first_sync(shop, warehouse)
    parent, source = a_member(shop)
    members = {one["id"] for one in shop.truth(NAME) if one["meta"]["list_id"] == parent}
    destination = next(one["id"] for one in shop.truth("profiles") if one["id"] not in members)
    shop.change("merge", source=source, destination=destination)
    shop.advance(timedelta(days=2))
    sync("profiles", shop, warehouse, SyncOptions(SyncMode.full))

    sync(NAME, shop, warehouse)

    assert (parent, source) in left(warehouse)
    assert_frame_equal(table(warehouse, NAME), truth(shop, NAME))


@pytest.mark.long
@pytest.mark.usefixtures("counted")
@pytest.mark.parametrize("joins", [1, 10], ids=["once", "at each try"])
def test_a_list_that_profiles_join_after_its_count_is_counted_again(
    joins: int, shop: SandboxProcess, warehouse: LocalFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_sync(shop, warehouse)
    parent, _ = a_member(shop)
    shop.advance(DUE)
    requested, stale = list[Sequence[str]](), Counts()

    async def counted_before_a_join(client: KlaviyoClient, entry: ResourceType, attribute: str, parents: Sequence[str]) -> Counts:
        found = await count_children(client, entry, attribute, parents)
        if parents:
            requested.append(parents)
        if len(requested) > joins:
            return found
        for id_, (count, at) in found.items():
            stale.setdefault(id_, (count, at - 2 * HALF_A_MINUTE))
        shop.change("add", type=NAME, parent=parent, attributes={"joined_group_at": (shop.now() - HALF_A_MINUTE).isoformat()})
        return {id_: stale[id_] for id_ in found}

    with monkeypatch.context() as patch:
        patch.setattr(children, "count_children", counted_before_a_join)
        report = sync(NAME, shop, warehouse)

    assert requested[1:] == [[parent]] * min(joins, 2)
    assert report.row.rows_deleted == 0
    verified = query(warehouse, f"SELECT read_at FROM _coverage WHERE resource_type = '{NAME}' AND field = 'list_id' AND parent = '{parent}'")
    assert ((report.row.started_at,) in verified) is (joins == 1), "only a count that is certain verifies a list"
    assert sync(NAME, shop, warehouse).row.rows_deleted == 0
    assert_frame_equal(table(warehouse, NAME), truth(shop, NAME))


@pytest.mark.long
def test_a_list_of_which_klaviyo_returns_no_member_though_it_counts_some_keeps_its_rows(
    shop: SandboxProcess, warehouse: LocalFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_sync(shop, warehouse)
    before, (parent, _) = table(warehouse, NAME), a_member(shop)
    for one in shop.truth(NAME):
        if one["meta"]["list_id"] == parent:
            remove(shop, (parent, one["id"]))
    shop.advance(DUE)

    async def miscounted(client: KlaviyoClient, entry: ResourceType, attribute: str, parents: Sequence[str]) -> Counts:
        found = await count_children(client, entry, attribute, parents)
        return {id_: (count + 3 if id_ == parent else count, at) for id_, (count, at) in found.items()}

    with monkeypatch.context() as patch:
        patch.setattr(children, "count_children", miscounted)
        report = sync(NAME, shop, warehouse)

    assert report.notes == (f"Klaviyo returned none of the {NAME} of {parent}, though it counts some: none of their rows was marked as deleted.",)
    assert_frame_equal(table(warehouse, NAME), before)

    again = sync(NAME, shop, warehouse)
    assert again.row.rows_deleted == before.filter(pl.col("list_id") == parent).height
    assert_frame_equal(table(warehouse, NAME), truth(shop, NAME))


@pytest.mark.long
def test_rows_of_a_deleted_list_have_no_removed_at(shop: SandboxProcess, warehouse: LocalFile) -> None:
    first_sync(shop, warehouse)
    gone = a_member(shop)[0]
    shop.change("delete", type="lists", id=gone)

    sync(NAME, shop, warehouse)

    assert query(warehouse, f"SELECT DISTINCT _deleted_at IS NOT NULL, removed_at FROM {NAME} WHERE list_id = '{gone}'") == [(True, None)]
    assert_frame_equal(table(warehouse, NAME), truth(shop, NAME))


@pytest.mark.long
def test_only_selected_lists_are_read(shop: SandboxProcess, warehouse: LocalFile) -> None:
    sync("lists", shop, warehouse)
    (by_id, _), (_, by_name), *_ = query(warehouse, "SELECT id, name FROM lists ORDER BY id")
    chosen = {id_ for (id_,) in query(warehouse, f"SELECT id FROM lists WHERE id = '{by_id}' OR name = '{by_name.replace(chr(39), chr(39) * 2)}'")}

    sync(NAME, shop, warehouse, SyncOptions(member_groups=(by_id, by_name)))

    read = {parent for (parent,) in query(warehouse, f"SELECT parent FROM _coverage WHERE resource_type = '{NAME}'")}
    assert read == chosen
    sync(NAME, shop, warehouse)
    assert_frame_equal(table(warehouse, NAME), truth(shop, NAME))
    none = sync(NAME, shop, warehouse, SyncOptions(member_groups=("no such list",)))
    assert none.notes[0] == "None of the lists has an id or name of the setting member_groups, so no list_members are read."
    assert_frame_equal(table(warehouse, NAME), truth(shop, NAME))


@pytest.mark.long
def test_a_group_that_no_list_or_segment_has_is_noted(shop: SandboxProcess, warehouse: LocalFile) -> None:
    sync("lists", shop, warehouse)
    sync("segments", shop, warehouse)
    ((first, name),) = query(warehouse, "SELECT id, name FROM lists ORDER BY id LIMIT 1")
    ((other, segment),) = query(warehouse, "SELECT (SELECT max(id) FROM lists), (SELECT min(name) FROM segments)")

    known = sync(NAME, shop, warehouse, SyncOptions(member_groups=(name, other, segment)))

    assert known.notes == ()
    shop.change("update", type="lists", id=first, attributes={"name": f"{name} (renamed)"})
    sync("lists", shop, warehouse)
    (note,) = sync(NAME, shop, warehouse, SyncOptions(member_groups=(name, other, segment))).notes
    assert note.startswith(f"The setting member_groups names {name!r}, which is no id or name of a record in lists and segments")
    assert f"'{name} (renamed)'?" in note, "among the similar names"


@pytest.mark.long
def test_a_group_of_a_type_from_outside_may_be_named(shop: SandboxProcess, warehouse: LocalFile) -> None:
    sync("lists", shop, warehouse)
    with warehouse.connection() as connection:
        connection.execute("CREATE TABLE klaviyo.klaviyo.vouchers AS SELECT 'SPRING' AS id, NULL::TIMESTAMPTZ AS _deleted_at")
    chosen = SyncOptions(member_groups=("SPRING", query(warehouse, "SELECT min(id) FROM lists")[0][0]))
    holders = replace(
        CATALOG[NAME],
        name="voucher_holders",
        parent=Parent(VOUCHERS, "/api/vouchers/{id}/profiles", "voucher_id"),
        endpoint=replace(CATALOG[NAME].endpoint, path="/api/vouchers/{id}/profiles"),
        columns=(parent_id("voucher_id", "Id of the voucher."), *CATALOG[NAME].columns[1:]),
        primary_key=("voucher_id", "profile_id"),
    )

    report = sync(NAME, shop, warehouse, chosen, catalog=CATALOG.with_(VOUCHERS, holders))

    assert report.notes == ()
    assert "'SPRING', which is no id or name of a record in lists" in sync(NAME, shop, warehouse, chosen).notes[0]


@pytest.mark.long
def test_segments_that_klaviyo_computes_are_verified_later(shop: SandboxProcess, warehouse: LocalFile, counted: None) -> None:
    first_sync(shop, warehouse, "segments")
    for (id_,) in query(warehouse, "SELECT id FROM segments"):
        shop.change("update", type="segments", id=id_, attributes={"is_processing": True, "is_active": True})
    sync("segments", shop, warehouse)
    shop.advance(DUE)
    shop.reset_stats()
    sync("segment_members", shop, warehouse)
    assert counts_requested(shop) == 0

    for (id_,) in query(warehouse, "SELECT id FROM segments"):
        shop.change("update", type="segments", id=id_, attributes={"is_processing": False})
    sync("segments", shop, warehouse)
    sync("segment_members", shop, warehouse)
    assert counts_requested(shop) == len(query(warehouse, "SELECT DISTINCT segment_id FROM segment_members WHERE _deleted_at IS NULL"))


@pytest.mark.long
def test_a_large_list_is_read_by_concurrent_windows(shop: SandboxProcess, warehouse: LocalFile) -> None:
    sync("lists", shop, warehouse)
    members = [one["meta"]["list_id"] for one in shop.truth(NAME)]
    largest = max(members, key=members.count)

    report = sync(in_small_pages(NAME, 1), shop, warehouse, SyncOptions(member_groups=(largest,)), concurrency=4)

    assert any("less-than" in one["query"] for one in shop.stats()["log"]), "an idle worker takes the later half"
    assert report.row_count == members.count(largest)
    assert_frame_equal(table(warehouse, NAME), truth(shop, NAME).filter(pl.col("list_id") == largest))

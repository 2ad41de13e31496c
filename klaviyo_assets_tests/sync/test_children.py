"""Child types are read parent by parent: all parents are read, deleted ones mark their rows, and a problem with one does not affect the others."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from klaviyo_assets.api.klaviyo_errors import KlaviyoError
from klaviyo_assets.catalog.replication import PerParent
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.errors import InvalidRange, SyncError
from klaviyo_assets.extract.sync_options import SyncMode, SyncOptions
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import query, small, sync
from klaviyo_assets_tests.outside_types import NAME, SEGMENT_PEOPLE

MEMBERS = replace(SEGMENT_PEOPLE, replication=PerParent())


@pytest.fixture
def shop() -> Iterator[SandboxProcess]:
    with small(segments=6, others=8, catalog=NAME) as sandbox:
        yield sandbox


def members(sandbox: SandboxProcess) -> set[tuple[str, str]]:
    return {(one["meta"]["segment_id"], one["id"]) for one in sandbox.truth("segment_people")}


def stored(warehouse: LocalFile, where: str = "_deleted_at IS NULL") -> set[tuple[str, str]]:
    return set(query(warehouse, f"SELECT segment_id, profile_id FROM segment_people WHERE {where}"))


def in_pages_of_two(entry: ResourceType) -> ResourceType:
    return replace(entry, endpoint=replace(entry.endpoint, page_size=replace(entry.endpoint.page_size, default=2, maximum=2)))


@pytest.mark.long
def test_the_children_of_all_parents_are_read(shop: SandboxProcess, warehouse: LocalFile) -> None:
    sync("segments", shop, warehouse)
    truth = members(shop)

    report = sync(in_pages_of_two(MEMBERS), shop, warehouse)

    segments = {id_ for (id_,) in query(warehouse, "SELECT id FROM segments")}
    assert truth
    assert stored(warehouse) == truth
    assert {name.removeprefix("segment_id ") for name in report.slices} == segments
    assert report.row.rows_inserted == len(truth)

    again = sync(MEMBERS, shop, warehouse)
    assert (again.row.records_read, again.row.rows_inserted, again.row.rows_updated, again.row.rows_deleted) == (len(truth), 0, 0, 0)


def test_a_sync_without_the_parent_table_fails(shop: SandboxProcess, warehouse: LocalFile) -> None:
    with pytest.raises(SyncError, match=r"segment_people needs the table segments, which does not exist yet\. What to do: Sync segments first\."):
        sync(MEMBERS, shop, warehouse)


INCOMPLETE = r"segment_people needs the complete table segments, and no sync that has read segments completely is recorded for this account\."


def fail_to_sync(name: str, sandbox: SandboxProcess, warehouse: LocalFile, after: int = 0) -> None:
    """Run a sync that fails once it has made some requests."""
    sandbox.faults({"path": f"/api/{name}", "kind": "503", "times": 1, "after": after})
    with pytest.raises(KlaviyoError):
        sync(name, sandbox, warehouse, max_retries=0)
    sandbox.clear_faults()


@pytest.mark.long
def test_a_sync_with_a_parent_that_was_never_synced_completely_fails(shop: SandboxProcess, warehouse: LocalFile) -> None:
    fail_to_sync("segments", shop, warehouse, after=1)

    with pytest.raises(SyncError, match=INCOMPLETE):
        sync(MEMBERS, shop, warehouse)

    sync("segments", shop, warehouse)
    assert sync(MEMBERS, shop, warehouse).notes == ()
    assert stored(warehouse) == members(shop)


@pytest.mark.long
@pytest.mark.parametrize(
    "change",
    ["outcome = 'killed'", "outcome = 'running'", "mode = 'range'", "account_id = 'other'"],
    ids=["killed", "still running", "a range", "another account"],
)
def test_only_a_complete_sync_of_the_parent_counts(change: str, shop: SandboxProcess, warehouse: LocalFile) -> None:
    sync("segments", shop, warehouse)
    sync(MEMBERS, shop, warehouse)
    query(warehouse, f"UPDATE _syncs SET {change} WHERE resource_type = 'segments'")

    with pytest.raises(SyncError, match=INCOMPLETE):
        sync(MEMBERS, shop, warehouse)


@pytest.mark.long
def test_a_later_failure_of_the_parent_is_noted(shop: SandboxProcess, warehouse: LocalFile) -> None:
    at = sync("segments", shop, warehouse).row.started_at
    fail_to_sync("segments", shop, warehouse, after=1)

    report = sync(MEMBERS, shop, warehouse)

    assert stored(warehouse) == members(shop)
    assert report.notes == (
        "The latest sync of segments has not succeeded: segment_people of segments that are newer than its last complete sync "
        f"({at:%Y-%m-%d %H:%M} UTC) are missing. Sync segments, then segment_people.",
    )


@pytest.mark.long
def test_a_failed_range_of_the_parent_is_not_noted(shop: SandboxProcess, warehouse: LocalFile) -> None:
    sync("segments", shop, warehouse)
    fail_to_sync("segments", shop, warehouse, after=1)
    query(warehouse, "UPDATE _syncs SET mode = 'range' WHERE outcome = 'failed'")

    assert sync(MEMBERS, shop, warehouse).notes == ()


@pytest.mark.long
@pytest.mark.parametrize("parent_fails", [False, True], ids=["child alone", "after a failed sync of the parent"])
def test_a_sync_with_a_parent_table_that_has_lost_its_rows_fails(parent_fails: bool, shop: SandboxProcess, warehouse: LocalFile) -> None:
    sync("segments", shop, warehouse)
    query(warehouse, "DELETE FROM segments")
    if parent_fails:
        fail_to_sync("segments", shop, warehouse, after=1)

    with pytest.raises(SyncError, match="the complete table segments, which is empty, though it held 6 rows after the last sync"):
        sync(MEMBERS, shop, warehouse)


def test_an_account_without_parents_has_no_children(warehouse: LocalFile) -> None:
    with small(segments=0, others=8, catalog=NAME) as sandbox:
        sync("segments", sandbox, warehouse)

        assert sync(MEMBERS, sandbox, warehouse).row_count == 0


def test_child_types_have_no_range(shop: SandboxProcess, warehouse: LocalFile) -> None:
    with pytest.raises(InvalidRange, match="segment_people has no mode range"):
        sync(MEMBERS, shop, warehouse, SyncOptions(SyncMode.range))


@pytest.mark.long
@pytest.mark.parametrize("parents_synced", [True, False], ids=["the parent is deleted in its table", "the parent returns 404"])
def test_the_rows_of_a_deleted_parent_are_marked(parents_synced: bool, shop: SandboxProcess, warehouse: LocalFile) -> None:
    sync("segments", shop, warehouse)
    truth = members(shop)
    sync(MEMBERS, shop, warehouse)
    gone = min(truth)[0]

    shop.change("delete", type="segments", id=gone)
    if parents_synced:
        sync("segments", shop, warehouse)
    report = sync(MEMBERS, shop, warehouse)

    lost = {pair for pair in truth if pair[0] == gone}
    assert stored(warehouse) == truth - lost
    assert stored(warehouse, "_deleted_at IS NOT NULL") == lost
    assert (report.row.rows_deleted, report.row.outcome) == (len(lost), "succeeded")


@pytest.mark.long
def test_an_empty_read_marks_no_rows(shop: SandboxProcess, warehouse: LocalFile) -> None:
    sync("segments", shop, warehouse)
    sync(MEMBERS, shop, warehouse)
    known = stored(warehouse)

    for (id_,) in query(warehouse, "SELECT id FROM segments"):
        shop.change("delete", type="segments", id=id_)
    report = sync(MEMBERS, shop, warehouse)

    assert stored(warehouse) == known
    (note,) = report.notes
    assert note.startswith(f"Klaviyo returned no segment_people at all, though {len(known)} are known: none was marked as deleted.")


@pytest.mark.long
def test_each_parent_has_its_own_coverage_and_unread_parents_come_first(shop: SandboxProcess, warehouse: LocalFile) -> None:
    sync("segments", shop, warehouse)
    segments = {id_ for (id_,) in query(warehouse, "SELECT id FROM segments")}
    first = sync(MEMBERS, shop, warehouse)
    covered = query(warehouse, "SELECT subset, parent, field, read_at FROM _coverage WHERE resource_type = 'segment_people'")
    assert {(subset, parent, field) for subset, parent, field, _ in covered} == {("all", id_, "segment_id") for id_ in segments}
    assert {read_at for *_, read_at in covered} == {first.row.started_at}

    unread = {max(segments), min(segments)}
    query(warehouse, f"DELETE FROM _coverage WHERE parent IN {tuple(unread)}")
    report = sync(MEMBERS, shop, warehouse)

    assert {name.removeprefix("segment_id ") for name in report.slices[:2]} == unread
    assert len(report.slices) == len(segments)
    assert query(warehouse, "SELECT count(DISTINCT parent), min(read_at) FROM _coverage WHERE resource_type = 'segment_people'") == [
        (len(segments), report.row.started_at)
    ]


@pytest.mark.long
def test_the_next_sync_loads_the_parents_that_an_interrupted_one_has_read(shop: SandboxProcess, warehouse: LocalFile) -> None:
    sync("segments", shop, warehouse)
    segments = [id_ for (id_,) in query(warehouse, "SELECT id FROM segments ORDER BY id")]
    shop.faults({"path": "/api/segments/{id}/people", "kind": "500", "times": None, "after": len(segments) - 1})
    with pytest.raises(KlaviyoError):
        sync(MEMBERS, shop, warehouse, max_retries=0, concurrency=1)
    shop.clear_faults()

    report = sync(MEMBERS, shop, warehouse)

    assert report.resumed
    assert report.slices[0].removeprefix("segment_id ") in segments[-2:], "unread parents come first"
    assert report.slices[-1].removeprefix("segment_id ") not in segments[-2:]
    assert stored(warehouse) == members(shop)

"""A list is deleted after lists was synced: the sync of list members continues, and marks the rows of that list as deleted."""

import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import dagster as dg
import pytest
from polars.testing import assert_frame_equal

from klaviyo_assets.api.klaviyo_errors import NotFound, ServerFault
from klaviyo_assets.extract.sync_options import SyncMode, SyncOptions
from klaviyo_assets.reporting.materialization import materialization
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import query, sync, table, truth
from klaviyo_assets_tests.scenarios.over_http import OverHttp
from klaviyo_assets_tests.scenarios.runner import Runner
from klaviyo_assets_tests.scenarios.scenario import Delete, OfParent, Scenario, Sync
from klaviyo_assets_tests.scenarios.stats import Stats

NewAccount = Callable[..., SandboxProcess]


def a_list_deleted_before(request: int) -> tuple[int, OfParent]:
    """Return the deletion of the first list before a request of a sync."""
    return request, OfParent(Delete(0))


@pytest.mark.long
@pytest.mark.parametrize(
    "meanwhile",
    [
        *([a_list_deleted_before(request)] for request in (1, 2, 3, 5)),
        [a_list_deleted_before(request) for request in (2, 4)],
        [a_list_deleted_before(request) for request in (2, 4, 6)],
    ],
    ids=lambda meanwhile: "before request " + " and ".join(str(request) for request, _ in meanwhile),
)
@pytest.mark.parametrize("is_first", [True, False], ids=["first sync", "later sync"])
def test_a_list_deleted_before_any_request(is_first: bool, meanwhile: Sequence[tuple[int, OfParent]], tmp_path: Path) -> None:
    """The first two requests are one list and its members, to check access; the others are the members of each list."""
    deleting = Sync(page_size=2, meanwhile=tuple(meanwhile))
    scenario = Scenario("list_members", (deleting,) if is_first else (Sync(), deleting), records=6)
    stats = Stats()

    with OverHttp(scenario, tmp_path) as world:
        Runner(scenario, world, stats).run()
        outcomes = world.query("_syncs", "DISTINCT outcome")

    assert outcomes == [("succeeded",)]
    assert stats.actions["parent: deleted"] == len(meanwhile)


def delete_lists(sandbox: SandboxProcess, count: int) -> list[str]:
    ids = sorted({one["meta"]["list_id"] for one in sandbox.truth("list_members")})[:count]
    for id_ in ids:
        sandbox.change("delete", type="lists", id=id_)
    return ids


@pytest.mark.long
def test_deleted_lists_are_logged_once(new_account: NewAccount, warehouse: LocalFile, caplog: pytest.LogCaptureFixture) -> None:
    sandbox = new_account(lists=8, profiles=60)
    sync("lists", sandbox, warehouse)
    sync("list_members", sandbox, warehouse)
    gone = delete_lists(sandbox, 2)

    with caplog.at_level(logging.INFO, logger="klaviyo_assets_tests"):
        report = sync("list_members", sandbox, warehouse)

    assert report.notes == ()
    assert [one.getMessage() for one in caplog.records if one.name == "klaviyo_assets_tests" and gone[0] in one.getMessage()] == [
        "list_members: 2 of the lists have been deleted in Klaviyo since lists was synced, so their rows are marked as deleted: " + ", ".join(gone)
    ]
    assert_frame_equal(table(warehouse, "list_members"), truth(sandbox, "list_members"))


@pytest.mark.long
def test_a_page_of_another_server_deletes_no_list(new_account: NewAccount, warehouse: LocalFile) -> None:
    """Only Klaviyo's own 404 means that a list is deleted."""
    sandbox = new_account(lists=8, profiles=60)
    sync("lists", sandbox, warehouse)
    sync("list_members", sandbox, warehouse)
    sandbox.faults({"path": "/api/lists/{id}/profiles", "kind": "html404", "after": 3})

    with pytest.raises(NotFound, match="There is no such endpoint at the configured address"):
        sync("list_members", sandbox, warehouse)

    assert_frame_equal(table(warehouse, "list_members"), truth(sandbox, "list_members"))


@pytest.mark.long
def test_a_page_of_another_server_deletes_no_looked_up_record(new_account: NewAccount, warehouse: LocalFile) -> None:
    sandbox = new_account()
    sync("metrics", sandbox, warehouse)
    known = table(warehouse, "metrics")
    sandbox.change("delete", type="metrics", id=known["id"][0])
    sandbox.faults({"path": "/api/metrics/{id}", "kind": "html404"})

    with pytest.raises(NotFound):
        sync("metrics", sandbox, warehouse)
    assert_frame_equal(table(warehouse, "metrics"), known)

    sync("metrics", sandbox, warehouse)
    assert_frame_equal(table(warehouse, "metrics"), truth(sandbox, "metrics"))


@pytest.mark.long
def test_rows_of_deleted_lists_are_marked_even_if_all_other_lists_are_empty(new_account: NewAccount, warehouse: LocalFile) -> None:
    sandbox = new_account(lists=8, profiles=60)
    sync("lists", sandbox, warehouse)
    sync("list_members", sandbox, warehouse)
    members = {(one["meta"]["list_id"], one["id"]) for one in sandbox.truth("list_members")}
    (gone,) = delete_lists(sandbox, 1)
    for list_id, profile_id in members:
        if list_id != gone:
            sandbox.change("delete", type="list_members", parent=list_id, id=profile_id)
    sync("lists", sandbox, warehouse)

    report = sync("list_members", sandbox, warehouse)

    remaining = {pair for pair in members if pair[0] != gone}
    assert set(query(warehouse, "SELECT list_id, profile_id FROM list_members WHERE _deleted_at IS NULL")) == remaining
    assert report.row.rows_deleted == len(members - remaining) > 0
    assert report.notes == ()

    report = sync("list_members", sandbox, warehouse, SyncOptions(SyncMode.full))

    assert (report.row.rows_deleted, report.row_count, report.notes) == (len(remaining), 0, ()), "Klaviyo counts zero members"


@pytest.mark.long
def test_rows_of_an_interrupted_first_sync_stay_if_nothing_at_all_is_returned_afterwards(new_account: NewAccount, warehouse: LocalFile) -> None:
    """They are only staged when the next sync begins, so the table is still empty then."""
    sandbox = new_account(lists=8, profiles=60)
    sync("lists", sandbox, warehouse)
    sandbox.faults({"path": "/api/lists/{id}/profiles", "kind": "503", "after": 4, "times": None})
    with pytest.raises(ServerFault):
        sync("list_members", sandbox, warehouse, max_retries=0, concurrency=1)
    sandbox.clear_faults()
    for one in sandbox.truth("list_members"):
        sandbox.change("delete", type="list_members", parent=one["meta"]["list_id"], id=one["id"])

    report = sync("list_members", sandbox, warehouse)

    assert report.resumed
    assert report.row.rows_deleted == 0
    ((known,),) = query(warehouse, "SELECT count(*) FROM list_members WHERE _deleted_at IS NULL")
    assert known > 0
    assert report.notes == (), "only new members of the lists that had been read were requested"


@pytest.mark.long
def test_the_log_of_syncs_names_only_the_first_lists(new_account: NewAccount, warehouse: LocalFile) -> None:
    sandbox = new_account(lists=45, profiles=60, others=2)
    sync("lists", sandbox, warehouse)

    report = sync("list_members", sandbox, warehouse)

    ((slices,),) = query(warehouse, "SELECT slices FROM _syncs WHERE resource_type = 'list_members'")
    assert len(report.slices) == 45
    assert json.loads(slices) == [*report.slices[:20], "and 25 more"]
    shown = materialization(report, "", dg.AssetKey("list_members"), str).metadata
    assert shown is not None
    assert shown["read"] == dg.MetadataValue.md("\n".join(f"- {name}" for name in json.loads(slices)))

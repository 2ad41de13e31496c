"""Killed syncs of a child type, and parents that are created or deleted during a sync."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from klaviyo_assets.catalog.endpoint import PageSize
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.catalog.types.list_members import LIST_MEMBERS
from klaviyo_assets.decode import Page
from klaviyo_assets.extract.page_sink import SliceId
from klaviyo_assets.extract.sync_options import SyncMode, SyncOptions
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.staging.staging import Staging
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import query, sync, table, truth
from klaviyo_assets_tests.sync.test_interrupted import kill_during_load

NewAccount = Callable[..., SandboxProcess]
NAME = LIST_MEMBERS.name


def stored(warehouse: LocalFile) -> set[tuple[str, str]]:
    return set(query(warehouse, f"SELECT list_id, profile_id FROM {NAME} WHERE _deleted_at IS NULL"))


def read_completely(warehouse: LocalFile) -> set[str]:
    return {parent for (parent,) in query(warehouse, f"SELECT DISTINCT parent FROM _coverage WHERE resource_type = '{NAME}'")}


def parents_requested(sandbox: SandboxProcess) -> list[str]:
    """Return the lists that were requested, in order, without probes (requests for one record)."""
    found = [one for one in sandbox.stats()["log"] if one["endpoint"] == LIST_MEMBERS.endpoint.path and "page%5Bsize%5D=1&" not in f"{one['query']}&"]
    return list(dict.fromkeys(one["path"].split("/")[3] for one in found))


def assert_covered_parents_are_complete(sandbox: SandboxProcess, warehouse: LocalFile) -> set[str]:
    """Check that no row is stored twice, and that each covered list has all members of its covered windows; return the covered lists."""
    rows = query(warehouse, f"SELECT list_id, profile_id FROM {NAME}")
    joined = {
        (row[0], row[1]): row[2] for row in truth(sandbox, NAME).select("list_id", "profile_id", pl.col("joined_group_at").dt.epoch("us")).rows()
    }
    known = set(joined)
    windows = query(warehouse, f"SELECT parent, epoch_us(window_start), epoch_us(window_end) FROM _coverage WHERE resource_type = '{NAME}'")
    assert len(rows) == len(set(rows))
    assert set(rows) <= known
    covered = read_completely(warehouse)
    due = {pair for pair, at in joined.items() for parent, start, end in windows if pair[0] == parent and (start is None or start <= at) and at < end}
    assert due <= set(rows)
    return covered


@pytest.mark.duckdb
@pytest.mark.slow
def test_syncs_after_a_kill_continue_with_the_remaining_lists(new_account: NewAccount, warehouse: LocalFile) -> None:
    now = datetime.now(UTC)
    sandbox = new_account(lists=40, profiles=400, base=now - timedelta(minutes=61), clock=now)  # in its first hour, people still join
    sync("lists", sandbox, warehouse)
    lists = {id_ for (id_,) in query(warehouse, "SELECT id FROM lists")}

    assert kill_during_load(sandbox, warehouse, NAME, load=1, after=0.02)
    started = parents_requested(sandbox)
    sandbox.reset_stats()
    assert kill_during_load(sandbox, warehouse, NAME, load=2, after=0.02)
    covered = assert_covered_parents_are_complete(sandbox, warehouse)
    assert covered <= {*started}, "the first load of the second sync has the staged files of the first one"
    assert 0 < len(covered) < len(lists)
    assert parents_requested(sandbox)[0] not in covered
    unread = lists - {*started, *parents_requested(sandbox)}

    # The next sync finds members that a list gained after it was read, and a full one those that it lost.
    changed = min(covered)
    left = next(pair for pair in sorted(stored(warehouse)) if pair[0] == changed)
    sandbox.change("delete", type=NAME, parent=changed, id=left[1])
    (joined,) = sandbox.change("add", type=NAME, parent=changed)
    sandbox.reset_stats()
    report = sync(NAME, sandbox, warehouse, concurrency=1)

    assert report.resumed
    order = parents_requested(sandbox)
    assert sorted(order) == sorted(lists), "each list is read exactly once"
    sync(NAME, sandbox, warehouse, SyncOptions(SyncMode.full))
    assert unread
    assert {*order[: len(unread)]}.isdisjoint(covered), "lists that have been read completely come last"
    assert max(order.index(id_) for id_ in unread) < min(order.index(id_) for id_ in covered)
    assert_frame_equal(table(warehouse, NAME), truth(sandbox, NAME))
    assert read_completely(warehouse) == lists
    assert query(warehouse, f"SELECT list_id, profile_id FROM {NAME} WHERE _deleted_at IS NOT NULL") == [left]
    assert (changed, joined) in stored(warehouse)
    assert query(warehouse, "SELECT outcome, count(*) FROM _syncs WHERE resource_type = 'list_members' GROUP BY outcome ORDER BY outcome") == [
        ("killed", 2),
        ("succeeded", 2),
    ]


def at_the_first_page(list_id: str, change: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Change the account when the first page of a list's members arrives."""
    add, changes = Staging.add, [change]

    def adding(self: Staging, slice_id: SliceId, page: Page, *position: Any) -> None:
        add(self, slice_id, page, *position)
        if changes and list_id in page.frame["list_id"]:
            changes.pop()()

    monkeypatch.setattr(Staging, "add", adding)


def in_small_pages() -> ResourceType:
    return replace(LIST_MEMBERS, endpoint=replace(LIST_MEMBERS.endpoint, page_size=PageSize(2, 2)))


@pytest.mark.long
@pytest.mark.parametrize("stored_before", [False, True], ids=["first sync", "later sync"])
def test_deleting_a_list_while_its_members_are_read_marks_only_its_own_rows(
    stored_before: bool, new_account: NewAccount, warehouse: LocalFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = new_account(lists=6, profiles=60)
    sync("lists", sandbox, warehouse)
    known = truth(sandbox, NAME)
    gone = known.group_by("list_id").len().sort("len", "list_id")["list_id"][-1]
    members_of_gone = set(known.filter(pl.col("list_id") == gone).select("list_id", "profile_id").iter_rows())
    assert len(members_of_gone) > 4
    if stored_before:
        sync(NAME, sandbox, warehouse)
    at_the_first_page(gone, lambda: sandbox.change("delete", type="lists", id=gone), monkeypatch)

    report = sync(in_small_pages(), sandbox, warehouse, SyncOptions(SyncMode.full), concurrency=1)

    assert report.row.outcome == "succeeded"
    assert_frame_equal(table(warehouse, NAME), known.filter(pl.col("list_id") != gone))
    deleted = set(query(warehouse, f"SELECT list_id, profile_id FROM {NAME} WHERE _deleted_at IS NOT NULL"))
    assert deleted == members_of_gone if stored_before else deleted < members_of_gone
    assert report.row.rows_deleted == len(deleted)

    sync("lists", sandbox, warehouse)
    again = sync(NAME, sandbox, warehouse)
    assert (again.row.rows_inserted, again.row.rows_updated, again.row.rows_deleted) == (0, 0, 0)


@pytest.mark.long
def test_a_list_created_while_members_are_read_is_read_after_the_next_sync_of_lists(
    new_account: NewAccount, warehouse: LocalFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = new_account(lists=6, profiles=60)
    sync("lists", sandbox, warehouse)
    known = truth(sandbox, NAME)
    created: list[str] = []

    def create() -> None:
        created.extend(sandbox.change("add", type="lists"))
        sandbox.change("add", type=NAME, parent=created[0])

    at_the_first_page(known["list_id"][0], create, monkeypatch)

    sync(in_small_pages(), sandbox, warehouse, concurrency=1)
    assert created
    assert_frame_equal(table(warehouse, NAME), known)

    sync(NAME, sandbox, warehouse)
    assert_frame_equal(table(warehouse, NAME), known)
    sync("lists", sandbox, warehouse)
    sandbox.reset_stats()
    sync(NAME, sandbox, warehouse, concurrency=1)
    assert_frame_equal(table(warehouse, NAME), truth(sandbox, NAME))
    assert parents_requested(sandbox)[0] == created[0], "a list that has not been read yet comes first"

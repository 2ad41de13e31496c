"""A collection that is suddenly empty: an incremental sync marks nothing, because a failing endpoint may look like that; a full sync accepts it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from klaviyo_assets.api.filters import equals
from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.catalog.resource_type import Subset
from klaviyo_assets.extract.sync_options import SyncMode, SyncOptions, range_field
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.state.coverage import TimeWindow
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import query, sync

NewAccount = Callable[..., SandboxProcess]

pytestmark = pytest.mark.long

FULL = SyncOptions(mode=SyncMode.full)


@pytest.fixture
def shop(new_account: NewAccount) -> SandboxProcess:
    return new_account(events=0, others=3, campaigns=3, flows=2, lists=2)


def rows(warehouse: LocalFile, name: str) -> tuple[int, int]:
    """Return the number of rows that are not marked as deleted, and of those that are."""
    ((current, deleted),) = query(warehouse, f"SELECT count(*) FILTER (_deleted_at IS NULL), count(_deleted_at) FROM {name}")
    return current, deleted


def delete_all(shop: SandboxProcess, name: str, parent_id: str | None = None) -> None:
    for one in shop.truth(name):
        parent = {"parent": one["meta"][parent_id]} if parent_id is not None else {}
        shop.change("delete", type=name, id=one["id"], **parent)
    shop.advance(timedelta(hours=1))


@pytest.mark.parametrize("name", ["web_feeds", "object_types", "catalog_categories", "tags", "forms", "coupons", "universal_content"])
def test_a_full_sync_accepts_that_a_collection_is_empty(name: str, shop: SandboxProcess, warehouse: LocalFile) -> None:
    sync(name, shop, warehouse)
    known, _ = rows(warehouse, name)
    delete_all(shop, name)

    (note,) = sync(name, shop, warehouse).notes

    assert rows(warehouse, name) == (known, 0)
    assert note.endswith("If all of them were deleted in Klaviyo, run this sync once with the mode full.")
    report = sync(name, shop, warehouse, FULL)
    assert (rows(warehouse, name), report.notes) == ((0, known), ())


@pytest.mark.parametrize(
    ("name", "parent", "parent_id"), [("object_records", "object_types", "object_type_id"), ("coupon_codes", "coupons", "coupon_id")]
)
def test_a_full_sync_accepts_that_all_parents_are_empty(name: str, parent: str, parent_id: str, shop: SandboxProcess, warehouse: LocalFile) -> None:
    sync(parent, shop, warehouse)
    sync(name, shop, warehouse)
    known, _ = rows(warehouse, name)
    assert known
    delete_all(shop, name, parent_id)

    sync(name, shop, warehouse, FULL)

    assert rows(warehouse, name) == (0, known)


@pytest.mark.parametrize(
    ("name", "parent"),
    [("list_members", "lists"), ("object_records", "object_types"), ("coupon_codes", "coupons"), ("campaign_messages", "campaigns")],
)
def test_a_full_sync_marks_what_belongs_to_records_that_are_all_deleted(name: str, parent: str, shop: SandboxProcess, warehouse: LocalFile) -> None:
    sync(parent, shop, warehouse)
    sync(name, shop, warehouse)
    known, _ = rows(warehouse, name)
    assert known
    delete_all(shop, parent)

    sync(parent, shop, warehouse, FULL)
    sync(name, shop, warehouse, FULL)

    assert rows(warehouse, name) == (0, known)


def test_a_full_sync_keeps_records_that_klaviyo_still_has_by_id(shop: SandboxProcess, warehouse: LocalFile) -> None:
    sync("tags", shop, warehouse)
    known, _ = rows(warehouse, "tags")
    lists_none = replace(CATALOG["tags"], subsets=(Subset(filters=(equals("name", "no such tag"),)),))

    report = sync(lists_none, shop, warehouse, FULL)

    assert report.row.records_read == 0
    assert rows(warehouse, "tags") == (known, 0)


@pytest.mark.parametrize("name", ["events", "profiles"])
def test_a_range_of_which_klaviyo_returns_nothing_marks_no_rows(name: str, new_account: NewAccount, warehouse: LocalFile) -> None:
    shop = new_account(events=60, profiles=30, history_days=20)
    sync(name, shop, warehouse)
    known, _ = rows(warehouse, name)
    assert known
    field = range_field(CATALOG[name])
    window = TimeWindow(shop.now() - timedelta(days=60), shop.now())
    within = query(warehouse, f"SELECT id FROM {name} WHERE {field} >= '{window.start.isoformat()}' AND {field} < '{window.end.isoformat()}'")
    assert within
    for (id_,) in within:
        shop.change("delete", type=name, id=id_)

    report = sync(name, shop, warehouse, SyncOptions(SyncMode.range, field=field, window=window))

    assert report.notes == (f"Klaviyo returned nothing for the range, though {name} of it are known: none was marked as deleted.",)
    assert (report.row.rows_deleted, rows(warehouse, name)) == (0, (known, 0))

"""Tables of every child type of the catalog, and of types defined outside of the package, equal the sandbox's records."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest
from polars.testing import assert_frame_equal

from klaviyo_assets.api.klaviyo_errors import RequestFailed
from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.catalog.endpoint import PageSize
from klaviyo_assets.catalog.replication import PerParent
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.extract.sync_options import SyncMode, SyncOptions
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import query, small, sync, table, truth
from klaviyo_assets_tests.outside_types import NAME, SEGMENT_PEOPLE, VOUCHER_CODES, VOUCHERS

pytestmark = pytest.mark.long

CHILDREN = [entry for entry in CATALOG.values() if isinstance(entry.replication, PerParent)]
OUTSIDE = [SEGMENT_PEOPLE, VOUCHER_CODES]

every_child = pytest.mark.parametrize("entry", [*CHILDREN, *OUTSIDE], ids=lambda entry: entry.name)


@pytest.fixture
def shop(new_account: Callable[..., SandboxProcess]) -> SandboxProcess:
    return new_account(lists=6, segments=5, others=12, catalog=NAME)


def sync_both(entry: ResourceType, sandbox: SandboxProcess, warehouse: LocalFile) -> None:
    assert entry.parent is not None
    sync(entry.parent.entry, sandbox, warehouse)
    sync(entry, sandbox, warehouse)


def assert_equal_to_truth(entry: ResourceType, sandbox: SandboxProcess, warehouse: LocalFile) -> None:
    found = table(warehouse, entry.name, key=entry.primary_key)
    assert found.height > 0
    assert_frame_equal(found, truth(sandbox, entry), check_row_order=True)


def in_pages_of(size: int, entry: ResourceType) -> ResourceType:
    return replace(entry, endpoint=replace(entry.endpoint, page_size=PageSize(size, size)))


def parents_requested(sandbox: SandboxProcess, entry: ResourceType) -> list[str]:
    """Return the parents that were requested, in order, without probes (requests for one record)."""
    found = [one for one in sandbox.stats()["log"] if one["endpoint"] == entry.endpoint.path and "page%5Bsize%5D=1&" not in f"{one['query']}&"]
    return list(dict.fromkeys(one["path"].split("/")[3] for one in found))


def _may_wait(entry: ResourceType) -> bool:
    """Return whether an incremental sync may leave removed or changed children to a later one."""
    if entry.replication.groups is not None:
        return True
    return entry.replication.count_check is not None or (isinstance(entry.replication, PerParent) and entry.replication.max_age is not None)


@every_child
def test_the_table_equals_the_truth(entry: ResourceType, shop: SandboxProcess, warehouse: LocalFile) -> None:
    sync_both(entry, shop, warehouse)

    assert_equal_to_truth(entry, shop, warehouse)
    assert query(warehouse, f"SELECT DISTINCT _extra FROM {entry.name}") == [(None,)]


@every_child
def test_added_and_removed_children_are_found_by_the_next_sync(entry: ResourceType, shop: SandboxProcess, warehouse: LocalFile) -> None:
    sync_both(entry, shop, warehouse)
    assert entry.parent is not None
    one = shop.truth(entry.name)[0]
    parent = one["meta"][entry.parent.column]
    (new,) = shop.change("add", type=entry.name, parent=parent)
    shop.change("delete", type=entry.name, parent=parent, id=one["id"])

    sync(entry, shop, warehouse, SyncOptions(SyncMode.full if _may_wait(entry) else SyncMode.incremental))

    assert_equal_to_truth(entry, shop, warehouse)
    own = entry.primary_key[-1]
    assert table(warehouse, entry.name, key=entry.primary_key, deleted=True)[own].to_list() == [one["id"]]
    assert query(warehouse, f"SELECT count(*) FROM {entry.name} WHERE {own} = '{new}' AND {entry.parent.column} = '{parent}'") == [(1,)]


PARENT_BY_PARENT = [one for one in (*CHILDREN, *OUTSIDE) if not one.endpoint.unpaged and one.replication.groups is None]


@pytest.mark.parametrize("entry", PARENT_BY_PARENT, ids=lambda entry: entry.name)
def test_an_interrupted_sync_continues_with_the_remaining_parents(entry: ResourceType, shop: SandboxProcess, warehouse: LocalFile) -> None:
    assert entry.parent is not None
    largest = max(Counter(one["meta"][entry.parent.column] for one in shop.truth(entry.name)).values())
    entry = in_pages_of(max(2, -(-largest // 3)), entry)
    sync(entry.parent.entry, shop, warehouse)
    shop.reset_stats()
    shop.faults({"path": entry.endpoint.path, "kind": "503", "times": None, "after": 6})
    with pytest.raises(RequestFailed):
        sync(entry, shop, warehouse, max_retries=0, concurrency=1)
    started = parents_requested(shop, entry)
    shop.clear_faults()
    shop.reset_stats()

    sync(entry, shop, warehouse, concurrency=1)

    assert_equal_to_truth(entry, shop, warehouse)
    again = parents_requested(shop, entry)
    assert 1 < len(started) < len(again)
    assert again[0] not in started[:-1], "parents that had been read completely come last"


def test_a_type_without_parents_syncs_without_error(warehouse: LocalFile) -> None:
    with small(segments=0, catalog=NAME) as sandbox:
        sync_both(SEGMENT_PEOPLE, sandbox, warehouse)

    assert table(warehouse, "segment_people", key=SEGMENT_PEOPLE.primary_key).height == 0


def test_a_type_defined_outside_of_the_package_is_synced_like_any_other(shop: SandboxProcess, warehouse: LocalFile) -> None:
    sync(VOUCHERS, shop, warehouse)
    assert_equal_to_truth(VOUCHERS, shop, warehouse)
    shop.change("round", seed=1)
    sync(VOUCHERS, shop, warehouse)
    assert_equal_to_truth(VOUCHERS, shop, warehouse)
    assert table(warehouse, "vouchers", deleted=True).height == 1

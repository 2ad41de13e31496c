"""Coupon codes: several coupons by one request, used codes rarely, large coupons in parts, interrupted reads."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from polars.testing import assert_frame_equal

from klaviyo_assets.api.filters import equals
from klaviyo_assets.api.klaviyo_errors import RequestFailed
from klaviyo_assets.catalog.endpoint import PageSize
from klaviyo_assets.catalog.resource_type import ResourceType, Subset
from klaviyo_assets.catalog.types.coupon_codes import COUPON_CODES
from klaviyo_assets.erasure.erase import DataSubject, Erasure
from klaviyo_assets.extract import dividing
from klaviyo_assets.extract.strategies import grouped_parents
from klaviyo_assets.extract.sync_options import SyncMode, SyncOptions
from klaviyo_assets.load.children import group_rows
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.sync.sync_report import SyncReport
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import query, small, sync, table, truth

NAME = COUPON_CODES.name
WEEK = COUPON_CODES.replication.groups.complete_after if COUPON_CODES.replication.groups else timedelta()


@pytest.fixture
def shop() -> Iterator[SandboxProcess]:
    with small(events=0, profiles=20, others=24) as sandbox:
        yield sandbox


def in_pages_of(records: int) -> ResourceType:
    return replace(COUPON_CODES, endpoint=replace(COUPON_CODES.endpoint, page_size=PageSize(records, records)))


def first_sync(shop: SandboxProcess, warehouse: LocalFile) -> SyncReport:
    sync("coupons", shop, warehouse)
    report = sync(NAME, shop, warehouse)
    shop.reset_stats()
    return report


def code_with(shop: SandboxProcess, status: str, coupon: str | None = None) -> Any:
    return next(one for one in shop.truth(NAME) if one["attributes"]["status"] == status and coupon in (None, one["meta"]["coupon_id"]))


def set_status(shop: SandboxProcess, code: Any, status: str) -> None:
    shop.change("update", type=NAME, id=code["id"], parent=code["meta"]["coupon_id"], attributes={"status": status})


def requests(shop: SandboxProcess) -> list[dict[str, Any]]:
    """Return the requests without probes (requests for one record)."""
    return [one for one in shop.stats()["log"] if one["path"].startswith("/api/coupon-codes") and "page%5Bsize%5D=1&" not in f"{one['query']}&"]


def statuses(warehouse: LocalFile) -> dict[str, tuple[str, bool]]:
    return {id_: (status, deleted) for id_, status, deleted in query(warehouse, f"SELECT id, status, _deleted_at IS NOT NULL FROM {NAME}")}


@pytest.mark.long
def test_many_coupons_are_read_by_few_requests(shop: SandboxProcess, warehouse: LocalFile) -> None:
    first_sync(shop, warehouse)
    coupons = len(shop.truth("coupons"))
    report = sync(NAME, shop, warehouse, SyncOptions(SyncMode.full))

    assert_frame_equal(table(warehouse, NAME), truth(shop, NAME))
    made = [one for one in requests(shop) if "page%5Bcursor%5D" not in one["query"]]
    assert all(one["path"] == "/api/coupon-codes" for one in made)
    assert len(made) < coupons / 5
    assert report.row.records_read == report.row_count


@pytest.mark.long
def test_used_codes_are_not_read_again_for_a_week(shop: SandboxProcess, warehouse: LocalFile) -> None:
    first_sync(shop, warehouse)
    live = sum(one["attributes"]["status"] != "USED" for one in shop.truth(NAME))

    report = sync(NAME, shop, warehouse)
    shop.advance(WEEK)
    later = sync(NAME, shop, warehouse)

    assert report.row.records_read == live < report.row_count
    assert (report.row.rows_inserted, report.row.rows_updated, report.row.rows_deleted) == (0, 0, 0)
    assert later.row.records_read == later.row_count


@pytest.mark.long
def test_a_code_that_was_used_and_one_that_was_deleted_are_looked_up(shop: SandboxProcess, warehouse: LocalFile) -> None:
    first_sync(shop, warehouse)
    used = code_with(shop, "UNASSIGNED")
    gone = next(one for one in shop.truth(NAME) if one["attributes"]["status"] == "UNASSIGNED" and one["meta"] != used["meta"])
    set_status(shop, used, "USED")
    shop.change("delete", type=NAME, id=gone["id"], parent=gone["meta"]["coupon_id"])

    report = sync(NAME, shop, warehouse)

    found = statuses(warehouse)
    assert (found[used["id"]], found[gone["id"]][1]) == (("USED", False), True)
    assert {one["path"].rpartition("/")[2] for one in requests(shop) if one["path"] != "/api/coupon-codes"} == {used["id"], gone["id"]}
    assert_frame_equal(table(warehouse, NAME), truth(shop, NAME))
    assert (report.row.rows_updated, report.row.rows_deleted) == (1, 1)


@pytest.mark.long
def test_a_coupon_of_which_many_codes_were_used_is_read_completely(shop: SandboxProcess, warehouse: LocalFile) -> None:
    first_sync(shop, warehouse)
    coupon = code_with(shop, "UNASSIGNED")["meta"]["coupon_id"]
    codes = [one for one in shop.truth(NAME) if one["meta"]["coupon_id"] == coupon]
    for code in codes:
        set_status(shop, code, "USED")
    (new,) = shop.change("add", type=NAME, parent=coupon)
    set_status(shop, next(one for one in shop.truth(NAME) if one["id"] == new), "USED")

    sync(NAME, shop, warehouse)

    assert_frame_equal(table(warehouse, NAME), truth(shop, NAME))
    assert not [one for one in requests(shop) if one["path"] != "/api/coupon-codes"]


@pytest.mark.long
def test_a_code_created_and_used_between_two_syncs_is_found_within_a_week(shop: SandboxProcess, warehouse: LocalFile) -> None:
    first_sync(shop, warehouse)
    (new,) = shop.change("add", type=NAME, parent=shop.truth("coupons")[0]["id"])
    set_status(shop, next(one for one in shop.truth(NAME) if one["id"] == new), "USED")
    sync(NAME, shop, warehouse)
    assert new not in statuses(warehouse)
    shop.advance(WEEK)

    sync(NAME, shop, warehouse)

    assert_frame_equal(table(warehouse, NAME), truth(shop, NAME))


@pytest.mark.long
def test_a_used_code_that_was_deleted_is_marked_within_a_week(shop: SandboxProcess, warehouse: LocalFile) -> None:
    first_sync(shop, warehouse)
    gone = code_with(shop, "USED")
    shop.change("delete", type=NAME, id=gone["id"], parent=gone["meta"]["coupon_id"])
    sync(NAME, shop, warehouse)
    assert not statuses(warehouse)[gone["id"]][1]
    shop.advance(WEEK)

    sync(NAME, shop, warehouse)

    assert statuses(warehouse)[gone["id"]][1]


@pytest.mark.long
def test_a_deleted_coupon_takes_its_codes_along(shop: SandboxProcess, warehouse: LocalFile) -> None:
    first_sync(shop, warehouse)
    coupon = code_with(shop, "USED")["meta"]["coupon_id"]
    shop.change("delete", type="coupons", id=coupon)
    sync("coupons", shop, warehouse)

    sync(NAME, shop, warehouse)

    assert_frame_equal(table(warehouse, NAME), truth(shop, NAME))


@pytest.mark.long
def test_large_coupons_are_divided(shop: SandboxProcess, warehouse: LocalFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dividing, "PAGES_BEFORE", 3)
    for module in (grouped_parents, group_rows):
        monkeypatch.setattr(module, "ROWS_PER_PART", 10)
    largest, _ = Counter(one["meta"]["coupon_id"] for one in shop.truth(NAME)).most_common(1)[0]
    for coupon in shop.truth("coupons"):
        if coupon["id"] != largest:
            shop.change("delete", type="coupons", id=coupon["id"])
    sync("coupons", shop, warehouse)

    sync(in_pages_of(2), shop, warehouse)
    assert "expires_at" in str([one["query"] for one in requests(shop)])
    assert_frame_equal(table(warehouse, NAME), truth(shop, NAME))
    monkeypatch.setattr(dividing, "PAGES_BEFORE", 10)
    shop.change("delete", type=NAME, parent=largest, id=shop.truth(NAME)[0]["id"])
    later = sync(in_pages_of(2), shop, warehouse, SyncOptions(SyncMode.full))

    assert_frame_equal(table(warehouse, NAME), truth(shop, NAME))
    assert later.row.records_read < 1.4 * later.row_count, "what is known of their sizes divides them before they are read"
    assert query(warehouse, f"SELECT DISTINCT subset FROM _coverage WHERE resource_type = '{NAME}'") == [("all",)]


@pytest.mark.long
def test_the_next_sync_reads_only_what_an_interrupted_one_has_not(
    shop: SandboxProcess, warehouse: LocalFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (grouped_parents, group_rows):
        monkeypatch.setattr(module, "ROWS_PER_PART", 10)
    first_sync(shop, warehouse)
    for mode in (SyncMode.full, SyncMode.incremental):
        shop.advance(WEEK)
        shop.faults({"path": COUPON_CODES.endpoint.path, "kind": "503", "times": None, "after": 40})
        shop.reset_stats()
        with pytest.raises(RequestFailed):
            sync(in_pages_of(2), shop, warehouse, SyncOptions(mode), max_retries=0, concurrency=2)
        shop.clear_faults()
        rows = len(shop.truth(NAME))

        report = sync(in_pages_of(2), shop, warehouse, concurrency=2)

        interrupted = query(warehouse, "SELECT records_read FROM _syncs WHERE outcome = 'failed' ORDER BY started_at DESC LIMIT 1")[0][0]
        assert report.resumed
        assert report.row.records_read + interrupted == rows, "the chains that were being read continue"
        assert_frame_equal(table(warehouse, NAME), truth(shop, NAME))


@pytest.mark.long
def test_a_chain_with_an_expired_cursor_is_read_from_its_beginning(shop: SandboxProcess, warehouse: LocalFile) -> None:
    sync("coupons", shop, warehouse)
    shop.faults({"path": COUPON_CODES.endpoint.path, "kind": "503", "times": None, "after": 40})
    with pytest.raises(RequestFailed):
        sync(in_pages_of(2), shop, warehouse, max_retries=0, concurrency=2)
    shop.clear_faults()
    shop.faults({"path": COUPON_CODES.endpoint.path, "kind": "expired_cursor", "times": 1})

    report = sync(in_pages_of(2), shop, warehouse, concurrency=2)

    interrupted = query(warehouse, "SELECT records_read FROM _syncs WHERE outcome = 'failed'")[0][0]
    assert report.row.records_read + interrupted > report.row_count
    assert_frame_equal(table(warehouse, NAME), truth(shop, NAME))


@pytest.mark.long
def test_what_was_read_long_before_is_read_again(shop: SandboxProcess, warehouse: LocalFile) -> None:
    sync("coupons", shop, warehouse)
    shop.faults({"path": COUPON_CODES.endpoint.path, "kind": "503", "times": None, "after": 40})
    with pytest.raises(RequestFailed):
        sync(in_pages_of(2), shop, warehouse, max_retries=0, concurrency=2)
    shop.clear_faults()
    shop.advance(grouped_parents.RESUMED_WITHIN + timedelta(hours=1))

    report = sync(NAME, shop, warehouse)

    assert report.row.records_read == report.row_count


@pytest.mark.long
def test_an_empty_response_for_many_codes_marks_none(shop: SandboxProcess, warehouse: LocalFile) -> None:
    first_sync(shop, warehouse)
    for code in shop.truth(NAME):
        shop.change("delete", type=NAME, id=code["id"], parent=code["meta"]["coupon_id"])

    shop.advance(timedelta(days=8))

    report = sync(NAME, shop, warehouse)

    assert any("none was marked as deleted" in note for note in report.notes)
    assert sum(not deleted for _, deleted in statuses(warehouse).values()) > 50


@pytest.mark.long
def test_a_full_sync_accepts_an_empty_response_if_no_code_exists_by_its_id(shop: SandboxProcess, warehouse: LocalFile) -> None:
    first_sync(shop, warehouse)
    known = len(statuses(warehouse))
    returns_none = replace(COUPON_CODES, subsets=(Subset(filters=(equals("profile.id", "none"),)),))

    (note,) = sync(returns_none, shop, warehouse, SyncOptions(SyncMode.full)).notes

    assert "requested by id: the others were not marked as deleted" in note
    assert not any(deleted for _, deleted in statuses(warehouse).values())
    for code in shop.truth(NAME):
        shop.change("delete", type=NAME, id=code["id"], parent=code["meta"]["coupon_id"])
    assert sync(NAME, shop, warehouse, SyncOptions(SyncMode.full)).notes == ()
    assert sum(deleted for _, deleted in statuses(warehouse).values()) == known


@pytest.mark.long
def test_an_erasure_deletes_the_codes_of_a_profile(shop: SandboxProcess, warehouse: LocalFile) -> None:
    first_sync(shop, warehouse)
    id_ = code_with(shop, "USED")["id"]
    with warehouse.connection() as connection:
        connection.execute(f"UPDATE klaviyo.klaviyo.{NAME} SET profile_id = 'P1' WHERE id = '{id_}'")

    assert id_ in statuses(warehouse)
    Erasure(warehouse, "klaviyo").run(DataSubject(ids={"P1"}))

    assert id_ not in statuses(warehouse)

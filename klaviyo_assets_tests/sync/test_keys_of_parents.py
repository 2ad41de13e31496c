"""Child types whose parent's key is not called ``id``, or whose parent is a child type itself."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from klaviyo_assets.api.klaviyo_errors import KlaviyoError
from klaviyo_assets.catalog import CATALOG as KNOWN
from klaviyo_assets.catalog.columns import record_id
from klaviyo_assets.catalog.resource_type import Parent, ResourceType
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import query, sync
from klaviyo_assets_tests.outside_types import VOUCHER_CODES, VOUCHERS

VOUCHERS = replace(VOUCHERS, columns=(record_id("Klaviyo's id of the voucher.", name="voucher"), *VOUCHERS.columns[1:]), primary_key=("voucher",))
VOUCHER_CODES = replace(VOUCHER_CODES, parent=Parent(VOUCHERS, "/api/vouchers/{id}/voucher-codes", "voucher_id"))

_PATH = "/api/profiles/{id}/voucher-codes"


def codes_of(parent: ResourceType) -> ResourceType:
    endpoint = replace(VOUCHER_CODES.endpoint, path=_PATH)
    return replace(VOUCHER_CODES, name="member_codes", jsonapi_type="member-code", endpoint=endpoint, parent=Parent(parent, _PATH, "voucher_id"))


MEMBER_CODES = codes_of(KNOWN["list_members"])
CATALOG = KNOWN.with_(VOUCHERS, VOUCHER_CODES, MEMBER_CODES)

NewAccount = Callable[..., SandboxProcess]


@pytest.fixture
def shop(new_account: NewAccount) -> SandboxProcess:
    return new_account(profiles=30, events=30, lists=4, others=3, catalog=f"{__name__}:CATALOG")


@pytest.mark.long
def test_the_key_of_a_parent_may_have_any_name(shop: SandboxProcess, warehouse: LocalFile) -> None:
    sync(VOUCHERS, shop, warehouse)
    report = sync(VOUCHER_CODES, shop, warehouse)

    assert report.row.rows_inserted == len(shop.truth("voucher_codes")) > 0
    assert query(warehouse, "SELECT count(*) FROM voucher_codes WHERE voucher_id NOT IN (SELECT voucher FROM vouchers)") == [(0,)]


@pytest.mark.long
def test_a_child_type_may_be_a_parent(shop: SandboxProcess, warehouse: LocalFile) -> None:
    sync("lists", shop, warehouse)
    sync("list_members", shop, warehouse)
    report = sync(MEMBER_CODES, shop, warehouse)

    known = {id_ for (id_,) in query(warehouse, "SELECT DISTINCT profile_id FROM list_members")}
    assert report.row.rows_inserted == len(shop.truth("member_codes")) > 0
    # A profile on several lists is asked for once.
    assert query(warehouse, "SELECT count(*), count(DISTINCT parent) FROM _coverage WHERE resource_type = 'member_codes'") == [
        (len(known), len(known))
    ]


@pytest.mark.long
def test_rows_of_a_deleted_child_are_deleted_too(shop: SandboxProcess, warehouse: LocalFile) -> None:
    def sync_all() -> None:
        for entry in (KNOWN["lists"], KNOWN["list_members"], MEMBER_CODES):
            sync(entry, shop, warehouse)

    sync_all()
    ((gone, rows),) = query(warehouse, "SELECT voucher_id, count(*) FROM member_codes GROUP BY ALL ORDER BY ALL LIMIT 1")
    assert len(shop.change("add", type="member_codes", parent=gone)) == 1
    for (list_id,) in query(warehouse, f"SELECT list_id FROM list_members WHERE profile_id = '{gone}'"):
        shop.change("delete", type="list_members", id=gone, parent=list_id)

    sync_all()

    assert gone not in {one["meta"]["voucher_id"] for one in shop.truth("member_codes")}
    assert query(warehouse, "SELECT voucher_id, count(*) FROM member_codes WHERE _deleted_at IS NOT NULL GROUP BY ALL") == [(gone, rows)]


@pytest.mark.long
def test_a_failed_sync_of_the_parent_of_a_parent_is_noted(shop: SandboxProcess, warehouse: LocalFile) -> None:
    sync("lists", shop, warehouse)
    shop.faults({"path": "/api/lists", "kind": "503", "times": 1, "after": 1})
    with pytest.raises(KlaviyoError):
        sync("lists", shop, warehouse, max_retries=0)
    sync("list_members", shop, warehouse)

    (note,) = sync(MEMBER_CODES, shop, warehouse).notes

    assert note.startswith("The latest sync of lists has not succeeded: member_codes of lists that are newer than its last complete sync")

"""Child types whose parent's key is not called ``id``, or whose parent is a child type itself."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from klaviyo_assets.catalog import CATALOG as KNOWN
from klaviyo_assets.catalog.columns import record_id
from klaviyo_assets.catalog.resource_type import Parent, ResourceType
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import query, sync
from klaviyo_assets_tests.outside_types import COUPON_CODES, COUPONS

VOUCHERS = replace(COUPONS, columns=(record_id("Klaviyo's id of the coupon.", name="voucher"), *COUPONS.columns[1:]), primary_key=("voucher",))
VOUCHER_CODES = replace(COUPON_CODES, parent=Parent(VOUCHERS, "/api/coupons/{id}/coupon-codes", "coupon_id"))

_PATH = "/api/profiles/{id}/coupon-codes"


def codes_of(parent: ResourceType) -> ResourceType:
    endpoint = replace(COUPON_CODES.endpoint, path=_PATH)
    return replace(COUPON_CODES, name="member_codes", jsonapi_type="member-code", endpoint=endpoint, parent=Parent(parent, _PATH, "coupon_id"))


CATALOG = KNOWN.with_(VOUCHERS, VOUCHER_CODES, codes_of(KNOWN["profiles"]))
"""What the sandbox serves: codes of profiles. The tests read them as children of ``list_members``, which are profiles too."""

NewAccount = Callable[..., SandboxProcess]


@pytest.fixture
def shop(new_account: NewAccount) -> SandboxProcess:
    return new_account(profiles=30, events=30, lists=4, others=3, catalog=f"{__name__}:CATALOG")


def test_the_key_of_a_parent_may_have_any_name(shop: SandboxProcess, warehouse: LocalFile) -> None:
    sync(VOUCHERS, shop, warehouse)
    report = sync(VOUCHER_CODES, shop, warehouse)

    assert report.row.rows_inserted == len(shop.truth("coupon_codes")) > 0
    assert query(warehouse, "SELECT count(*) FROM coupon_codes WHERE coupon_id NOT IN (SELECT voucher FROM coupons)") == [(0,)]


def test_a_child_type_may_be_a_parent(shop: SandboxProcess, warehouse: LocalFile) -> None:
    members = KNOWN["list_members"]
    sync("lists", shop, warehouse)
    sync(members, shop, warehouse)
    report = sync(codes_of(members), shop, warehouse)

    known = {id_ for (id_,) in query(warehouse, "SELECT DISTINCT profile_id FROM list_members")}
    expected = [one for one in shop.truth("member_codes") if one["meta"]["coupon_id"] in known]
    assert report.row.rows_inserted == len(expected) > 0
    # A profile on several lists is asked for once.
    assert query(warehouse, "SELECT count(*), count(DISTINCT parent) FROM _coverage WHERE resource_type = 'member_codes'") == [
        (len(known), len(known))
    ]

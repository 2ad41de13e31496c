"""Coupon codes: the codes of each coupon, one row per code."""

from datetime import timedelta

from klaviyo_assets.catalog.columns import ColumnType, attribute, parent_id, record_id, to_one
from klaviyo_assets.catalog.endpoint import EQUALS, EQUALS_ANY, RANGE, TIER_XL, Endpoint, PageSize
from klaviyo_assets.catalog.parent_groups import ParentGroups
from klaviyo_assets.catalog.replication import PerParent
from klaviyo_assets.catalog.resource_type import Parent, ResourceType
from klaviyo_assets.catalog.types.coupons import COUPONS

_PATH = "/api/coupon-codes"

COUPON_CODES = ResourceType(
    name="coupon_codes",
    jsonapi_type="coupon-code",
    description="One row per code of a coupon, with its status.",
    scope="coupon-codes:read",
    docs_url="https://developers.klaviyo.com/en/reference/get_coupon_codes",
    endpoint=Endpoint(
        path=_PATH,
        limit=TIER_XL,
        lookup_limit=TIER_XL,
        page_size=PageSize(default=100, maximum=100),
        filters={"expires_at": RANGE, "status": EQUALS, "coupon.id": EQUALS_ANY, "profile.id": EQUALS_ANY},
        required_filter="coupon.id",
        includes=("coupon",),
    ),
    columns=(
        parent_id("coupon_id", "Klaviyo's id of the coupon."),
        record_id("Klaviyo's id of the code: the id of the coupon, a hyphen and the code. Both may have hyphens, so do not split it."),
        attribute("unique_code", ColumnType.STRING, "The code itself."),
        attribute("expires_at", ColumnType.TIMESTAMP, "When the code expires; a year after its creation by default."),
        attribute(
            "status",
            ColumnType.STRING,
            "Such as UNASSIGNED, ASSIGNED_TO_PROFILE or USED.",
            values=("ASSIGNED_TO_PROFILE", "DELETING", "PROCESSING", "UNASSIGNED", "USED", "VERSION_NOT_ACTIVE"),
        ),
        to_one("profile", "The profile that the code is assigned to, if Klaviyo sends its id. Recorded responses have only a link."),
    ),
    primary_key=("coupon_id", "id"),
    # 3,500 requests a minute instead of the 750 of /api/coupons/{id}/coupon-codes. A used code stays used. Klaviyo sets expires_at of every code.
    replication=PerParent(grouped=ParentGroups("status", final=("USED",), cut_by="expires_at", complete_after=timedelta(days=7))),
    parent=Parent(COUPONS, path=_PATH, column="coupon_id", relationship="coupon", filter="coupon.id"),
    subject_column="profile_id",
    opt_in=True,
    group="catalog",
)

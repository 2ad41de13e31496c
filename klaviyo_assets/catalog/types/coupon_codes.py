"""Coupon codes: the codes of each coupon, one row per code."""

from klaviyo_assets.catalog.columns import ColumnType, attribute, parent_id, record_id
from klaviyo_assets.catalog.endpoint import EQUALS, EQUALS_ANY, RANGE, TIER_L, Endpoint, PageSize
from klaviyo_assets.catalog.replication import PerParent
from klaviyo_assets.catalog.resource_type import Parent, ResourceType
from klaviyo_assets.catalog.types.coupons import COUPONS

_PATH = "/api/coupons/{id}/coupon-codes"

COUPON_CODES = ResourceType(
    name="coupon_codes",
    jsonapi_type="coupon-code",
    description="One row per code of a coupon, with its status.",
    scope="coupon-codes:read",
    docs_url="https://developers.klaviyo.com/en/reference/get_coupon_codes_for_coupon",
    endpoint=Endpoint(
        path=_PATH,
        limit=TIER_L,
        page_size=PageSize(default=100, maximum=100),
        filters={"expires_at": RANGE, "status": EQUALS, "coupon.id": EQUALS_ANY, "profile.id": EQUALS_ANY},
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
    ),
    primary_key=("coupon_id", "id"),
    replication=PerParent(),
    parent=Parent(COUPONS, _PATH, "coupon_id", relationship="coupon"),
    # Klaviyo lists no id of the profile that has a code, only a link (recorded).
    unmapped=(("relationships", "profile"),),
    opt_in=True,
    group="catalog",
)

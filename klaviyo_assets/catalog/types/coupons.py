"""Coupons: discounts with codes of their own, one row per coupon."""

from klaviyo_assets.catalog.columns import ColumnType, attribute, record_id
from klaviyo_assets.catalog.endpoint import TIER_L, Endpoint, PageSize
from klaviyo_assets.catalog.replication import FullTable
from klaviyo_assets.catalog.resource_type import ResourceType

COUPONS = ResourceType(
    name="coupons",
    jsonapi_type="coupon",
    description="One row per coupon: a discount for which Klaviyo gives each recipient a code of their own.",
    scope="coupons:read",
    docs_url="https://developers.klaviyo.com/en/reference/get_coupons",
    endpoint=Endpoint(path="/api/coupons", limit=TIER_L, lookup_limit=TIER_L, page_size=PageSize(default=100, maximum=100)),
    columns=(
        record_id("Klaviyo's id of the coupon: its external_id."),
        attribute("external_id", ColumnType.STRING, "Name of the coupon in the shop system, such as Shopify.", required=True),
        attribute("description", ColumnType.STRING, "What the coupon is for."),
        attribute("monitor_configuration", ColumnType.JSON, "When Klaviyo warns that few codes are left: its low_balance_threshold."),
    ),
    replication=FullTable(),
    read_in_seconds=True,
    group="catalog",
)

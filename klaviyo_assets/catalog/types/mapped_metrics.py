"""Mapped metrics: which of the account's metrics means revenue, a started checkout and so on; one row per meaning."""

from klaviyo_assets.catalog.columns import Column, ColumnType, attribute, to_one
from klaviyo_assets.catalog.endpoint import TIER_S, Endpoint, Include
from klaviyo_assets.catalog.replication import FullTable
from klaviyo_assets.catalog.resource_type import ResourceType

MEANINGS = ("added_to_cart", "cancelled_sales", "ordered_product", "refunded_sales", "revenue", "started_checkout", "viewed_product")
"""Ids of mapped metrics (``enum`` of the id in Klaviyo's schema); each account has all of them."""

MAPPED_METRICS = ResourceType(
    name="mapped_metrics",
    jsonapi_type="mapped-metric",
    description="One row per meaning (revenue, started_checkout, …): which metric or custom metric has it in this account.",
    scope="metrics:read",
    docs_url="https://developers.klaviyo.com/en/reference/get_mapped_metrics",
    endpoint=Endpoint(path="/api/mapped-metrics", limit=TIER_S, lookup_limit=TIER_S, includes=("metric", "custom-metric"), unpaged=True),
    columns=(
        Column("id", ColumnType.STRING, f"The meaning: {', '.join(MEANINGS[:-1])} or {MEANINGS[-1]}.", ("id",), values=MEANINGS),
        attribute(
            "updated",
            ColumnType.TIMESTAMP,
            "When the mapping was last changed; without a metric, when the row was read. A different time alone does not rewrite the row.",
            required=True,
            # Recorded: of meanings that were never mapped, it is the time of the response.
            volatile=True,
        ),
        to_one("metric", "Metric with this meaning; null if there is none or it is a custom metric."),
        to_one("custom-metric", "Custom metric with this meaning; null if there is none or it is a metric."),
    ),
    replication=FullTable(),
    # Only responses with the include are known to name the metrics; they have tables of their own, so only the id of each is requested.
    requested_includes=(Include("metric", fields={"metric": ("id",)}), Include("custom-metric", fields={"custom-metric": ("id",)})),
    group="reports",
    read_in_seconds=True,
)

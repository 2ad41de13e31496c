"""Metric aggregates: Klaviyo's own counts of events, by metric and day. They have no table; the audit compares them with the stored events.

Source: https://developers.klaviyo.com/en/reference/query_metric_aggregates .
"""

from datetime import timedelta

from klaviyo_assets.catalog.endpoint import TIER_S, Query

METRIC_AGGREGATES = Query(
    path="/api/metric-aggregates",
    jsonapi_type="metric-aggregate",
    scope="metrics:read",
    limit=TIER_S,
    longest_span=timedelta(days=365),
)

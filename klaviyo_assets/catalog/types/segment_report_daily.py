"""Segment reports: the size of each segment by day."""

from datetime import date, timedelta

from klaviyo_assets.catalog.endpoint import TIER_REPORTS, Endpoint
from klaviyo_assets.catalog.replication import Report, ReportWindows
from klaviyo_assets.catalog.report_columns import SEGMENT_STATISTICS, grouping, window_date
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.catalog.types.accounts import ACCOUNTS
from klaviyo_assets.catalog.types.segments import SEGMENTS

SEGMENT_REPORT_DAILY = ResourceType(
    name="segment_report_daily",
    jsonapi_type="segment-series-report",
    description="One row per segment and day, from June 2023 on, when Klaviyo's data begins: its members, and how many joined and left.",
    scope="segments:read",
    docs_url="https://developers.klaviyo.com/en/reference/query_segment_series",
    endpoint=Endpoint(path="/api/segment-series-reports", limit=TIER_REPORTS, unpaged=True),
    columns=(
        grouping("segment_id", "Klaviyo's id of the segment."),
        window_date("day", "Day, in the account's time zone."),
        *SEGMENT_STATISTICS,
    ),
    primary_key=("segment_id", "day"),
    replication=Report(
        ReportWindows.DAYS,
        "day",
        has_group_by=False,
        ids_filter="segment_id",
        not_before=date(2023, 6, 1),
        final_after=timedelta(days=30),
    ),
    also_reads=(ACCOUNTS,),
    access_shown_by=SEGMENTS,
    named_in_filter=SEGMENTS,
    group="reports",
    opt_in=True,
)

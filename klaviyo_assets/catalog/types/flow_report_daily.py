"""Flow reports by day of the send date."""

from klaviyo_assets.catalog.endpoint import TIER_REPORTS, Endpoint
from klaviyo_assets.catalog.replication import Report, ReportWindows
from klaviyo_assets.catalog.report_columns import CONVERSION_METRIC, MESSAGE_STATISTICS, window_date
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.catalog.types.accounts import ACCOUNTS
from klaviyo_assets.catalog.types.flow_report import FLOW_GROUPINGS
from klaviyo_assets.catalog.types.flows import FLOWS
from klaviyo_assets.catalog.types.mapped_metrics import MAPPED_METRICS

FLOW_REPORT_DAILY = ResourceType(
    name="flow_report_daily",
    jsonapi_type="flow-series-report",
    description="One row per message of a flow, variation, conversion metric and day of the send date, as Klaviyo's own screens show them.",
    scope="flows:read",
    docs_url="https://developers.klaviyo.com/en/reference/query_flow_series",
    endpoint=Endpoint(path="/api/flow-series-reports", limit=TIER_REPORTS, unpaged=True),
    columns=(
        *FLOW_GROUPINGS,
        window_date("day", "Day of the send date, in the account's time zone."),
        CONVERSION_METRIC,
        *MESSAGE_STATISTICS,
    ),
    primary_key=(*(column.name for column in FLOW_GROUPINGS), "day", "conversion_metric_id"),
    replication=Report(ReportWindows.DAYS, "day", by_conversion_metric=True),
    also_reads=(ACCOUNTS, MAPPED_METRICS),
    access_shown_by=FLOWS,
    group="reports",
    opt_in=True,
)

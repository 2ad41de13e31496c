"""Flow reports: the numbers of Klaviyo's own screens, per message, variation and year of the send date."""

from klaviyo_assets.catalog.endpoint import TIER_REPORTS, Endpoint
from klaviyo_assets.catalog.replication import Report, ReportWindows
from klaviyo_assets.catalog.report_columns import CONVERSION_METRIC, MESSAGE_STATISTICS, grouping, window_date
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.catalog.types.accounts import ACCOUNTS
from klaviyo_assets.catalog.types.flows import FLOWS
from klaviyo_assets.catalog.types.mapped_metrics import MAPPED_METRICS

FLOW_GROUPINGS = (
    grouping("flow_id", "Klaviyo's id of the flow; it may have been deleted since."),
    grouping("flow_name", "Name of the flow, also if it has been deleted."),
    grouping("flow_message_id", "Klaviyo's id of the message."),
    grouping("flow_message_name", "Name of the message, also if it has been deleted."),
    grouping("send_channel", "Channel: email, sms, push-notification or whatsapp."),
    grouping("variation", "Id of the A/B variation; empty without one."),
    grouping("variation_name", "Name of the A/B variation; empty without one."),
)

FLOW_REPORT = ResourceType(
    name="flow_report",
    jsonapi_type="flow-values-report",
    description=(
        "One row per message of a flow, variation, conversion metric and calendar year of the send date, as Klaviyo's own screens show them."
    ),
    scope="flows:read",
    docs_url="https://developers.klaviyo.com/en/reference/query_flow_values",
    endpoint=Endpoint(path="/api/flow-values-reports", limit=TIER_REPORTS, unpaged=True),
    columns=(
        *FLOW_GROUPINGS,
        window_date("window_start", "First day of the calendar year of the send date, in the account's time zone."),
        CONVERSION_METRIC,
        *MESSAGE_STATISTICS,
    ),
    primary_key=(*(column.name for column in FLOW_GROUPINGS), "window_start", "conversion_metric_id"),
    replication=Report(ReportWindows.YEARS, "window_start", by_conversion_metric=True),
    also_reads=(ACCOUNTS, MAPPED_METRICS),
    access_shown_by=FLOWS,
    group="reports",
    opt_in=True,
)

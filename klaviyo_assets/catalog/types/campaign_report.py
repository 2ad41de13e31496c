"""Campaign reports: the numbers of Klaviyo's own screens, per message, variation and year of the send date."""

from klaviyo_assets.catalog.endpoint import TIER_REPORTS, Endpoint
from klaviyo_assets.catalog.replication import Report, ReportWindows
from klaviyo_assets.catalog.report_columns import CONVERSION_METRIC, MESSAGE_STATISTICS, grouping, window_date
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.catalog.types.accounts import ACCOUNTS
from klaviyo_assets.catalog.types.campaigns import CAMPAIGNS
from klaviyo_assets.catalog.types.mapped_metrics import MAPPED_METRICS

CAMPAIGN_GROUPINGS = (
    grouping("campaign_id", "Klaviyo's id of the campaign; it may have been deleted since."),
    grouping("campaign_message_id", "Klaviyo's id of the message."),
    grouping("campaign_message_name", "Name of the message, also if it has been deleted."),
    grouping("send_channel", "Channel: email, sms, push-notification or whatsapp."),
    grouping("variation", "Id of the A/B variation; empty without one."),
    grouping("variation_name", "Name of the A/B variation; empty without one."),
)

CAMPAIGN_REPORT = ResourceType(
    name="campaign_report",
    jsonapi_type="campaign-values-report",
    description=(
        "One row per message of a campaign, variation, conversion metric and calendar year of the send date, as Klaviyo's own screens show them. "
        "Each campaign is in the year in which it was sent, with all that happened since."
    ),
    scope="campaigns:read",
    docs_url="https://developers.klaviyo.com/en/reference/query_campaign_values",
    endpoint=Endpoint(path="/api/campaign-values-reports", limit=TIER_REPORTS, unpaged=True),
    columns=(
        *CAMPAIGN_GROUPINGS,
        window_date("window_start", "First day of the calendar year of the send date, in the account's time zone."),
        CONVERSION_METRIC,
        *MESSAGE_STATISTICS,
    ),
    primary_key=(*(column.name for column in CAMPAIGN_GROUPINGS), "window_start", "conversion_metric_id"),
    replication=Report(ReportWindows.YEARS, "window_start", by_conversion_metric=True),
    also_reads=(ACCOUNTS, MAPPED_METRICS),
    access_shown_by=CAMPAIGNS,
    group="reports",
    opt_in=True,
)

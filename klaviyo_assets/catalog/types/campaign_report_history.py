"""How the numbers of recent campaigns matured: the campaign report of the last 30 days, once a day."""

from dataclasses import replace

from klaviyo_assets.catalog.replication import Report, ReportWindows
from klaviyo_assets.catalog.report_columns import CONVERSION_METRIC, MESSAGE_STATISTICS, window_date
from klaviyo_assets.catalog.types.campaign_report import CAMPAIGN_GROUPINGS, CAMPAIGN_REPORT

CAMPAIGN_REPORT_HISTORY = replace(
    CAMPAIGN_REPORT,
    name="campaign_report_history",
    description=(
        "One row per day of observation, message of a campaign sent in the 30 days before, variation and conversion metric: how opens, clicks and "
        "revenue of a campaign grew. A day on which no sync ran has no rows, and cannot be read later."
    ),
    columns=(
        *CAMPAIGN_GROUPINGS,
        window_date("observed_on", "Day on which the numbers were read, in the account's time zone."),
        CONVERSION_METRIC,
        *MESSAGE_STATISTICS,
    ),
    primary_key=(*(column.name for column in CAMPAIGN_GROUPINGS), "observed_on", "conversion_metric_id"),
    replication=Report(ReportWindows.OBSERVED, "observed_on", by_conversion_metric=True),
)

"""Form reports by day: views, submissions and closes of each version of each form."""

from datetime import timedelta

from klaviyo_assets.catalog.endpoint import TIER_REPORTS, Endpoint
from klaviyo_assets.catalog.replication import Report, ReportWindows
from klaviyo_assets.catalog.report_columns import FORM_STATISTICS, grouping, window_date
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.catalog.types.accounts import ACCOUNTS
from klaviyo_assets.catalog.types.forms import FORMS

FORM_REPORT_DAILY = ResourceType(
    name="form_report_daily",
    jsonapi_type="form-series-report",
    description="One row per version of a form and day, as Klaviyo's own screens show them: views, submissions, closes.",
    scope="forms:read",
    docs_url="https://developers.klaviyo.com/en/reference/query_form_series",
    endpoint=Endpoint(path="/api/form-series-reports", limit=TIER_REPORTS, unpaged=True),
    columns=(
        grouping("form_id", "Klaviyo's id of the form; it may have been deleted since."),
        grouping("form_version_id", "Klaviyo's id of the form's version."),
        window_date("day", "Day, in the account's time zone."),
        *FORM_STATISTICS,
    ),
    primary_key=("form_id", "form_version_id", "day"),
    replication=Report(ReportWindows.DAYS, "day", final_after=timedelta(days=30)),
    also_reads=(ACCOUNTS,),
    access_shown_by=FORMS,
    group="reports",
    opt_in=True,
)

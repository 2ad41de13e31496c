"""Tracking settings: the UTM parameters that the account adds to links; one row."""

from klaviyo_assets.catalog.columns import ColumnType, attribute, record_id
from klaviyo_assets.catalog.endpoint import TIER_M, Endpoint, PageSize
from klaviyo_assets.catalog.replication import FullTable
from klaviyo_assets.catalog.resource_type import ResourceType

_FOR_FLOWS_AND_CAMPAIGNS = "for flows and for campaigns: static text, or a dynamic value such as campaign_name"

TRACKING_SETTINGS = ResourceType(
    name="tracking_settings",
    jsonapi_type="tracking-setting",
    description="One row: the UTM and other tracking parameters that the account adds to links in messages.",
    scope="tracking-settings:read",
    docs_url="https://developers.klaviyo.com/en/reference/get_tracking_settings",
    endpoint=Endpoint(path="/api/tracking-settings", limit=TIER_M, lookup_limit=TIER_M, page_size=PageSize(default=1, maximum=1)),
    columns=(
        record_id("Klaviyo's id of the account."),
        attribute("auto_add_parameters", ColumnType.BOOLEAN, "Whether the parameters are added to all campaigns and flows.", required=True),
        attribute("utm_source", ColumnType.JSON, f"Value of utm_source {_FOR_FLOWS_AND_CAMPAIGNS}.", required=True),
        attribute("utm_medium", ColumnType.JSON, f"Value of utm_medium {_FOR_FLOWS_AND_CAMPAIGNS}.", required=True),
        attribute("utm_campaign", ColumnType.JSON, f"Value of utm_campaign {_FOR_FLOWS_AND_CAMPAIGNS}; null if it is not added."),
        attribute("utm_id", ColumnType.JSON, f"Value of utm_id {_FOR_FLOWS_AND_CAMPAIGNS}; null if it is not added."),
        attribute("utm_term", ColumnType.JSON, f"Value of utm_term {_FOR_FLOWS_AND_CAMPAIGNS}; null if it is not added."),
        attribute("custom_parameters", ColumnType.JSON, "Other parameters: an array of objects with a name and the values for flows and campaigns."),
    ),
    replication=FullTable(),
    single_record=True,
    read_in_seconds=True,
    opt_in=True,
)

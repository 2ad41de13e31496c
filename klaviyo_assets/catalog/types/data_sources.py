"""Data sources: where the records of custom objects come from, one row per source."""

from klaviyo_assets.catalog.columns import ColumnType, attribute, record_id
from klaviyo_assets.catalog.endpoint import TIER_S, Endpoint, PageSize
from klaviyo_assets.catalog.replication import FullTable
from klaviyo_assets.catalog.resource_type import ResourceType

DATA_SOURCES = ResourceType(
    name="data_sources",
    jsonapi_type="data-source",
    description="One row per data source: an origin from which records of custom objects are sent to Klaviyo.",
    scope="custom-objects:read",
    docs_url="https://developers.klaviyo.com/en/reference/get_data_sources",
    endpoint=Endpoint(path="/api/data-sources", limit=TIER_S, lookup_limit=TIER_S, page_size=PageSize(default=20, maximum=100)),
    columns=(
        record_id("Klaviyo's id of the data source."),
        attribute("title", ColumnType.STRING, "Name of the data source.", required=True),
        attribute(
            "visibility",
            ColumnType.STRING,
            "Who can use it: private (the app that created it) or shared.",
            required=True,
            values=("private", "shared"),
        ),
        attribute("description", ColumnType.STRING, "Description of the data source; empty if there is none.", required=True),
        attribute("namespace", ColumnType.STRING, "Part of the account's custom objects that it belongs to, such as custom-objects.", required=True),
    ),
    replication=FullTable(),
    group="catalog",
    read_in_seconds=True,
    opt_in=True,
)

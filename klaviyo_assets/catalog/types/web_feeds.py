"""Web feeds: external content for e-mails, one row per feed."""

from klaviyo_assets.catalog.columns import ColumnType, attribute, record_id
from klaviyo_assets.catalog.endpoint import CONTAINS, EQUALS_ANY, RANGE, TIER_XS, Endpoint, PageSize
from klaviyo_assets.catalog.replication import FullTable
from klaviyo_assets.catalog.resource_type import ResourceType

WEB_FEEDS = ResourceType(
    name="web_feeds",
    jsonapi_type="web-feed",
    description="One row per web feed: a JSON or XML document that Klaviyo loads for use in e-mails.",
    scope="web-feeds:read",
    docs_url="https://developers.klaviyo.com/en/reference/get_web_feeds",
    endpoint=Endpoint(
        path="/api/web-feeds",
        limit=TIER_XS,
        lookup_limit=TIER_XS,
        page_size=PageSize(default=5, maximum=20),
        filters={"name": EQUALS_ANY | CONTAINS, "created": RANGE, "updated": RANGE},
        sorts=("created", "name", "updated"),
    ),
    columns=(
        record_id("Klaviyo's id of the feed."),
        attribute("name", ColumnType.STRING, "Name by which templates use the feed.", required=True),
        attribute("url", ColumnType.STRING, "Where Klaviyo loads the feed.", required=True),
        attribute("request_method", ColumnType.STRING, "HTTP method of the request.", required=True, values=("get", "post")),
        attribute("content_type", ColumnType.STRING, "Format of the feed.", required=True, values=("json", "xml")),
        attribute("created", ColumnType.TIMESTAMP, "When the feed was created.", required=True),
        attribute("updated", ColumnType.TIMESTAMP, "When the feed was last changed.", required=True),
        attribute(
            "status",
            ColumnType.STRING,
            "State of Klaviyo's copy of the feed: ok, refreshing, disabled, or which refresh took too long; null if there is no copy.",
            values=(
                "critical_nightly_refresh_timeout",
                "disabled",
                "ok",
                "refreshing",
                "warning_nightly_refresh_timeout",
                "warning_periodic_refresh_timeout",
            ),
        ),
    ),
    # The endpoint cannot sort by id. By name, a feed that is renamed during a read could be missed. Recorded cursors by created hold nothing else,
    # to the second, so a page may skip a feed that was created in the same second as the last one of the page before.
    replication=FullTable(order="created"),
    version_column="updated",
    read_in_seconds=True,
    opt_in=True,
    group="messages",
)

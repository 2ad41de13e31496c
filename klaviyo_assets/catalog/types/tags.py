"""Tags: the labels of campaigns, flows, lists and segments, one row per tag."""

from klaviyo_assets.catalog.columns import ColumnType, attribute, record_id, to_one
from klaviyo_assets.catalog.endpoint import TEXT, TIER_S, Endpoint, Include, PageSize
from klaviyo_assets.catalog.replication import FullTable
from klaviyo_assets.catalog.resource_type import ResourceType

TAGS = ResourceType(
    name="tags",
    jsonapi_type="tag",
    description="One row per tag. Campaigns, flows, lists and segments name their tags in their column tag_ids.",
    scope="tags:read",
    docs_url="https://developers.klaviyo.com/en/reference/get_tags",
    endpoint=Endpoint(
        path="/api/tags",
        limit=TIER_S,
        lookup_limit=TIER_S,
        page_size=PageSize(default=50, maximum=50),
        filters={"name": TEXT},
        sorts=("id", "name"),
        includes=("tag-group",),
    ),
    columns=(
        record_id("Klaviyo's id of the tag."),
        attribute("name", ColumnType.STRING, "Name of the tag.", required=True),
        to_one("tag-group", "The tag group that the tag is in."),
    ),
    replication=FullTable(),
    # Klaviyo sends the id of the group only if the group is included.
    requested_includes=(Include("tag-group", fields={"tag-group": ("id",)}),),
    # Klaviyo sends only links for them; the tagged records name their tags.
    unmapped=tuple(("relationships", name) for name in ("campaigns", "flows", "lists", "segments")),
    read_in_seconds=True,
    group="messages",
)

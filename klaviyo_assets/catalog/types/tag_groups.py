"""Tag groups: what tags are sorted into, one row per group."""

from klaviyo_assets.catalog.columns import Column, ColumnType, attribute, record_id
from klaviyo_assets.catalog.endpoint import EQUALS, TEXT, TIER_S, Endpoint, PageSize
from klaviyo_assets.catalog.replication import FullTable
from klaviyo_assets.catalog.resource_type import ResourceType

TAG_GROUPS = ResourceType(
    name="tag_groups",
    jsonapi_type="tag-group",
    description="One row per tag group. Each tag is in one group; every account has a default group.",
    scope="tags:read",
    docs_url="https://developers.klaviyo.com/en/reference/get_tag_groups",
    endpoint=Endpoint(
        path="/api/tag-groups",
        limit=TIER_S,
        lookup_limit=TIER_S,
        page_size=PageSize(default=25, maximum=25),
        filters={"name": TEXT, "exclusive": EQUALS, "default": EQUALS},
        sorts=("id", "name"),
    ),
    columns=(
        record_id("Klaviyo's id of the tag group."),
        attribute("name", ColumnType.STRING, "Name of the tag group.", required=True),
        attribute(
            "exclusive",
            ColumnType.BOOLEAN,
            "True if a campaign, flow, list or segment can have only one tag of the group, so that the tags divide them without overlap.",
            required=True,
        ),
        # DEFAULT is a reserved word of SQL.
        Column(
            "is_default",
            ColumnType.BOOLEAN,
            "Whether it is the account's default group, of which there is exactly one.",
            ("attributes", "default"),
            required=True,
        ),
    ),
    replication=FullTable(),
    # Klaviyo sends only links for them, even if they are requested; each tag has its group in tags.tag_group_id.
    unmapped=(("relationships", "tags"),),
    read_in_seconds=True,
    group="messages",
)

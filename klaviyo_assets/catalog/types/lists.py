"""Lists: static audiences, one row per list."""

from klaviyo_assets.catalog.columns import ColumnType, attribute, record_id, to_many
from klaviyo_assets.catalog.endpoint import EQUALS_ANY, GREATER_ONLY, TIER_L, TIER_XS, Endpoint, PageSize, ReducedLimit
from klaviyo_assets.catalog.includes import WITH_FLOW_TRIGGERS, WITH_TAGS
from klaviyo_assets.catalog.replication import FullTable
from klaviyo_assets.catalog.resource_type import ResourceType

LISTS = ResourceType(
    name="lists",
    jsonapi_type="list",
    description="One row per list: an audience that people join and leave.",
    scope="lists:read",
    docs_url="https://developers.klaviyo.com/en/reference/get_lists",
    endpoint=Endpoint(
        path="/api/lists",
        limit=TIER_L,
        lookup_limit=TIER_L,
        page_size=PageSize(default=10, maximum=10),
        filters={"name": EQUALS_ANY, "id": EQUALS_ANY, "created": GREATER_ONLY, "updated": GREATER_ONLY},
        sorts=("created", "id", "name", "updated"),
        includes=("flow-triggers", "tags"),
        # The count of members, which is requested for list_members only.
        reduced_limits=(ReducedLimit("additional-fields[list]", "profile_count", TIER_XS),),
    ),
    columns=(
        record_id("Klaviyo's id of the list."),
        attribute("name", ColumnType.STRING, "Name of the list."),
        attribute("created", ColumnType.TIMESTAMP, "When the list was created."),
        attribute("updated", ColumnType.TIMESTAMP, "When the list was last changed."),
        attribute("opt_in_process", ColumnType.STRING, "How people join: single_opt_in or double_opt_in.", values=("double_opt_in", "single_opt_in")),
        to_many("tags", "tag_ids", "Tags of the list; null if Klaviyo does not list them."),
        to_many("flow-triggers", "flow_trigger_ids", "Flows that the list triggers; null if Klaviyo does not list them."),
    ),
    replication=FullTable(),
    requested_includes=(WITH_TAGS, WITH_FLOW_TRIGGERS),
    unmapped=(("attributes", "profile_count"), ("relationships", "profiles")),
    version_column="updated",
    read_in_seconds=True,
)

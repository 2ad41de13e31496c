"""Segments: rule-based audiences, one row per segment."""

from klaviyo_assets.catalog.columns import ColumnType, attribute, record_id, to_many
from klaviyo_assets.catalog.endpoint import EQUALS, EQUALS_ANY, GREATER_ONLY, TIER_L, TIER_XS, Endpoint, PageSize, ReducedLimit
from klaviyo_assets.catalog.includes import WITH_FLOW_TRIGGERS, WITH_TAGS
from klaviyo_assets.catalog.replication import FullTable
from klaviyo_assets.catalog.resource_type import ResourceType

SEGMENTS = ResourceType(
    name="segments",
    jsonapi_type="segment",
    description="One row per segment: an audience that Klaviyo computes from a definition. Inactive segments are included.",
    scope="segments:read",
    docs_url="https://developers.klaviyo.com/en/reference/get_segments",
    endpoint=Endpoint(
        path="/api/segments",
        limit=TIER_L,
        lookup_limit=TIER_L,
        page_size=PageSize(default=10, maximum=10),
        filters={
            "name": EQUALS_ANY,
            "id": EQUALS_ANY,
            "created": GREATER_ONLY,
            "updated": GREATER_ONLY,
            "is_active": EQUALS_ANY,
            "is_starred": EQUALS,
        },
        sorts=("created", "id", "name", "updated"),
        includes=("flow-triggers", "tags"),
        reduced_limits=(ReducedLimit("additional-fields[segment]", "profile_count", TIER_XS),),
    ),
    columns=(
        record_id("Klaviyo's id of the segment."),
        attribute("name", ColumnType.STRING, "Name of the segment."),
        attribute("definition", ColumnType.JSON, "Membership conditions, as Klaviyo sent them."),
        attribute("created", ColumnType.TIMESTAMP, "When the segment was created."),
        attribute("updated", ColumnType.TIMESTAMP, "When the segment was last changed."),
        attribute("is_active", ColumnType.BOOLEAN, "Whether Klaviyo updates its membership.", required=True),
        attribute("is_processing", ColumnType.BOOLEAN, "Whether Klaviyo is currently computing its membership.", required=True),
        attribute("is_starred", ColumnType.BOOLEAN, "Whether the segment is starred.", required=True),
        to_many("tags", "tag_ids", "Tags of the segment; null if Klaviyo does not list them."),
        to_many("flow-triggers", "flow_trigger_ids", "Flows that the segment triggers; null if Klaviyo does not list them."),
    ),
    replication=FullTable(),
    requested_includes=(WITH_TAGS, WITH_FLOW_TRIGGERS),
    unmapped=(("attributes", "profile_count"), ("relationships", "profiles")),
    version_column="updated",
    read_in_seconds=True,
)

"""Members of segments: which profile is or was in which segment, one row per membership."""

from klaviyo_assets.catalog.columns import ColumnType, attribute, parent_id, record_id, removal
from klaviyo_assets.catalog.endpoint import EQUALS, EQUALS_ANY, RANGE, TIER_L, Endpoint, PageSize
from klaviyo_assets.catalog.replication import CountCheck, PerParent
from klaviyo_assets.catalog.resource_type import Parent, ResourceType
from klaviyo_assets.catalog.types.segments import SEGMENTS

_PATH = "/api/segments/{id}/profiles"

SEGMENT_MEMBERS = ResourceType(
    name="segment_members",
    jsonapi_type="profile",
    description="One row per membership of a profile in a segment. `_deleted_at` is null for current members; "
    "profiles that left also have `removed_at`.",
    scope="segments:read",
    more_scopes=("profiles:read",),
    docs_url="https://developers.klaviyo.com/en/reference/get_profiles_for_segment",
    endpoint=Endpoint(
        path=_PATH,
        limit=TIER_L,
        page_size=PageSize(default=20, maximum=100),
        filters={
            "profile_id": EQUALS_ANY,
            "email": EQUALS_ANY,
            "phone_number": EQUALS_ANY,
            "push_token": EQUALS_ANY,
            "_kx": EQUALS,
            "joined_group_at": RANGE,
        },
        sorts=("joined_group_at",),
        additional_fields=("subscriptions", "predictive_analytics"),
    ),
    columns=(
        parent_id("segment_id", "Klaviyo's id of the segment."),
        record_id("Klaviyo's id of the profile.", name="profile_id"),
        attribute(
            "joined_group_at",
            ColumnType.TIMESTAMP,
            "When the profile joined the segment; the latest time if it joined more than once.",
            required=True,
        ),
        removal(
            "removed_at",
            "When a sync found that the profile had left the segment, which may have happened at any time since the segment's previous verification; "
            "null for a current member, and if the segment itself was deleted.",
        ),
    ),
    primary_key=("segment_id", "profile_id"),
    replication=PerParent(
        "joined_group_at",
        count_check=CountCheck(
            attribute="profile_count", removed_column="removed_at", records="profiles", paused_while="is_processing", active_while="is_active"
        ),
    ),
    parent=Parent(SEGMENTS, path=_PATH, column="segment_id"),
    unmapped=tuple(("relationships", name) for name in ("conversation", "lists", "push-tokens", "segments")),
    # The profile's other attributes are in the table profiles.
    only_fields=("joined_group_at",),
    subject_column="profile_id",
    opt_in=True,
    group="audiences",
)

"""Members of lists: which profile is or was on which list, one row per membership."""

from klaviyo_assets.catalog.columns import ColumnType, attribute, parent_id, record_id, removal
from klaviyo_assets.catalog.endpoint import EQUALS, EQUALS_ANY, RANGE, TIER_L, TIER_M, Endpoint, PageSize, ReducedLimit
from klaviyo_assets.catalog.replication import CountCheck, PerParent
from klaviyo_assets.catalog.resource_type import Parent, ResourceType
from klaviyo_assets.catalog.types.lists import LISTS

_PATH = "/api/lists/{id}/profiles"

LIST_MEMBERS = ResourceType(
    name="list_members",
    jsonapi_type="profile",
    description="One row per membership of a profile in a list. `_deleted_at` is null for current members; "
    "profiles that left also have `removed_at`.",
    scope="lists:read",
    more_scopes=("profiles:read",),
    docs_url="https://developers.klaviyo.com/en/reference/get_profiles_for_list",
    endpoint=Endpoint(
        path=_PATH,
        limit=TIER_L,
        page_size=PageSize(default=20, maximum=100),
        filters={"email": EQUALS_ANY, "phone_number": EQUALS_ANY, "push_token": EQUALS_ANY, "_kx": EQUALS, "joined_group_at": RANGE},
        sorts=("joined_group_at",),
        additional_fields=("subscriptions", "predictive_analytics"),
        # Part of the endpoint's contract; no sync requests that field here.
        reduced_limits=(ReducedLimit("additional-fields[profile]", "predictive_analytics", TIER_M, lookup=False),),
    ),
    columns=(
        parent_id("list_id", "Klaviyo's id of the list."),
        record_id("Klaviyo's id of the profile.", name="profile_id"),
        attribute(
            "joined_group_at", ColumnType.TIMESTAMP, "When the profile joined the list; the latest time if it joined more than once.", required=True
        ),
        removal(
            "removed_at",
            "When a sync found that the profile had left the list, which may have happened at any time since the list's previous verification; "
            "null for a current member, and if the list itself was deleted.",
        ),
    ),
    primary_key=("list_id", "profile_id"),
    replication=PerParent(
        field="joined_group_at", count_check=CountCheck(attribute="profile_count", removed_column="removed_at", records="profiles")
    ),
    parent=Parent(LISTS, path=_PATH, column="list_id"),
    unmapped=tuple(("relationships", name) for name in ("conversation", "lists", "push-tokens", "segments")),
    # The profile's other attributes are in the table profiles.
    only_fields=("joined_group_at",),
    subject_column="profile_id",
    opt_in=True,
    group="audiences",
)

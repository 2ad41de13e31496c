"""Resource types from outside the package, as a user would add them: one without a parent, and two kinds of child types."""

from klaviyo_assets.catalog import CATALOG as KNOWN
from klaviyo_assets.catalog.columns import ColumnType, attribute, parent_id, record_id, to_one
from klaviyo_assets.catalog.endpoint import EQUALS, EQUALS_ANY, RANGE, TIER_L, TIER_M, Endpoint, PageSize
from klaviyo_assets.catalog.replication import FullTable, PerParent
from klaviyo_assets.catalog.resource_type import Parent, ResourceType

VOUCHERS = ResourceType(
    name="vouchers",
    jsonapi_type="voucher",
    description="One row per voucher.",
    scope="vouchers:read",
    docs_url="https://developers.klaviyo.com/en/reference/get_vouchers",
    endpoint=Endpoint(path="/api/vouchers", limit=TIER_L, lookup_limit=TIER_L, page_size=PageSize(default=20, maximum=100)),
    columns=(
        record_id("Klaviyo's id of the voucher."),
        attribute("external_id", ColumnType.STRING, "Name of the voucher."),
        attribute("description", ColumnType.STRING, "What it is for."),
        attribute("monitor_configuration", ColumnType.JSON, "When to warn that few codes are left."),
        to_one("flow-trigger", "A relationship to one record of a type that the sandbox does not have."),
    ),
    replication=FullTable(),
)

SEGMENT_PEOPLE = ResourceType(
    name="segment_people",
    jsonapi_type="profile",
    primary_key=("segment_id", "profile_id"),
    description="One row per profile in a segment.",
    scope="segments:read",
    more_scopes=("profiles:read",),
    docs_url="https://developers.klaviyo.com/en/reference/get_profiles_for_segment",
    endpoint=Endpoint(
        path="/api/segments/{id}/people",
        limit=TIER_L,
        page_size=PageSize(default=20, maximum=100),
        filters={"email": EQUALS_ANY, "joined_group_at": RANGE},
        sorts=("joined_group_at",),
        additional_fields=("subscriptions",),
    ),
    columns=(
        parent_id("segment_id", "Id of the segment."),
        record_id("Id of the profile.", name="profile_id"),
        attribute("joined_group_at", ColumnType.TIMESTAMP, "When the profile joined the segment."),
    ),
    replication=PerParent(),
    only_fields=("joined_group_at",),
    parent=Parent(KNOWN["segments"], "/api/segments/{id}/people", "segment_id"),
)

VOUCHER_CODES = ResourceType(
    name="voucher_codes",
    jsonapi_type="voucher-code",
    primary_key=("voucher_id", "code_id"),
    description="One row per code of a voucher.",
    scope="voucher-codes:read",
    docs_url="https://developers.klaviyo.com/en/reference/get_voucher_codes_for_voucher",
    endpoint=Endpoint(
        path="/api/vouchers/{id}/voucher-codes",
        limit=TIER_M,
        page_size=PageSize(default=20, maximum=100),
        filters={"status": EQUALS, "expires_at": RANGE},
    ),
    columns=(
        parent_id("voucher_id", "Id of the voucher."),
        record_id("Klaviyo's id of the code.", name="code_id"),
        attribute("unique_code", ColumnType.STRING, "The code itself."),
        attribute("expires_at", ColumnType.TIMESTAMP, "When it ends."),
        attribute("status", ColumnType.STRING, "State of the code.", values=("ASSIGNED_TO_PROFILE", "UNASSIGNED", "USED")),
    ),
    replication=PerParent(),
    parent=Parent(VOUCHERS, "/api/vouchers/{id}/voucher-codes", "voucher_id"),
)

CATALOG = KNOWN.with_(VOUCHER_CODES, VOUCHERS, SEGMENT_PEOPLE)
NAME = f"{__name__}:CATALOG"
"""Value of the sandbox's option ``--catalog``."""

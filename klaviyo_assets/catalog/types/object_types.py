"""Object types: the account's custom objects, one row per type. Its records are in the table object_records."""

from klaviyo_assets.catalog.columns import ColumnType, attribute, record_id, to_one
from klaviyo_assets.catalog.endpoint import EQUALS, TIER_S, Endpoint, Include
from klaviyo_assets.catalog.replication import FullTable
from klaviyo_assets.catalog.resource_type import ResourceType

_ONLY_IDS = {"object-schema": ("id",)}

OBJECT_TYPES = ResourceType(
    name="object_types",
    jsonapi_type="object-type",
    description="One row per type of custom object, such as subscriptions or pets.",
    scope="custom-objects:read",
    docs_url="https://developers.klaviyo.com/en/reference/get_object_types",
    endpoint=Endpoint(
        path="/api/object-types",
        limit=TIER_S,
        lookup_limit=TIER_S,
        filters={"namespace": EQUALS},
        includes=("current-schema", "draft-schema"),
        unpaged=True,
    ),
    columns=(
        record_id("Klaviyo's id of the object type."),
        attribute("title", ColumnType.STRING, "Name of the object type.", required=True),
        attribute("description", ColumnType.STRING, "Description of the object type; empty if there is none.", required=True),
        attribute(
            "status",
            ColumnType.STRING,
            "State of its schema: draft, publishing, active or undefined.",
            required=True,
            values=("active", "draft", "publishing", "undefined"),
        ),
        attribute(
            "namespace",
            ColumnType.STRING,
            "Owner of the object type: custom-objects for the account itself, applications/ and an id for an app.",
            required=True,
        ),
        attribute("created_at", ColumnType.TIMESTAMP, "When the object type was created.", required=True),
        attribute("updated_at", ColumnType.TIMESTAMP, "When the object type was last changed.", required=True),
        to_one("current-schema", "Schema that is in use; null if none is published."),
        to_one("draft-schema", "Schema that is being edited; null if there is none."),
    ),
    replication=FullTable(),
    # Without the include, Klaviyo returns only links. The schemas have no table.
    requested_includes=(Include("current-schema", fields=_ONLY_IDS), Include("draft-schema", fields=_ONLY_IDS)),
    # Relationships that the API includes only in the look-up of one object type.
    unmapped=(("relationships", "schema-versions"), ("relationships", "object-types"), ("relationships", "profile-object-types")),
    version_column="updated_at",
    group="catalog",
    read_in_seconds=True,
    opt_in=True,
)

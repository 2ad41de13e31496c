"""Object records: the records of the account's custom objects, one row per record."""

from klaviyo_assets.catalog.columns import ColumnType, attribute, parent_id, record_id
from klaviyo_assets.catalog.endpoint import TIER_S, Endpoint, PageSize
from klaviyo_assets.catalog.replication import PerParent
from klaviyo_assets.catalog.resource_type import Parent, ResourceType
from klaviyo_assets.catalog.types.object_types import OBJECT_TYPES

_PATH = "/api/object-types/{id}/object-records"

OBJECT_RECORDS = ResourceType(
    name="object_records",
    jsonapi_type="object-record",
    description="One row per record of a custom object.",
    scope="custom-objects:read",
    docs_url="https://developers.klaviyo.com/en/reference/get_records_for_object_type",
    endpoint=Endpoint(path=_PATH, limit=TIER_S, page_size=PageSize(default=20, maximum=100)),
    columns=(
        parent_id("object_type_id", "Klaviyo's id of the object type."),
        record_id("Klaviyo's id of the record: that of the object type, three colons, and the id in the source."),
        attribute("record_properties", ColumnType.JSON, "Properties of the record, as Klaviyo sent them.", personal=True, required=True),
    ),
    primary_key=("object_type_id", "id"),
    replication=PerParent(),
    parent=Parent(OBJECT_TYPES, path=_PATH, column="object_type_id"),
    opt_in=True,
    group="catalog",
)

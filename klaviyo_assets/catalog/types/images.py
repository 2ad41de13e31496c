"""Images: the pictures in the account's image library, one row per image."""

from klaviyo_assets.catalog.columns import ColumnType, attribute, record_id
from klaviyo_assets.catalog.endpoint import EQUALS_ANY, RANGE, TEXT, TIER_M, Endpoint, PageSize
from klaviyo_assets.catalog.replication import FullTable
from klaviyo_assets.catalog.resource_type import ResourceType

IMAGES = ResourceType(
    name="images",
    jsonapi_type="image",
    description="One row per image in the account's image library, hidden ones included.",
    scope="images:read",
    docs_url="https://developers.klaviyo.com/en/reference/get_images",
    endpoint=Endpoint(
        path="/api/images",
        limit=TIER_M,
        lookup_limit=TIER_M,
        page_size=PageSize(default=20, maximum=100),
        filters={
            "id": EQUALS_ANY,
            "updated_at": RANGE,
            "format": EQUALS_ANY,
            "name": TEXT | EQUALS_ANY,
            "size": RANGE,
            "hidden": EQUALS_ANY,
        },
        sorts=("format", "id", "name", "size", "updated_at"),
    ),
    columns=(
        record_id("Klaviyo's id of the image."),
        attribute("name", ColumnType.STRING, "Name of the image.", required=True),
        attribute("image_url", ColumnType.STRING, "Where the image can be loaded.", required=True),
        attribute("format", ColumnType.STRING, "Format of the file, such as jpeg, png or gif.", required=True),
        attribute("size", ColumnType.INTEGER, "Size of the file in bytes.", required=True),
        attribute("hidden", ColumnType.BOOLEAN, "Whether the image is hidden in Klaviyo's image library.", required=True),
        attribute("updated_at", ColumnType.TIMESTAMP, "When the image was last changed.", required=True),
    ),
    # Its only time changes, so a sync cannot read the history by it; a complete read takes one request per hundred images.
    replication=FullTable(),
    version_column="updated_at",
    opt_in=True,
    group="messages",
)

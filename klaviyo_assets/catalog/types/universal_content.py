"""Universal content: blocks that several templates share, one row per block."""

from klaviyo_assets.catalog.columns import ColumnType, attribute, record_id
from klaviyo_assets.catalog.endpoint import EQUALS, EQUALS_ANY, RANGE, TIER_L, Endpoint, PageSize
from klaviyo_assets.catalog.replication import FullTable
from klaviyo_assets.catalog.resource_type import ResourceType

UNIVERSAL_CONTENT = ResourceType(
    name="universal_content",
    jsonapi_type="template-universal-content",
    description="One row per block of universal content: a part that several e-mail templates share, such as a header.",
    scope="templates:read",
    docs_url="https://developers.klaviyo.com/en/reference/get_all_universal_content",
    endpoint=Endpoint(
        path="/api/template-universal-content",
        limit=TIER_L,
        lookup_limit=TIER_L,
        page_size=PageSize(default=20, maximum=100),
        filters={
            "id": EQUALS_ANY,
            "name": EQUALS_ANY,
            "created": RANGE,
            "updated": RANGE,
            "definition.content_type": EQUALS,
            "definition.type": EQUALS,
        },
        sorts=("created", "id", "name", "updated"),
    ),
    columns=(
        record_id("Klaviyo's id of the block."),
        attribute("name", ColumnType.STRING, "Name of the block.", required=True),
        attribute("definition", ColumnType.JSON, "The block as Klaviyo sent it: its content_type (block or section), its type and its data."),
        attribute("created", ColumnType.TIMESTAMP, "When the block was created.", required=True),
        attribute("updated", ColumnType.TIMESTAMP, "When the block was last changed.", required=True),
        attribute(
            "screenshot_status",
            ColumnType.STRING,
            "State of the block's picture; stale if the block has changed since.",
            required=True,
            values=("completed", "failed", "generating", "never_generated", "not_renderable", "stale"),
        ),
        attribute(
            "screenshot_url",
            ColumnType.STRING,
            "Where its picture can be loaded for about a day after _synced_at; Klaviyo makes another URL at each read.",
            required=True,
            volatile=True,
        ),
    ),
    # At a hundred records per page, a complete read is one request in most accounts, and finds deletions too.
    replication=FullTable(),
    version_column="updated",
    read_in_seconds=True,
    opt_in=True,
    group="messages",
)

"""Templates: the layouts of e-mails, one row per template."""

from datetime import timedelta

from klaviyo_assets.catalog.columns import ColumnType, attribute, record_id
from klaviyo_assets.catalog.endpoint import CONTAINS, EQUALS, EQUALS_ANY, RANGE, TIER_L, Endpoint, PageSize
from klaviyo_assets.catalog.replication import Incremental
from klaviyo_assets.catalog.resource_type import ResourceType

TEMPLATES = ResourceType(
    name="templates",
    jsonapi_type="template",
    description="One row per e-mail template, with its HTML.",
    scope="templates:read",
    docs_url="https://developers.klaviyo.com/en/reference/get_templates",
    endpoint=Endpoint(
        path="/api/templates",
        limit=TIER_L,
        lookup_limit=TIER_L,
        page_size=PageSize(default=10, maximum=10),
        filters={"id": EQUALS_ANY, "name": EQUALS_ANY | CONTAINS, "created": RANGE | EQUALS, "updated": RANGE | EQUALS},
        sorts=("created", "id", "name", "updated"),
        # Available, but not requested: the definition of drag-and-drop templates is large and has a lower rate limit; the HTML comes without it.
        additional_fields=("definition",),
    ),
    columns=(
        record_id("Klaviyo's id of the template."),
        attribute("name", ColumnType.STRING, "Name of the template.", required=True),
        attribute(
            "editor_type",
            ColumnType.STRING,
            "How it is edited: SYSTEM_DRAGGABLE (drag and drop), SIMPLE (rich text), CODE (HTML) or USER_DRAGGABLE (both).",
            required=True,
        ),
        attribute("html", ColumnType.STRING, "The template as HTML.", required=True),
        attribute("text", ColumnType.STRING, "The template as plain text."),
        attribute("amp", ColumnType.STRING, "The template as AMP."),
        attribute("created", ColumnType.TIMESTAMP, "When the template was created."),
        attribute("updated", ColumnType.TIMESTAMP, "When the template was last changed."),
    ),
    # At ten records per page, a complete read takes hundreds of requests; a read of the changes takes one. Only a full sync finds deletions.
    replication=Incremental(field="updated", lookback_ages=(timedelta(hours=1),), backfill_field="created"),
    version_column="updated",
    full_refresh="weekly",
    read_in_seconds=True,
    group="messages",
)

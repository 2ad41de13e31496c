"""Forms: sign-up forms, one row per form."""

from klaviyo_assets.catalog.columns import ColumnType, attribute, record_id, to_many
from klaviyo_assets.catalog.endpoint import CONTAINS, EQUALS, EQUALS_ANY, RANGE, TIER_S, Endpoint, PageSize
from klaviyo_assets.catalog.replication import FullTable
from klaviyo_assets.catalog.resource_type import ResourceType

FORMS = ResourceType(
    name="forms",
    jsonapi_type="form",
    description="One row per sign-up form.",
    scope="forms:read",
    docs_url="https://developers.klaviyo.com/en/reference/get_forms",
    endpoint=Endpoint(
        path="/api/forms",
        limit=TIER_S,
        lookup_limit=TIER_S,
        page_size=PageSize(default=20, maximum=100),
        filters={
            "id": EQUALS_ANY,
            "name": EQUALS_ANY | CONTAINS,
            "ab_test": EQUALS,
            "updated_at": RANGE,
            "created_at": RANGE,
            "status": EQUALS,
        },
        sorts=("created_at", "updated_at"),
    ),
    columns=(
        record_id("Klaviyo's id of the form."),
        attribute("name", ColumnType.STRING, "Name of the form.", required=True),
        attribute(
            "status",
            ColumnType.STRING,
            "Either draft or live; a live form whose next version is being drafted counts as live.",
            required=True,
            values=("draft", "live"),
        ),
        attribute("ab_test", ColumnType.BOOLEAN, "Whether the form has an A/B test, running or not.", required=True),
        attribute("created_at", ColumnType.TIMESTAMP, "When the form was created.", required=True),
        attribute("updated_at", ColumnType.TIMESTAMP, "When the form was last changed.", required=True),
        to_many("form-versions", "form_version_ids", "Versions of the form: its drafts, live versions and variations of A/B tests."),
    ),
    # The endpoint cannot sort by id. Recorded cursors hold both times, to the second, so a page may skip a form that has both in common with the
    # last one of the page before.
    replication=FullTable(order="created_at"),
    version_column="updated_at",
    read_in_seconds=True,
    group="audiences",
)

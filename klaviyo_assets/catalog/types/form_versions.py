"""Form versions: the variations of a sign-up form, one row per version."""

from datetime import timedelta

from klaviyo_assets.catalog.columns import ColumnType, attribute, parent_id, record_id
from klaviyo_assets.catalog.endpoint import EQUALS, EQUALS_ANY, RANGE, TIER_S, Endpoint, PageSize
from klaviyo_assets.catalog.replication import PerParent
from klaviyo_assets.catalog.resource_type import Parent, ResourceType
from klaviyo_assets.catalog.types.forms import FORMS

_PATH = "/api/forms/{id}/form-versions"

FORM_VERSIONS = ResourceType(
    name="form_versions",
    jsonapi_type="form-version",
    description="One row per version of a sign-up form, such as the arms of an A/B test.",
    scope="forms:read",
    docs_url="https://developers.klaviyo.com/en/reference/get_versions_for_form",
    endpoint=Endpoint(
        path=_PATH,
        limit=TIER_S,
        page_size=PageSize(default=20, maximum=100),
        # Klaviyo answers any(form_type, …) with 500 (recorded); no sync uses it.
        filters={"form_type": EQUALS_ANY, "status": EQUALS, "created_at": RANGE, "updated_at": RANGE},
        sorts=("created_at", "updated_at"),
    ),
    columns=(
        parent_id("form_id", "Klaviyo's id of the form."),
        record_id("Klaviyo's id of the version."),
        attribute(
            "form_type",
            ColumnType.STRING,
            "How the form is shown: banner, embed, flyout, full_page or popup.",
            required=True,
            values=("banner", "embed", "flyout", "full_page", "popup"),
        ),
        attribute("variation_name", ColumnType.STRING, "Name of the version.", required=True),
        attribute("ab_test", ColumnType.JSON, "The A/B test that the version is a part of; null if it is in none."),
        attribute("status", ColumnType.STRING, "Either draft or live.", required=True, values=("draft", "live")),
        attribute("created_at", ColumnType.TIMESTAMP, "When the version was created.", required=True),
        attribute("updated_at", ColumnType.TIMESTAMP, "When the version was last changed.", required=True),
    ),
    primary_key=("form_id", "id"),
    replication=PerParent(changed_with="updated_at", max_age=timedelta(days=7)),
    parent=Parent(FORMS, path=_PATH, column="form_id", relationship="form"),
    version_column="updated_at",
    opt_in=True,
    group="audiences",
)

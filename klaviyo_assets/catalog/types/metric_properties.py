"""Metric properties: which properties the events of a metric have, one row per property."""

from datetime import timedelta

from klaviyo_assets.catalog.columns import ColumnType, attribute, parent_id, record_id
from klaviyo_assets.catalog.endpoint import TIER_XS, Endpoint
from klaviyo_assets.catalog.replication import PerParent
from klaviyo_assets.catalog.resource_type import Parent, ResourceType
from klaviyo_assets.catalog.types.metrics import METRICS

_PATH = "/api/metrics/{id}/metric-properties"

METRIC_PROPERTIES = ResourceType(
    name="metric_properties",
    jsonapi_type="metric-property",
    description="One row per property that Klaviyo has seen in the events of a metric. Read once a month, since it needs a request per metric.",
    scope="metrics:read",
    docs_url="https://developers.klaviyo.com/en/reference/get_properties_for_metric",
    endpoint=Endpoint(path=_PATH, limit=TIER_XS, additional_fields=("sample_values",), unpaged=True),
    columns=(
        parent_id("metric_id", "Klaviyo's id of the metric."),
        record_id("Klaviyo's id of the property."),
        attribute("label", ColumnType.STRING, "Name of the property as shown in Klaviyo.", required=True),
        attribute("property", ColumnType.STRING, "Name of the property in event_properties.", required=True),
        attribute(
            "inferred_type",
            ColumnType.STRING,
            "Type that Klaviyo infers, such as string or numeric (also for true and false).",
            required=True,
        ),
    ),
    primary_key=("metric_id", "id"),
    replication=PerParent(max_age=timedelta(days=30)),
    parent=Parent(METRICS, path=_PATH, column="metric_id", relationship="metric"),
    # The list of a metric's properties returns null for them even if they are requested (recorded).
    unmapped=(("attributes", "sample_values"),),
    opt_in=True,
    group="reports",
)

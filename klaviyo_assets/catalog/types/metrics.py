"""Metrics: kinds of events, one row per metric."""

from klaviyo_assets.catalog.columns import ColumnType, attribute, record_id, to_many
from klaviyo_assets.catalog.endpoint import EQUALS, TIER_M, Endpoint
from klaviyo_assets.catalog.includes import WITH_FLOW_TRIGGERS
from klaviyo_assets.catalog.replication import FullTable
from klaviyo_assets.catalog.resource_type import ResourceType

METRICS = ResourceType(
    name="metrics",
    jsonapi_type="metric",
    description="One row per metric: a kind of event, such as Placed Order. Ids are stable; names can change.",
    scope="metrics:read",
    docs_url="https://developers.klaviyo.com/en/reference/get_metrics",
    endpoint=Endpoint(
        path="/api/metrics",
        limit=TIER_M,
        lookup_limit=TIER_M,
        filters={"integration.name": EQUALS, "integration.category": EQUALS},
        includes=("flow-triggers",),
    ),
    columns=(
        record_id("Klaviyo's id of the metric."),
        attribute("name", ColumnType.STRING, "Name of the metric."),
        attribute("created", ColumnType.TIMESTAMP, "When the metric was created."),
        attribute("updated", ColumnType.TIMESTAMP, "When the metric was last changed."),
        attribute("integration", ColumnType.JSON, "The integration that sends its events (id, name, category, …), as Klaviyo sent it."),
        to_many("flow-triggers", "flow_trigger_ids", "Flows that the metric triggers; null if Klaviyo does not list them."),
    ),
    replication=FullTable(),
    requested_includes=(WITH_FLOW_TRIGGERS,),
    version_column="updated",
    names_metrics=True,
    read_in_seconds=True,
)

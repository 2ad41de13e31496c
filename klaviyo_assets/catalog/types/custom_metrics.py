"""Custom metrics: metrics that the account defines from others, one row per custom metric."""

from klaviyo_assets.catalog.columns import ColumnType, attribute, record_id, to_many
from klaviyo_assets.catalog.endpoint import TIER_S, Endpoint, Include
from klaviyo_assets.catalog.replication import FullTable
from klaviyo_assets.catalog.resource_type import ResourceType

CUSTOM_METRICS = ResourceType(
    name="custom_metrics",
    jsonapi_type="custom-metric",
    description="One row per custom metric: a metric that the account defines from one or more metrics and conditions, for reports.",
    scope="metrics:read",
    docs_url="https://developers.klaviyo.com/en/reference/get_custom_metrics",
    endpoint=Endpoint(path="/api/custom-metrics", limit=TIER_S, lookup_limit=TIER_S, includes=("metrics",), unpaged=True),
    columns=(
        record_id("Klaviyo's id of the custom metric."),
        attribute("name", ColumnType.STRING, "Name of the custom metric, unique in the account.", required=True),
        attribute("created", ColumnType.TIMESTAMP, "When the custom metric was created.", required=True),
        attribute("updated", ColumnType.TIMESTAMP, "When the custom metric was last changed.", required=True),
        attribute(
            "definition.aggregation_method",
            ColumnType.STRING,
            "What it measures: count (a number of events) or value (revenue).",
            required=True,
            values=("count", "value"),
        ),
        attribute(
            "definition.metric_groups",
            ColumnType.JSON,
            "The metrics that it consists of, each with its conditions and the event property with the value, as Klaviyo sent them.",
            required=True,
        ),
        to_many("metrics", "metric_ids", "Metrics that it consists of."),
    ),
    replication=FullTable(),
    # Only responses with the include are known to name the metrics; they are in the table metrics, so only the id of each is requested.
    requested_includes=(Include("metrics", fields={"metric": ("id",)}),),
    version_column="updated",
    group="reports",
    read_in_seconds=True,
    opt_in=True,
)

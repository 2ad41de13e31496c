"""Flows: automated sequences, one row per flow."""

from klaviyo_assets.catalog.columns import ColumnType, attribute, record_id, to_many
from klaviyo_assets.catalog.endpoint import ANY, EQUALS, RANGE, TEXT, TIER_S, Endpoint, PageSize
from klaviyo_assets.catalog.includes import WITH_FLOW_ACTIONS, WITH_TAGS
from klaviyo_assets.catalog.replication import FullTable
from klaviyo_assets.catalog.resource_type import ResourceType, Subset

_TRIGGERS = ("Added to List", "Date Based", "Low Inventory", "Metric", "Price Drop", "Unconfigured")

FLOWS = ResourceType(
    name="flows",
    jsonapi_type="flow",
    description="One row per flow (automated sequence). Archived flows are included.",
    scope="flows:read",
    docs_url="https://developers.klaviyo.com/en/reference/get_flows",
    endpoint=Endpoint(
        path="/api/flows",
        limit=TIER_S,
        lookup_limit=TIER_S,
        page_size=PageSize(default=50, maximum=50),
        filters={
            "id": ANY,
            "name": TEXT,
            "status": EQUALS,
            "archived": EQUALS,
            "created": RANGE | EQUALS,
            "updated": RANGE | EQUALS,
            "trigger_type": EQUALS,
        },
        sorts=("created", "id", "name", "status", "trigger_type", "updated"),
        includes=("flow-actions", "tags"),
    ),
    columns=(
        record_id("Klaviyo's id of the flow."),
        attribute("name", ColumnType.STRING, "Name of the flow."),
        attribute("status", ColumnType.STRING, "State of the flow: draft, manual or live."),
        attribute("archived", ColumnType.BOOLEAN, "Whether the flow is archived."),
        attribute("created", ColumnType.TIMESTAMP, "When the flow was created."),
        attribute("updated", ColumnType.TIMESTAMP, "When the flow was last changed."),
        attribute("trigger_type", ColumnType.STRING, "What starts the flow, such as Metric, Added to List or Date Based.", values=_TRIGGERS),
        to_many("flow-actions", "flow_action_ids", "Actions of the flow; null if Klaviyo does not list them."),
        to_many("tags", "tag_ids", "Tags of the flow; null if Klaviyo does not list them."),
    ),
    replication=FullTable(),
    requested_includes=(WITH_TAGS, WITH_FLOW_ACTIONS),
    subsets=(
        Subset("live", ("equals(archived,false)",)),
        Subset("archived", ("equals(archived,true)",)),
    ),
    version_column="updated",
    read_in_seconds=True,
)

"""Actions of flows: the steps of each flow, one row per action."""

from klaviyo_assets.catalog.columns import ColumnType, attribute, derived, record_id, to_one
from klaviyo_assets.catalog.endpoint import TIER_S, Endpoint
from klaviyo_assets.catalog.flow_definitions import actions_of
from klaviyo_assets.catalog.replication import Included
from klaviyo_assets.catalog.resource_type import Host, ResourceType
from klaviyo_assets.catalog.types.flows import FLOWS

FLOW_ACTIONS = ResourceType(
    name="flow_actions",
    jsonapi_type="flow-action",
    group="messages",
    description="One row per action of a flow: a message, a delay, a branch, an A/B test or another step, in its order.",
    scope="flows:read",
    docs_url="https://developers.klaviyo.com/en/reference/get_flow_action",
    endpoint=Endpoint(path="/api/flow-actions", limit=TIER_S, lookup_limit=TIER_S, includes=("flow", "flow-messages"), unpaged=True),
    columns=(
        record_id("Klaviyo's id of the action."),
        to_one("flow", "Flow that the action belongs to."),
        derived(
            "position",
            ColumnType.INTEGER,
            "Its place in the flow, from 1 on: after each action that leads to it, the first branch before the others.",
        ),
        derived("action_type", ColumnType.STRING, "Type of the action, such as send-email, time-delay, conditional-split or ab-test."),
        derived("status", ColumnType.STRING, "State of the action: draft, manual, live or disabled; null for one that has none, such as a delay."),
        derived("next_action_ids", ColumnType.STRINGS, "Actions that may follow, one for each branch."),
        attribute("definition", ColumnType.JSON, "The action as Klaviyo defines it: its settings, its message, the actions that follow."),
        attribute("created", ColumnType.TIMESTAMP, "When the action was created."),
        attribute("updated", ColumnType.TIMESTAMP, "When the action was last changed."),
    ),
    replication=Included(),
    host=Host(FLOWS, "flow-actions", "flow_id", actions_of),
    unmapped=(("relationships", "flow-messages"),),
    read_in_seconds=True,
)

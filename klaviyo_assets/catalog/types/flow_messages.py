"""Messages of flows: what the actions of each flow send, one row per message."""

from klaviyo_assets.catalog.columns import ColumnType, attribute, derived, record_id
from klaviyo_assets.catalog.endpoint import TIER_S, Endpoint
from klaviyo_assets.catalog.flow_definitions import messages_of
from klaviyo_assets.catalog.replication import Included
from klaviyo_assets.catalog.resource_type import Host, ResourceType
from klaviyo_assets.catalog.types.flow_actions import FLOW_ACTIONS
from klaviyo_assets.catalog.types.flows import FLOWS

FLOW_MESSAGES = ResourceType(
    name="flow_messages",
    jsonapi_type="flow-message",
    group="messages",
    description="One row per message of a flow, and per variation of an A/B test: subject, sender, template, its action and its place in the flow.",
    scope="flows:read",
    docs_url="https://developers.klaviyo.com/en/reference/get_flow_message",
    endpoint=Endpoint(path="/api/flow-messages", limit=TIER_S, lookup_limit=TIER_S, includes=("flow-action", "template"), unpaged=True),
    columns=(
        record_id("Klaviyo's id of the message."),
        derived("flow_id", ColumnType.STRING, "Flow that sends it."),
        derived("flow_action_id", ColumnType.STRING, "Action that sends it."),
        derived("position", ColumnType.INTEGER, "Place of the action in the flow, from 1 on; see flow_actions."),
        derived("name", ColumnType.STRING, "Name of the message."),
        derived("channel", ColumnType.STRING, "Channel: email, sms, mobile_push, whatsapp, webhook or internal_alert."),
        derived("status", ColumnType.STRING, "State of the action: draft, manual, live or disabled."),
        derived("subject_line", ColumnType.STRING, "Subject of the e-mail."),
        derived("preview_text", ColumnType.STRING, "Text that mail programs show after the subject."),
        derived("from_email", ColumnType.STRING, "Address of the sender.", personal=True),
        derived("from_label", ColumnType.STRING, "Name of the sender.", personal=True),
        derived("reply_to_email", ColumnType.STRING, "Address for replies.", personal=True),
        derived("template_id", ColumnType.STRING, "Template of the message, a copy that belongs to it."),
        derived("image_id", ColumnType.STRING, "Picture of the SMS or the push notification."),
        derived("smart_sending_enabled", ColumnType.BOOLEAN, "Whether recipients of a recent message are skipped."),
        derived("transactional", ColumnType.BOOLEAN, "Whether it is also sent to people who have not subscribed."),
        derived("is_variation", ColumnType.BOOLEAN, "Whether it is a variation of an A/B test."),
        derived("experiment_id", ColumnType.STRING, "A/B test that it belongs to; null if it belongs to none."),
        derived("experiment_name", ColumnType.STRING, "Name of that A/B test."),
        attribute("definition", ColumnType.JSON, "The message as Klaviyo defines it in the action; its members depend on the channel."),
    ),
    replication=Included(),
    host=Host(FLOWS, "flow-actions", "flow_id", messages_of, source=FLOW_ACTIONS),
    only_fields=("definition",),
    # Members of the record that /api/flow-messages returns; the part of an action does not have them.
    unmapped=(
        *(("attributes", name) for name in ("channel", "created", "updated")),
        *(("relationships", name) for name in ("flow-action", "image", "template")),
    ),
    read_in_seconds=True,
)

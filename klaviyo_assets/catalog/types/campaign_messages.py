"""Messages of campaigns: what each campaign sends, one row per message."""

from klaviyo_assets.catalog.columns import Column, ColumnType, attribute, record_id, to_one
from klaviyo_assets.catalog.endpoint import TIER_M, Endpoint
from klaviyo_assets.catalog.replication import Included
from klaviyo_assets.catalog.resource_type import Host, ResourceType
from klaviyo_assets.catalog.types.campaigns import CAMPAIGNS, CHANNELS


def _of(path: str, type_: ColumnType, description: str, *, personal: bool = False, values: tuple[str, ...] = ()) -> Column:
    """A column of the definition, named by the last part of its path; the definitions of the channels have different members."""
    parts = path.split(".")
    return Column(parts[-1], type_, description, ("attributes", "definition", *parts), personal, values=values)


_TEXT = ColumnType.STRING

CAMPAIGN_MESSAGES = ResourceType(
    name="campaign_messages",
    jsonapi_type="campaign-message",
    group="messages",
    description="One row per message of a campaign: subject, sender, text, template. A campaign with an A/B test has one per variation.",
    scope="campaigns:read",
    docs_url="https://developers.klaviyo.com/en/reference/get_campaign_message",
    endpoint=Endpoint(path="/api/campaign-messages", limit=TIER_M, lookup_limit=TIER_M, includes=("campaign", "image", "template"), unpaged=True),
    columns=(
        record_id("Klaviyo's id of the message."),
        to_one("campaign", "Campaign that sends it."),
        _of("channel", _TEXT, "Channel: email, sms or mobile_push.", values=CHANNELS),
        _of("label", _TEXT, "Name of the message."),
        _of("notification_type", _TEXT, "Kind of a push notification: standard or silent.", values=("silent", "standard")),
        _of("content.subject", _TEXT, "Subject of the e-mail."),
        _of("content.preview_text", _TEXT, "Text that mail programs show after the subject."),
        _of("content.from_email", _TEXT, "Address of the sender.", personal=True),
        _of("content.from_label", _TEXT, "Name of the sender.", personal=True),
        _of("content.reply_to_email", _TEXT, "Address for replies.", personal=True),
        _of("content.cc_email", _TEXT, "Address that gets a copy.", personal=True),
        _of("content.bcc_email", _TEXT, "Address that gets a blind copy.", personal=True),
        _of("content.title", _TEXT, "Title of the push notification."),
        _of("content.body", _TEXT, "Text of the SMS or the push notification."),
        _of("content.media_url", _TEXT, "Picture of the SMS."),
        _of("content.dynamic_image", _TEXT, "Picture of the push notification, from a variable."),
        _of("content.action_buttons", ColumnType.JSON, "Buttons of the push notification."),
        _of("render_options", ColumnType.JSON, "How the SMS is written: short links, sender prefix, opt-out text."),
        _of("kv_pairs", ColumnType.JSON, "Data for the app that receives the push notification."),
        _of("options", ColumnType.JSON, "What the push notification opens, its badge and its sound."),
        attribute("send_times", ColumnType.JSON, "When it is sent; several times if it is sent at a local time."),
        attribute("created_at", ColumnType.TIMESTAMP, "When the message was created."),
        attribute("updated_at", ColumnType.TIMESTAMP, "When the message was last changed."),
        to_one("template", "Template of the message, a copy that belongs to it; null if Klaviyo does not name it, as in most responses."),
        to_one("image", "Picture of the message; null if Klaviyo does not name it, as in most responses."),
    ),
    replication=Included(),
    host=Host(CAMPAIGNS, "campaign-messages", "campaign_id"),
    version_column="updated_at",
    read_in_seconds=True,
)

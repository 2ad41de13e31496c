"""Campaigns: one-off sends by e-mail, SMS or mobile push, one row per campaign."""

from klaviyo_assets.catalog.columns import ColumnType, attribute, from_subset, record_id, to_many
from klaviyo_assets.catalog.endpoint import ANY, CONTAINS, EQUALS, EQUALS_ANY, RANGE, TIER_M, Endpoint, PageSize
from klaviyo_assets.catalog.includes import WITH_TAGS
from klaviyo_assets.catalog.replication import FullTable
from klaviyo_assets.catalog.resource_type import ResourceType, Subset

CHANNELS = ("email", "sms", "mobile_push")


def _subsets() -> tuple[Subset, ...]:
    """Return one subset per channel and archived state: a request must filter by channel, and the API lists archived campaigns separately."""
    return tuple(
        Subset(
            name=f"{channel}/{'archived' if archived == 'true' else 'live'}",
            filters=(f"equals(messages.channel,'{channel}')", f"equals(archived,{archived})"),
            values={"channel": channel},
        )
        for channel in CHANNELS
        for archived in ("false", "true")
    )


_STATUSES = (
    "Adding Recipients",
    "Cancelled",
    "Cancelled: Account Disabled",
    "Cancelled: Billing Limit",
    "Cancelled: Internal Error",
    "Cancelled: Misconfigured",
    "Cancelled: No Recipients",
    "Cancelled: Smart Sending",
    "Draft",
    "Preparing to schedule",
    "Preparing to send",
    "Queued without Recipients",
    "Scheduled",
    "Sending",
    "Sending Segments",
    "Sent",
    "Unknown",
    "Variations Sent",
)

CAMPAIGNS = ResourceType(
    name="campaigns",
    jsonapi_type="campaign",
    description="One row per campaign (e-mail, SMS or mobile push), with its audiences and send strategy. Archived campaigns are included.",
    scope="campaigns:read",
    docs_url="https://developers.klaviyo.com/en/reference/get_campaigns",
    endpoint=Endpoint(
        path="/api/campaigns",
        limit=TIER_M,
        lookup_limit=TIER_M,
        page_size=PageSize(default=100, maximum=100),
        filters={
            "id": ANY,
            "messages.channel": EQUALS,
            "name": CONTAINS,
            "status": EQUALS_ANY,
            "archived": EQUALS,
            "created_at": RANGE,
            "scheduled_at": RANGE,
            "updated_at": RANGE,
        },
        required_filter="messages.channel",
        sorts=("created_at", "id", "name", "scheduled_at", "updated_at"),
        includes=("campaign-messages", "tags"),
    ),
    columns=(
        record_id("Klaviyo's id of the campaign."),
        from_subset("channel", "Channel of the campaign: email, sms or mobile_push."),
        attribute("name", ColumnType.STRING, "Name of the campaign.", required=True),
        attribute(
            "status", ColumnType.STRING, "State of the campaign, such as Draft, Scheduled, Sent or Cancelled.", required=True, values=_STATUSES
        ),
        attribute("archived", ColumnType.BOOLEAN, "Whether the campaign is archived.", required=True),
        attribute("audiences.included", ColumnType.STRINGS, "Ids of the lists and segments that receive it.", required=True),
        attribute("audiences.excluded", ColumnType.STRINGS, "Ids of the lists and segments that are excluded."),
        attribute("send_options.use_smart_sending", ColumnType.BOOLEAN, "Whether recipients of a recent message are skipped."),
        attribute(
            "send_options.ignore_unsubscribes",
            ColumnType.BOOLEAN,
            "Whether unsubscribed people also receive the message; null if Klaviyo sends no value.",
            was_in_extra=True,
        ),
        attribute("tracking_options.add_tracking_params", ColumnType.BOOLEAN, "Whether tracking parameters are added to links."),
        attribute("tracking_options.custom_tracking_params", ColumnType.JSON, "The campaign's own tracking parameters."),
        attribute("tracking_options.is_tracking_clicks", ColumnType.BOOLEAN, "Whether clicks are tracked; null means the account's default."),
        attribute("tracking_options.is_tracking_opens", ColumnType.BOOLEAN, "Whether opens are tracked; null means the account's default."),
        attribute(
            "send_strategy", ColumnType.JSON, "How the campaign is sent: immediate, static, throttled, smart send time or A/B test.", required=True
        ),
        attribute("created_at", ColumnType.TIMESTAMP, "When the campaign was created.", required=True),
        attribute("scheduled_at", ColumnType.TIMESTAMP, "When the campaign was scheduled for sending."),
        attribute("updated_at", ColumnType.TIMESTAMP, "When the campaign was last changed, by a person or by Klaviyo.", required=True),
        attribute("send_time", ColumnType.TIMESTAMP, "When it was or will be sent; null while unscheduled."),
        to_many("campaign-messages", "campaign_message_ids", "Messages of the campaign."),
        to_many("tags", "tag_ids", "Tags of the campaign; null if Klaviyo does not list them."),
    ),
    replication=FullTable(),
    requested_includes=(WITH_TAGS,),
    subsets=_subsets(),
    version_column="updated_at",
    read_in_seconds=True,
)

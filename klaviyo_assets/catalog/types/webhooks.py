"""Webhooks: where Klaviyo sends events as they happen, one row per webhook."""

from klaviyo_assets.catalog.columns import ColumnType, attribute, record_id, to_many
from klaviyo_assets.catalog.endpoint import TIER_XS, Endpoint, Include
from klaviyo_assets.catalog.replication import FullTable
from klaviyo_assets.catalog.resource_type import ResourceType

WEBHOOKS = ResourceType(
    name="webhooks",
    jsonapi_type="webhook",
    description="One row per webhook. Only for accounts with Advanced KDP: others get an error about their plan, whatever the scopes of the key.",
    scope="webhooks:read",
    docs_url="https://developers.klaviyo.com/en/reference/get_webhooks",
    endpoint=Endpoint(path="/api/webhooks", limit=TIER_XS, lookup_limit=TIER_XS, includes=("webhook-topics",), unpaged=True),
    columns=(
        record_id("Klaviyo's id of the webhook."),
        attribute("name", ColumnType.STRING, "Name of the webhook.", required=True),
        attribute("description", ColumnType.STRING, "What the webhook is for."),
        attribute("endpoint_url", ColumnType.STRING, "Where Klaviyo sends the requests; Klaviyo hides a part of it.", required=True),
        attribute("enabled", ColumnType.BOOLEAN, "Whether Klaviyo sends requests.", required=True),
        attribute("created_at", ColumnType.TIMESTAMP, "When the webhook was created."),
        attribute("updated_at", ColumnType.TIMESTAMP, "When the webhook was last changed."),
        to_many("webhook-topics", "webhook_topic_ids", "What it reports, such as event:klaviyo.opened_email; null if Klaviyo does not list it."),
    ),
    replication=FullTable(),
    # Klaviyo sends the ids of the topics only if the topics are included.
    requested_includes=(Include("webhook-topics", fields={"webhook-topic": ("id",)}),),
    version_column="updated_at",
    read_in_seconds=True,
    opt_in=True,
)

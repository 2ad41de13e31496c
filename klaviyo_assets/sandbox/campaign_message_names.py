"""The names of campaigns' messages in reports."""

import msgspec

from klaviyo_assets.sandbox.records import Record
from klaviyo_assets.sandbox.store import Store


class _Definition(msgspec.Struct):
    label: str | None = None


def campaign_message_name(store: Store, campaign: Record, message_id: str) -> str:
    """Return the present name of a message: the label of an e-mail, its last one if it has been deleted.

    Messages of other channels have no label. They have the name of their campaign.
    """
    name = msgspec.json.decode(campaign.attributes()["name"], type=str)
    if "campaign_messages" not in store.collections:
        return name
    message = store["campaign_messages"].get(message_id) or store.deleted.get("campaign_messages", {}).get(message_id)
    label = None if message is None else msgspec.json.decode(message.attributes()["definition"], type=_Definition).label
    return label or name

"""Makes attributions: what Klaviyo credits a conversion to.

The resource has no attributes. Its relationships name the conversion, the event that it is attributed to, and the message of that event: of a
campaign, or of a flow.
"""

import random
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from klaviyo_assets.sandbox.records import SITE, Record, encode, relationship_links
from klaviyo_assets.sandbox.store import Store

_PATH = "/api/attributions"

_CAMPAIGNS = 0.6
"""Share of the attributions of conversions without an earlier message that name a campaign."""


class Sent(NamedTuple):
    """Ids of a message that was sent: of the message, of its campaign or its flow, and of the variation of an A/B test."""

    message_id: str
    campaign_id: str | None
    flow_id: str | None
    variation_id: str | None = None


def attribution(event_id: str, id: str, attributed_event_id: str | None, sent: Sent | None) -> bytes:
    """Return the resource object of an attribution.

    Args:
        event_id: The conversion.
        id: Id of the attribution.
        attributed_event_id: The open or click that it is attributed to; None if there is none.
        sent: The message that was opened or clicked; None if the account has sent none.
    """
    named = {"event": ("event", event_id)}
    if attributed_event_id is not None:
        named["attributed-event"] = ("event", attributed_event_id)
    if sent is not None:
        named |= _message(sent)
    relationships: dict[str, Any] = {
        name: {"data": {"type": type_, "id": target}, "links": relationship_links(_PATH, id, name)} for name, (type_, target) in named.items()
    }
    return encode({"type": "attribution", "id": id, "relationships": relationships, "links": {"self": f"{SITE}{_PATH}/{id}/"}})


class Attributor:
    """Makes attributions that name messages of an account as they are now.

    Args:
        store: The account.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def make(self, event_id: str, ids: Sequence[str], touch: Record | None) -> Mapping[str, bytes]:
        """Return the resource objects of an event's attributions by id; the same for the same ids.

        Args:
            event_id: The conversion.
            ids: Ids of its attributions.
            touch: An earlier event of the same profile; None if there is none.
        """
        return {id: self._resource(event_id, id, touch) for id in ids}

    def _resource(self, event_id: str, id: str, touch: Record | None) -> bytes:
        rng = random.Random(id)  # noqa: S311 - made-up data
        message = (touch and self._of(touch)) or self._any_of_campaign(rng) or self._any_of_flow(rng)
        return attribution(event_id, id, touch.id if touch is not None else None, message)

    def _of(self, touch: Record) -> Sent | None:
        """Return the message that an event belongs to, if the account has it."""
        flow, message = named_in(touch, "$flow"), named_in(touch, "$message")
        if message is None:
            return None
        if flow is not None:
            return Sent(message, None, flow, named_in(touch, "$variation"))
        record = self._store["campaign_messages"].get(message) if "campaign_messages" in self._store.collections else None
        return None if record is None else Sent(message, str(record.values["host_id"]), None)

    def _any_of_campaign(self, rng: random.Random) -> Sent | None:
        campaigns = list(self._store["campaigns"]) if "campaigns" in self._store.collections else []
        if not campaigns or rng.random() > _CAMPAIGNS:
            return None
        campaign = rng.choice(campaigns)
        messages = campaign.related["campaign-messages"]
        return Sent(rng.choice(messages), campaign.id, None) if messages else None

    def _any_of_flow(self, rng: random.Random) -> Sent | None:
        messages = list(self._store["flow_messages"]) if "flow_messages" in self._store.collections else []
        record = rng.choice(messages) if messages else None
        return None if record is None else Sent(record.id, None, str(record.values["host_id"]))


def named_in(event: Record, property_: str) -> str | None:
    """Return a property of an event with an id as its value, without decoding the others, which may hold what Python cannot."""
    start = b'"%b":"' % property_.encode()
    _, _, rest = event.raw.partition(start)
    return rest.partition(b'"')[0].decode() if rest else None


def _message(sent: Sent) -> dict[str, tuple[str, str]]:
    """Return the type and the id that each relationship to a message names."""
    if sent.flow_id is None:
        return {"campaign": ("campaign", str(sent.campaign_id)), "campaign-message": ("campaign-message", sent.message_id)}
    found = {"flow": ("flow", sent.flow_id), "flow-message": ("flow-message", sent.message_id)}
    return found | ({"flow-message-variation": ("flow-message", sent.variation_id)} if sent.variation_id is not None else {})

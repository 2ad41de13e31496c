"""Makes attributions: what Klaviyo gives the credit for a conversion.

The resource has no attributes. Its relationships name the conversion, the event that it is attributed to, and the message of that event: of a
campaign, or of a flow.
"""

import random
from collections.abc import Mapping, Sequence
from typing import Any

from klaviyo_assets.sandbox.records import SITE, Record, encode, relationship_links
from klaviyo_assets.sandbox.store import Store

_PATH = "/api/attributions"


class Attributor:
    """Makes attributions that name campaigns and flows of an account as they are now.

    Args:
        store: The account.
    """

    def __init__(self, store: Store) -> None:
        self._campaigns, self._flows = (_existing(store, name) for name in ("campaigns", "flows"))

    def make(self, event_id: str, ids: Sequence[str], attributed_event_id: str | None) -> Mapping[str, bytes]:
        """Return the resource objects of an event's attributions by id; the same for the same ids.

        Args:
            event_id: The conversion.
            ids: Ids of its attributions.
            attributed_event_id: An earlier event of the same profile; None if there is none.
        """
        return {id: self._resource(event_id, id, attributed_event_id) for id in ids}

    def _resource(self, event_id: str, id: str, attributed_event_id: str | None) -> bytes:
        named = {"event": ("event", event_id)}
        if attributed_event_id is not None:
            named["attributed-event"] = ("event", attributed_event_id)
        named |= self._message(random.Random(id))  # noqa: S311 - made-up data
        relationships: dict[str, Any] = {
            name: {"data": {"type": type_, "id": target}, "links": relationship_links(_PATH, id, name)} for name, (type_, target) in named.items()
        }
        return encode({"type": "attribution", "id": id, "relationships": relationships, "links": {"self": f"{SITE}{_PATH}/{id}/"}})

    def _message(self, rng: random.Random) -> dict[str, tuple[str, str]]:
        """Return the message of a campaign or a flow, as the type and id of each relationship; empty if the account has neither."""
        if self._campaigns and (not self._flows or rng.random() < 0.6):
            campaign = rng.choice(self._campaigns)
            message = rng.choice(campaign.related["campaign-messages"])
            return {"campaign": ("campaign", campaign.id), "campaign-message": ("campaign-message", message)}
        if not self._flows:
            return {}
        flow = rng.choice(self._flows)
        message = f"M{rng.choice(flow.related['flow-actions'])}"
        found = {"flow": ("flow", flow.id), "flow-message": ("flow-message", message)}
        return found | ({"flow-message-variation": ("flow-message", f"{message}b")} if rng.random() < 0.1 else {})


def _existing(store: Store, name: str) -> list[Record]:
    return list(store[name]) if name in store.catalog else []

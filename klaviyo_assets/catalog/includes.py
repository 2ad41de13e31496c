"""Includes that several resource types request."""

from typing import Final

from klaviyo_assets.catalog.endpoint import Include

WITH_TAGS: Final = Include("tags", scopes=("tags:read",), fields={"tag": ("name",)})
"""The tags of a record. Klaviyo names their ids only if they are included; the smallest fieldset that was recorded is their name."""

WITH_FLOW_TRIGGERS: Final = Include("flow-triggers", scopes=("flows:read",), fields={"flow": ("name",)})
"""The flows that a record triggers; named only if they are included, too."""

WITH_FLOW_ACTIONS: Final = Include("flow-actions", fields={"flow-action": ("created",)})
"""The actions of a flow; named only if they are included, too. A sync that also fills the tables of actions and messages
reads all of their fields."""

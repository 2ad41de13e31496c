"""The translator that asks a component for the specs of its assets."""

from collections.abc import Callable
from dataclasses import dataclass

import dagster as dg

from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.translator import KlaviyoTranslator


@dataclass(frozen=True, kw_only=True)
class ComponentTranslator(KlaviyoTranslator):
    """Returns the specs of a component.

    Attributes:
        specs: ``get_asset_spec`` of the component.
    """

    specs: Callable[[ResourceType], dg.AssetSpec]

    def get_asset_spec(self, entry: ResourceType) -> dg.AssetSpec:
        """Return the component's spec."""
        return self.specs(entry)

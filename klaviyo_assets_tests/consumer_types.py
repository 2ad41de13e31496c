"""What a type checker knows of the public API in a user's code. ``make types`` checks this file; nothing runs it."""

from pathlib import Path
from typing import assert_type

import dagster as dg

import klaviyo_assets as ka
from klaviyo_assets.catalog import ResourceType


class Translator(ka.KlaviyoTranslator):
    """A translator of a user's own."""

    def get_asset_spec(self, entry: ResourceType) -> dg.AssetSpec:
        """Return the spec with a group of its own."""
        return super().get_asset_spec(entry).replace_attributes(group_name="crm")


klaviyo = ka.KlaviyoResource(api_key=dg.EnvVar("KLAVIYO_API_KEY"), rate_limit_share=0.5)
assert_type(
    ka.build_klaviyo_definitions(klaviyo, duckdb=Path("data/shop.duckdb"), resource_types=["events"], translator=Translator(), owners=["team:data"]),
    dg.Definitions,
)
assets = ka.build_klaviyo_assets(resource_types=["events"])
assert_type(assets[0], dg.AssetsDefinition)
assert_type(ka.CATALOG, ka.Catalog)
assert_type(ka.CATALOG["events"].name, str)
assert_type(ka.PublishTarget.at("data/published.duckdb", None), ka.PublishTarget)
assert_type(ka.__version__, str)

"""The code location that ``dagster dev`` loads. Settings come from the environment; ``.env.example`` shows them all."""

import dagster as dg

from klaviyo_assets.build import build_klaviyo_definitions
from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.resources import KlaviyoResource
from klaviyo_assets.setting_names import VARIABLES
from klaviyo_assets.settings import API_KEY, API_KEY_OPTION, RESOURCE_OPTIONS, SCHEMA, from_environment

_settings = from_environment()

defs = build_klaviyo_definitions(
    KlaviyoResource(
        api_key=dg.EnvVar(API_KEY),
        **{option.name: getattr(_settings, option.name) for option in RESOURCE_OPTIONS if option.name != API_KEY_OPTION.name},
    ),
    duckdb=_settings.duckdb_path,
    name=SCHEMA,
    # Steps wait for the network, so there may be more of them than cores: one for each resource type.
    setting_names=VARIABLES,
    executor=dg.multiprocess_executor.configured({"max_concurrent": len(CATALOG)}),
)

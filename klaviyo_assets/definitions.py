"""The code location that ``dagster dev`` loads. Settings come from the environment; ``.env.example`` shows them all."""

import dagster as dg

from klaviyo_assets.build import build_klaviyo_definitions
from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.resources import KlaviyoResource
from klaviyo_assets.setting_names import VARIABLES
from klaviyo_assets.settings import API_KEY, SCHEMA, from_environment

_settings = from_environment()

defs = build_klaviyo_definitions(
    KlaviyoResource(
        api_key=dg.EnvVar(API_KEY),
        base_url=_settings.base_url,
        allow_http=_settings.allow_http,
        revision=_settings.revision,
        rate_limit_share=_settings.rate_limit_share,
        concurrency=_settings.concurrency,
        timeout=_settings.timeout,
        max_retries=_settings.max_retries,
        start_date=_settings.start_date,
        account_id=_settings.account_id,
        accept_other_account=_settings.accept_other_account,
        accept_changed_options=_settings.accept_changed_options,
        duckdb_patience=_settings.duckdb_patience,
        duckdb_memory_limit=_settings.duckdb_memory_limit,
        duckdb_threads=_settings.duckdb_threads,
        max_response_bytes=_settings.max_response_bytes,
        field_rules=_settings.field_rules,
    ),
    duckdb=_settings.duckdb_path,
    name=SCHEMA,
    # Steps wait for the network, so there may be more of them than cores: one for each resource type.
    setting_names=VARIABLES,
    executor=dg.multiprocess_executor.configured({"max_concurrent": len(CATALOG)}),
)

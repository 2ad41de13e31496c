"""Definitions of an account that tests look at without running them."""

from typing import Any

import dagster as dg

from klaviyo_assets import (
    KlaviyoResource,
    build_klaviyo_definitions,
)

KEY = "pk_" + "s3cret" * 6


def build(duckdb: Any = "shop.duckdb", fields: dict[str, Any] | None = None, **options: Any) -> dg.Definitions:
    return build_klaviyo_definitions(KlaviyoResource(api_key=dg.EnvVar("KLAVIYO_EU"), **(fields or {})), duckdb=duckdb, **options)


def specs(defs: dg.Definitions) -> dict[str, dg.AssetSpec]:
    return {spec.key.to_user_string(): spec for spec in defs.resolve_all_asset_specs()}

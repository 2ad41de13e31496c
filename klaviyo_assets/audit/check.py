"""The asset check ``complete`` of events: light, since a code location loads it; what it takes is loaded when it runs."""

from collections.abc import Sequence

import dagster as dg

from klaviyo_assets import checks
from klaviyo_assets.catalog import EVENTS
from klaviyo_assets.translator import KlaviyoTranslator

AUDIT_TAG = "klaviyo_assets/audit"
"""Run tag: ``struck`` makes the check look at what a repair has struck, though the run also syncs events."""


def build_klaviyo_checks(
    *,
    resource_types: Sequence[str] | None = None,
    resource_key: str = "klaviyo",
    duckdb_key: str = "duckdb",
    translator: KlaviyoTranslator | None = None,
) -> list[dg.AssetChecksDefinition]:
    """Build the checks that run apart from the assets: ``complete`` of events, which compares their numbers with Klaviyo's own counts.

    It asks Klaviyo (one request a metric and year, about one a second, ``metrics:read``) when it is run without its asset, as the audit job does;
    beside a sync it tells what the last audit has found.

    Args:
        resource_types: Names from the catalogue, as for :func:`~klaviyo_assets.build_klaviyo_assets`; without events there is no such check.
        resource_key: Key of the Klaviyo resource.
        duckdb_key: Key of the DuckDB resource.
        translator: The same as the assets'.

    Example:
        >>> defs = dg.Definitions(assets=build_klaviyo_assets(), asset_checks=build_klaviyo_checks(), resources=resources)
    """
    if resource_types is not None and EVENTS.name not in resource_types:
        return []
    translator = translator or KlaviyoTranslator()
    asset = translator.get_asset_spec(EVENTS).key

    @dg.asset_check(
        asset=asset,
        name=checks.COMPLETE,
        description="Klaviyo counts as many events as the table has, for each metric and day older than three days.",
        required_resource_keys={resource_key, duckdb_key},
    )
    def complete(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        from klaviyo_assets.audit.execution import AuditExecution

        return AuditExecution(
            context=context,
            asset=asset,
            schema=translator.schema,
            klaviyo=getattr(context.resources, resource_key),
            duckdb=getattr(context.resources, duckdb_key),
        ).run()

    return [complete]

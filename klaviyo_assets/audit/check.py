"""Builds checks that are apart from the assets: none any more, since the check ``complete`` belongs to the events' asset."""

from collections.abc import Sequence

import dagster as dg

from klaviyo_assets.translator import KlaviyoTranslator


def build_klaviyo_checks(
    *,
    resource_types: Sequence[str] | None = None,
    resource_key: str = "klaviyo",
    duckdb_key: str = "duckdb",
    translator: KlaviyoTranslator | None = None,
) -> list[dg.AssetChecksDefinition]:
    """Return no checks: every check is part of its asset, ``complete`` of events too. Kept so that code for earlier versions loads.

    Args:
        resource_types: Without effect.
        resource_key: Without effect.
        duckdb_key: Without effect.
        translator: Without effect.

    Example:
        >>> build_klaviyo_checks(resource_types=["events"])
        []
    """
    return []

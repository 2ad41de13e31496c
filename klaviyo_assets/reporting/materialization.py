"""Converts a sync's report to a materialization with metadata for the UI."""

from collections.abc import Callable
from typing import Any

import dagster as dg

from klaviyo_assets._internal.sanitize import markdown
from klaviyo_assets.extract.slices import shorten_names
from klaviyo_assets.sync.sync_report import SyncReport


def materialization(report: SyncReport, preview: str, asset: dg.AssetKey, with_configured_names: Callable[[str], str]) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Return the materialization of an asset.

    Args:
        report: What the sync did.
        preview: Some rows as a Markdown table, personal data masked.
        asset: Key of the asset.
        with_configured_names: Replaces the names of settings in a message by the user's own.
    """
    row = report.row
    metadata: dict[str, Any] = {
        "dagster/row_count": report.row_count,
        "mode": str(row.mode),
        "records_read": row.records_read,
        "rows_inserted": row.rows_inserted,
        "rows_updated": row.rows_updated,
        "rows_deleted": row.rows_deleted,
        "requests": row.requests,
        "throttled_429": row.throttled,
        "bytes": row.bytes,
        "seconds": round(report.seconds, 2),
        "seconds_waited_for_rate_limit": row.seconds_waited,
        "read": dg.MetadataValue.md("\n".join(f"- {name}" for name in shorten_names(report.slices)) or "nothing"),
        "resumed": report.resumed,
        "account": row.account_id,
        "preview": dg.MetadataValue.md(preview),
    }
    if report.notes:
        metadata["notes"] = dg.MetadataValue.md("\n".join(f"- {markdown(with_configured_names(note))}" for note in report.notes))
    return dg.MaterializeResult(asset_key=asset, metadata=metadata, data_version=dg.DataVersion(report.data_version))

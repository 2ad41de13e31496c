"""Runs the op of the published copy."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import dagster as dg

from klaviyo_assets.catalog import CATALOG, Catalog
from klaviyo_assets.publish.parquet import month_columns
from klaviyo_assets.publish.publisher import Publication, Publisher
from klaviyo_assets.publish.target import NotPublished, PublishTarget
from klaviyo_assets.reporting.failures import EXPLAINED, failure
from klaviyo_assets.reporting.run_log import in_the_log_of
from klaviyo_assets.resources import KlaviyoResource
from klaviyo_assets.setting_names import SettingNames
from klaviyo_assets.warehouse.factory import warehouse_with


@dataclass(frozen=True)
class PublishStep:
    """One execution of the op.

    Args:
        context: Dagster's execution context.
        asset: Key of the asset.
        klaviyo: The Klaviyo resource, for the settings of the database.
        duckdb: The DuckDB resource.
        target: The files to write.
        setting_names: What messages call the settings.
        catalog: Resource types of the code location.
    """

    context: dg.AssetExecutionContext
    asset: dg.AssetKey
    klaviyo: KlaviyoResource
    duckdb: Any
    target: PublishTarget
    setting_names: SettingNames
    catalog: Catalog

    def run(self) -> Iterator[dg.MaterializeResult[Any]]:
        """Yield the materialization, or nothing if a running sync has committed a part of its rows: then the earlier copy stays.

        Raises:
            dagster.Failure: If the copy cannot be written.
        """
        try:
            published = self._publish()
        except NotPublished as error:
            self.context.log.warning("%s", error)
            return
        except EXPLAINED as error:
            raise failure(error, self.setting_names.with_configured_names) from None
        for name in published.incomplete:
            self.context.log.warning("%s: its latest sync did not succeed; the table _published of the copy says up to when it is complete.", name)
        yield dg.MaterializeResult(asset_key=self.asset, metadata=metadata_of(published), data_version=dg.DataVersion(published.version))

    def _publish(self) -> Publication:
        with in_the_log_of(self.context.log, self.setting_names.with_configured_names):
            months = month_columns(CATALOG.updated(self.catalog))
            return Publisher(warehouse_with(self.klaviyo, self.duckdb), self.target, months).publish()


def metadata_of(published: Publication) -> dict[str, Any]:
    """Return the metadata of a materialization."""
    types = [
        dg.TableRecord(
            {
                "resource type": one.resource_type,
                "complete until": "" if one.complete_until is None else one.complete_until.isoformat(timespec="seconds"),
                "latest sync": one.latest_outcome,
            }
        )
        for one in published.types
    ]
    metadata: dict[str, Any] = {
        "file": dg.MetadataValue.path(str(published.target.file)),
        "bytes": published.bytes,
        "types": dg.MetadataValue.table(types) if types else "none",
    }
    if published.complete_until is not None:
        metadata["complete until"] = dg.MetadataValue.timestamp(published.complete_until)
    if published.target.parquet is not None:
        written, kept = published.parquet_files
        metadata |= {"parquet": dg.MetadataValue.path(str(published.target.parquet)), "parquet files written": written, "parquet files kept": kept}
    return metadata

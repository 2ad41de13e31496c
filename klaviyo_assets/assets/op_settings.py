"""What all ops of an account have in common."""

from dataclasses import dataclass
from typing import Any

import dagster as dg

from klaviyo_assets.catalog import Catalog
from klaviyo_assets.setting_names import SettingNames


@dataclass(frozen=True)
class OpSettings:
    """The settings of an account's ops.

    Args:
        resource_key: Key of the Klaviyo resource.
        duckdb_key: Key of the DuckDB resource.
        schema: DuckDB schema.
        pool: Dagster concurrency pool of the ops.
        retry_policy: For failures where a retry may help.
        setting_names: What messages call the settings.
        catalog: All resource types.
    """

    resource_key: str
    duckdb_key: str
    schema: str
    pool: str | None
    retry_policy: dg.RetryPolicy | None
    setting_names: SettingNames
    catalog: Catalog

    @property
    def op_arguments(self) -> dict[str, Any]:
        """Arguments of ``multi_asset``."""
        return {"pool": self.pool, "retry_policy": self.retry_policy, "required_resource_keys": {self.resource_key, self.duckdb_key}}

    def step_arguments(self, context: dg.AssetExecutionContext) -> dict[str, Any]:
        """Return fields of a step of the op that runs: its resources, and what else it needs of the settings."""
        return {
            "context": context,
            "schema": self.schema,
            "klaviyo": getattr(context.resources, self.resource_key),
            "duckdb": getattr(context.resources, self.duckdb_key),
            "setting_names": self.setting_names,
            "catalog": self.catalog,
        }

"""Runs of the op that small resource types share, and what they report."""

from pathlib import Path
from typing import Any

import dagster as dg

from klaviyo_assets import (
    CATALOG,
    KlaviyoResource,
    KlaviyoTranslator,
    build_klaviyo_definitions,
)
from klaviyo_assets.catalog import ResourceType
from klaviyo_assets.sandbox.keys import ALL_SCOPES_KEY
from klaviyo_assets.sandbox.process import SandboxProcess

SMALL = {name for name in CATALOG.default_names if CATALOG[name].read_in_seconds}
OP = "klaviyo_small_types"


def definitions(sandbox: SandboxProcess, folder: Path, key: str = ALL_SCOPES_KEY, max_retries: int = 1, **options: Any) -> dg.Definitions:
    klaviyo = KlaviyoResource(api_key=key, base_url=sandbox.base_url, rate_limit_share=1.0, max_retries=max_retries)
    return build_klaviyo_definitions(klaviyo, duckdb=str(folder / "warehouse.duckdb"), executor=dg.in_process_executor, **options)


def sync(defs: dg.Definitions, instance: dg.DagsterInstance, *names: str, **config: str) -> dg.ExecuteInProcessResult:
    """Sync small types: those named, or all; with run config of their op."""
    keys = [dg.AssetKey(["klaviyo", name]) for name in names or sorted(SMALL)]
    run_config = {"ops": {OP: {"config": config}}} if config else None
    return defs.resolve_job_def("klaviyo_sync").execute_in_process(
        instance=instance, asset_selection=keys, run_config=run_config, raise_on_error=False
    )


def checks(result: dg.ExecuteInProcessResult) -> dict[tuple[str, str], bool]:
    return {(one.asset_key.path[-1], one.check_name): one.passed for one in result.get_asset_check_evaluations()}


def failure(result: dg.ExecuteInProcessResult) -> tuple[str, dict[str, Any]]:
    """Return the description and the metadata of the shared op's failure."""
    data = result.failure_data_for_node(OP)
    assert data is not None
    assert data.user_failure_data is not None
    metadata = {name: value if isinstance(value, dg.TableMetadataValue) else value.value for name, value in data.user_failure_data.metadata.items()}
    return data.user_failure_data.description or "", metadata


class Renamed(KlaviyoTranslator):
    def get_asset_spec(self, entry: ResourceType) -> dg.AssetSpec:
        return super().get_asset_spec(entry).replace_attributes(key=["shop", f"my_{entry.name}"])

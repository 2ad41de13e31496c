"""Runs of all assets of a small account in this process, and what they report."""

from pathlib import Path
from typing import Any

import dagster as dg

from klaviyo_assets import KlaviyoResource, build_klaviyo_definitions
from klaviyo_assets.sandbox.keys import ALL_SCOPES_KEY
from klaviyo_assets.sandbox.process import SandboxProcess


def definitions(sandbox: SandboxProcess, folder: Path, key: str = ALL_SCOPES_KEY, **options: Any) -> dg.Definitions:
    klaviyo = KlaviyoResource(api_key=key, base_url=sandbox.base_url, rate_limit_share=1.0, max_retries=1, **options)
    return build_klaviyo_definitions(klaviyo, duckdb=str(folder / "warehouse.duckdb"), executor=dg.in_process_executor)


def execute(defs: dg.Definitions, instance: dg.DagsterInstance, job: str = "klaviyo_sync", **options: Any) -> dg.ExecuteInProcessResult:
    return defs.resolve_job_def(job).execute_in_process(instance=instance, raise_on_error=False, **options)


def check_results(result: dg.ExecuteInProcessResult) -> dict[tuple[str, str], Any]:
    return {(one.asset_key.path[-1], one.check_name): one for one in result.get_asset_check_evaluations()}


def materialized(result: dg.ExecuteInProcessResult) -> set[str]:
    return {event.asset_key.path[-1] for event in result.get_asset_materialization_events() if event.asset_key is not None}

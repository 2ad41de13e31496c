"""Syncs that find nothing new: requests, duration and growth of the file."""

import asyncio
import logging
import time

from dagster_duckdb import DuckDBResource

from benchmarks.measuring import folder
from benchmarks.table import table
from klaviyo_assets.api.auth import parse_api_key
from klaviyo_assets.api.client import KlaviyoClient
from klaviyo_assets.api.client_settings import ClientSettings
from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.extract.sync_options import SyncOptions
from klaviyo_assets.sandbox import ALL_SCOPES_KEY, SandboxOptions, SandboxProcess
from klaviyo_assets.sync.sync_report import SyncReport
from klaviyo_assets.sync.sync_runner import SyncRunner
from klaviyo_assets.warehouse.local_file import LocalFile
from klaviyo_assets.warehouse.tuning import CONNECTION_CONFIG

_ACCOUNT = SandboxOptions(
    events=5_000, profiles=500, campaigns=60, flows=20, lists=25, segments=30, metrics=30, reviews=200, history_days=200, limits=False
)


def report(quick: bool) -> str:
    """Run it."""
    repeats = 10 if quick else 100
    with SandboxProcess(_ACCOUNT) as sandbox, folder() as into:
        path = into / "klaviyo.duckdb"
        warehouse = LocalFile(DuckDBResource(database=str(path), connection_config=dict(CONNECTION_CONFIG)))
        first = {name: _sync(sandbox.base_url, warehouse, name) for name in CATALOG}
        for _ in range(2):
            idle = {name: _sync(sandbox.base_url, warehouse, name) for name in CATALOG}
        size, began = path.stat().st_size, time.perf_counter()
        for _ in range(repeats):
            for name in CATALOG:
                _sync(sandbox.base_url, warehouse, name)
        elapsed, growth = time.perf_counter() - began, path.stat().st_size - size
    lines = [
        [name, first[name].row.requests, one.row.requests, one.row.rows_updated + one.row.rows_inserted, one.seconds] for name, one in idle.items()
    ]
    summary = f"{repeats} idle syncs of all {len(CATALOG)} types: {elapsed / repeats:.1f} s each, {growth:,} bytes of growth ({size:,} before)."
    return table(["type", "requests of the first sync", "requests of an idle sync", "rows written", "seconds"], lines) + "\n\n" + summary


def _sync(base_url: str, warehouse: LocalFile, name: str) -> SyncReport:
    async def run() -> SyncReport:
        settings = ClientSettings(base_url=base_url, rate_limit_share=1.0)
        async with KlaviyoClient(parse_api_key(ALL_SCOPES_KEY), settings) as client:
            return await SyncRunner(CATALOG[name], SyncOptions(), client, warehouse, "klaviyo", None, logging.getLogger("benchmarks")).run()

    return asyncio.run(run())

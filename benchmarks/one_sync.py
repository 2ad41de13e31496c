"""Run one sync in this process and print its measurements as JSON. The first argument is a JSON object of options."""

import asyncio
import json
import logging
import resource
import sys
import time
from dataclasses import replace
from pathlib import Path

from dagster_duckdb import DuckDBResource

from benchmarks.machine import peak_mb
from klaviyo_assets.api.auth import parse_api_key
from klaviyo_assets.api.client import KlaviyoClient
from klaviyo_assets.api.client_settings import ClientSettings
from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.catalog.endpoint import RateLimit
from klaviyo_assets.extract.sync_options import SyncOptions
from klaviyo_assets.sync.sync_report import SyncReport
from klaviyo_assets.sync.sync_runner import SyncRunner
from klaviyo_assets.warehouse.local_file import LocalFile
from klaviyo_assets.warehouse.tuning import CONNECTION_CONFIG

KEY = f"pk_{'0123456789abcdef' * 2}ab"
UNPACED = RateLimit(burst=100_000, steady=6_000_000)


async def run(
    base_url: str,
    name: str,
    warehouse: LocalFile,
    share: float = 1.0,
    paced: bool = True,
    concurrency: int = 64,
    verbose: bool = False,
    key: str = KEY,
    derive: bool = True,
    views: bool = True,
) -> SyncReport:
    """Sync a resource type into a database.

    Args:
        base_url: Address of the server.
        name: The resource type.
        warehouse: The database.
        share: Share of the rate limit.
        paced: False to ignore the rate limit.
        concurrency: Maximum number of concurrent requests.
        verbose: Print the log.
        key: The API key.
        derive: False to neither compute columns nor sort staged rows.
        views: False for a schema with the name of the database, in which there are no views of metrics.
    """
    logging.basicConfig(level=logging.INFO if verbose else logging.ERROR, stream=sys.stderr, format="%(relativeCreated)d %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    entry = CATALOG[name]
    if not paced:
        entry = replace(entry, endpoint=replace(entry.endpoint, limit=UNPACED, reduced_limits=()))
    if not derive:
        entry = replace(entry, columns=entry.received_columns, sorted_by=())
    settings = ClientSettings(base_url=base_url, rate_limit_share=share, concurrency=concurrency)
    async with KlaviyoClient(parse_api_key(key), settings) as client:
        return await SyncRunner(
            entry, SyncOptions(), client, warehouse, "klaviyo" if views else warehouse.path.stem, None, logging.getLogger("benchmarks")
        ).run()


def main(base_url: str, name: str, folder: str, report_failure: bool = False, memory_limit: str | None = None, **options: object) -> None:
    """Sync and print the measurements.

    Args:
        base_url: Address of the server.
        name: The resource type.
        folder: Folder of the database.
        report_failure: Print an error instead of raising it.
        memory_limit: Memory that DuckDB may use; None for the default.
        options: Arguments of :func:`run`.
    """
    file = DuckDBResource(database=str(Path(folder) / "warehouse.duckdb"), connection_config=dict(CONNECTION_CONFIG))
    warehouse = LocalFile(file, memory_limit=memory_limit)
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    try:
        report = asyncio.run(run(base_url, name, warehouse, **options))  # type: ignore[arg-type]
    except Exception as error:
        if not report_failure:
            raise
        print(json.dumps({"error": f"{type(error).__name__}: {str(error)[:100]}", "rows": 0, "peak_mb": peak_mb()}))
        return
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF)
    measurements = {
        "rows": report.row_count,
        "seconds": seconds,
        "cpu_seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "peak_mb": peak_mb(),
        "requests": report.row.requests,
        "throttled": report.row.throttled,
        "read": report.row.records_read,
        "database_mb": warehouse.path.stat().st_size / 1e6,
    }
    print(json.dumps(measurements))


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))

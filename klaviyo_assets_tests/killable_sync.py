"""A sync in its own process with many small pages and loads, which prints a line when each load begins.

Run as ``python -m klaviyo_assets_tests.killable_sync BASE_URL FOLDER RESOURCE_TYPE [PAGES]``; with a number, it kills itself after so many pages.
"""

import asyncio
import logging
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from klaviyo_assets.api.auth import parse_api_key
from klaviyo_assets.api.client import KlaviyoClient
from klaviyo_assets.api.client_settings import ClientSettings
from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.catalog.endpoint import PageSize
from klaviyo_assets.extract import dividing
from klaviyo_assets.extract.sync_options import SyncOptions
from klaviyo_assets.load.loader import Loader
from klaviyo_assets.sandbox.keys import ALL_SCOPES_KEY
from klaviyo_assets.staging import background_writer, staging
from klaviyo_assets.staging.staging import Staging
from klaviyo_assets.sync import sync_runner as run
from klaviyo_assets_tests.accounts import local_file

LOADING, RECEIVED = "loading", "received"

PAGES_BEFORE = 8
"""Pages of a chain after which it is divided: fewer than usual, like everything else here."""


async def main(base_url: str, folder: str, name: str, pages: str = "") -> None:
    background_writer.ROWS_PER_LOAD, background_writer._GROWTH = 100, 1_000_000
    staging.ROWS_PER_FILE = 50
    dividing.PAGES_BEFORE = PAGES_BEFORE
    if pages:
        _die_after(int(pages))
    load = Loader.load

    def announced(self: Loader, *arguments: Any, **named: Any) -> None:
        print(LOADING, flush=True)
        load(self, *arguments, **named)

    Loader.load = announced  # type: ignore[method-assign]
    key = parse_api_key(ALL_SCOPES_KEY)
    async with KlaviyoClient(key, ClientSettings(base_url=base_url, rate_limit_share=1.0, concurrency=4)) as client:
        warehouse = local_file(Path(folder))
        log = logging.getLogger("klaviyo_assets_tests")
        entry = CATALOG[name]
        entry = replace(entry, endpoint=replace(entry.endpoint, page_size=PageSize(20, 20 if pages else 100)))
        await run.SyncRunner(entry, SyncOptions(), client, warehouse, "klaviyo", None, log).run()


def _die_after(pages: int) -> None:
    """Print how many records the sync has received, and kill the process, after a number of pages."""
    add, records = Staging.add, list[int]()

    def counted(self: Staging, *arguments: Any, **named: Any) -> None:
        add(self, *arguments, **named)
        records.append(arguments[1].count)
        if len(records) == pages:
            print(RECEIVED, sum(records), flush=True)
            os.kill(os.getpid(), signal.SIGKILL)

    Staging.add = counted  # type: ignore[method-assign]


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

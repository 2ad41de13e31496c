"""The steps of one sync from its pages to its table: early loads, and resources that the key may not read."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from polars.testing import assert_frame_equal

from klaviyo_assets.api.auth import parse_api_key
from klaviyo_assets.api.client import KlaviyoClient
from klaviyo_assets.api.client_settings import ClientSettings
from klaviyo_assets.api.klaviyo_errors import AccessDenied
from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.catalog.endpoint import TIER_XL
from klaviyo_assets.extract.feed import Feed
from klaviyo_assets.extract.sync_options import SyncOptions
from klaviyo_assets.load.batch import Batch
from klaviyo_assets.load.loader import Loader
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.staging import background_writer
from klaviyo_assets.state.sync_log import SyncLogEntry
from klaviyo_assets.sync.sync_runner import SyncRunner
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import in_small_pages, query, sync, table, truth

NewAccount = Callable[..., SandboxProcess]


@pytest.mark.long
def test_most_rows_are_loaded_before_the_last_ones_are_read(account: SandboxProcess, warehouse: LocalFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background_writer, "_MIN_ROWS_EARLY", 100)
    monkeypatch.setattr(background_writer, "_SECONDS_PER_FILE", 0.0)
    loads: list[int] = []
    load = Loader.load

    def counted(self: Loader, batch: Batch, row: SyncLogEntry, **named: Any) -> None:
        loads.append(batch.rows)
        load(self, batch, row, **named)

    monkeypatch.setattr(Loader, "load", counted)

    report = sync(in_small_pages("events"), account, warehouse, concurrency=1)

    assert len(loads) > 1
    assert sum(loads) == report.row_count
    assert_frame_equal(table(warehouse, "events"), truth(account, "events"))


@pytest.mark.long
def test_a_type_whose_records_the_key_may_not_include_gets_the_error_and_the_host_is_read_without_them(
    new_account: NewAccount, warehouse: LocalFile
) -> None:
    sandbox = new_account(events=0, profiles=5, flows=8, includes_need_scope=True)
    flows, host = CATALOG["flows"], CATALOG["flow_actions"].required_host
    flows = replace(flows, endpoint=replace(flows.endpoint, limit=TIER_XL, reduced_limits=()))
    entry = replace(CATALOG["flow_actions"], name="flow_tags", jsonapi_type="tag", scope="tags:read", host=replace(host, relationship="tags"))

    async def run() -> tuple[tuple[str, ...], Exception]:
        feed = Feed(entry)
        feed.join()
        settings = ClientSettings(base_url=sandbox.base_url, rate_limit_share=1.0)
        async with KlaviyoClient(parse_api_key(sandbox.keys.lacking("tags:read")), settings) as client:
            log = logging.getLogger("klaviyo_assets_tests")
            report = await SyncRunner(flows, SyncOptions(), client, warehouse, "klaviyo", None, log, feeds=[feed]).run()
        with pytest.raises(AccessDenied) as caught:
            await anext(feed.pages())  # a page without the records would look as if there were none
        return report.notes, caught.value

    notes, error = asyncio.run(run())

    assert "tags:read" in str(error)
    assert any(note.startswith("flows are read without their tags, because the API key lacks tags:read") for note in notes)
    assert_frame_equal(table(warehouse, "flows").drop("tag_ids"), truth(sandbox, "flows").drop("tag_ids"))
    assert query(warehouse, "SELECT outcome FROM _syncs") == [("succeeded",)]

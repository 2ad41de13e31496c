"""The examples of code that extends the package (docs/extending.md) work without changes."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.extract.sync_options import SyncMode, SyncOptions
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets.warehouse.factory import warehouse_from
from klaviyo_assets_tests import docs_examples
from klaviyo_assets_tests.accounts import query, sync
from klaviyo_assets_tests.docs_examples import OWN_TYPES, example

NewAccount = Callable[..., SandboxProcess]


@pytest.mark.long
def test_types_of_your_own(new_account: NewAccount, warehouse: LocalFile) -> None:
    types = example(OWN_TYPES)
    shop = new_account(profiles=30, events=30, catalog=f"{docs_examples.__name__}:MINE")

    for entry in (types.IMPORT_JOBS, types.IMPORT_ERRORS):
        assert sync(entry, shop, warehouse).row.rows_inserted == len(shop.truth(entry.name)) > 0

    assert query(warehouse, "SELECT count(*) FROM import_errors WHERE job_id NOT IN (SELECT id FROM import_jobs)") == [(0,)]
    assert {*types.MINE} == {*CATALOG, "import_jobs", "import_errors"}
    assert "klaviyo_sync" in {job.name for job in types.defs.resolve_all_job_defs()}


def test_a_strategy_of_your_own(account: SandboxProcess, warehouse: LocalFile) -> None:
    entry = example("A strategy of your own").RECENT_TEMPLATES

    for mode in (SyncMode.incremental, SyncMode.full):
        report = sync(entry, account, warehouse, SyncOptions(mode))
        (row,) = query(warehouse, "SELECT count(*), count(_deleted_at), min(updated) >= now() - INTERVAL 31 DAY FROM recent_templates")
        assert row == (report.row.records_read, 0, True)
        assert 0 < report.row.records_read < len(account.truth("templates"))


def test_a_transport_of_your_own(account: SandboxProcess, caplog: pytest.LogCaptureFixture) -> None:
    klaviyo = example("A transport of your own").LoggedKlaviyo(api_key=account.keys.all_scopes, base_url=account.base_url)

    async def read() -> None:
        async with klaviyo.client() as client:
            await client.get(CATALOG["lists"], "/api/lists", {}, bytes)

    with caplog.at_level(logging.INFO, "my_project"):
        asyncio.run(read())

    assert "200 /api/lists" in caplog.messages


def test_a_database_of_your_own(account: SandboxProcess, tmp_path: Path) -> None:
    resource = example("A database of your own").LakeResource(address=str(tmp_path / "lake.db"), folder=str(tmp_path / "state"))
    lake = warehouse_from(resource)

    report = sync("lists", account, lake)

    assert query(lake, "SELECT count(*) FROM lists") == [(report.row.records_read,)]

"""The examples of code that extends the package (docs/in-your-project.md) work as they stand."""

import asyncio
import importlib.util
import logging
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.extract.options import SyncMode, SyncOptions
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets.warehouse.factory import warehouse_from
from klaviyo_assets_tests.accounts import query, sync
from klaviyo_assets_tests.outside_types import NAME

PAGE = Path(__file__).parents[1] / "docs" / "in-your-project.md"

Example = Callable[[str], ModuleType]
NewAccount = Callable[..., SandboxProcess]


@pytest.fixture
def example(tmp_path: Path) -> Example:
    """Return a function that loads the code below a heading as a module."""

    def load(heading: str) -> ModuleType:
        _, _, below = PAGE.read_text().partition(f"# {heading}\n")
        (code,) = re.findall(r"```python\n(.*?)```", re.split(r"\n##+ ", below)[0], re.DOTALL)
        path = tmp_path / "example.py"
        path.write_text(code)
        spec = importlib.util.spec_from_file_location("example", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


def test_types_of_your_own(example: Example, new_account: NewAccount, warehouse: LocalFile) -> None:
    types = example("Resource types of your own")
    shop = new_account(profiles=30, events=30, catalog=NAME)

    for entry in (types.COUPONS, types.COUPON_CODES):
        assert sync(entry, shop, warehouse).row.rows_inserted == len(shop.truth(entry.name)) > 0

    assert query(warehouse, "SELECT count(*) FROM coupon_codes WHERE coupon_id NOT IN (SELECT id FROM coupons)") == [(0,)]
    assert {*types.MINE} == {*CATALOG, "coupons", "coupon_codes"}
    assert "klaviyo_sync" in {job.name for job in types.defs.resolve_all_job_defs()}


def test_a_strategy_of_your_own(example: Example, account: SandboxProcess, warehouse: LocalFile) -> None:
    entry = example("A strategy of your own").RECENT_TEMPLATES

    for mode in (SyncMode.incremental, SyncMode.full):
        report = sync(entry, account, warehouse, SyncOptions(mode))
        (row,) = query(warehouse, "SELECT count(*), count(_deleted_at), min(updated) >= now() - INTERVAL 31 DAY FROM recent_templates")
        assert row == (report.row.records_read, 0, True)
        assert 0 < report.row.records_read < len(account.truth("templates"))


def test_a_transport_of_your_own(example: Example, account: SandboxProcess, caplog: pytest.LogCaptureFixture) -> None:
    klaviyo = example("A transport of your own").LoggedKlaviyo(api_key=account.keys.all_scopes, base_url=account.base_url)

    async def read() -> None:
        async with klaviyo.client() as client:
            await client.get(CATALOG["lists"], "/api/lists", {}, bytes)

    with caplog.at_level(logging.INFO, "my_project"):
        asyncio.run(read())

    assert "200 /api/lists" in caplog.messages


def test_a_database_of_your_own(example: Example, account: SandboxProcess, tmp_path: Path) -> None:
    resource = example("A database of your own").LakeResource(address=str(tmp_path / "lake.db"), folder=str(tmp_path / "state"))
    lake = warehouse_from(resource)

    report = sync("lists", account, lake)

    assert query(lake, "SELECT count(*) FROM lists") == [(report.row.records_read,)]

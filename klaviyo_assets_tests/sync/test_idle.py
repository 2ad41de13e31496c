"""Syncs of an account in which nothing happens."""

import pytest

from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import query, sync

pytestmark = [pytest.mark.duckdb, pytest.mark.slow]


def test_the_file_does_not_grow(account: SandboxProcess, warehouse: LocalFile) -> None:
    sizes = []
    for _ in range(14):
        for name in CATALOG:
            sync(name, account, warehouse)
        sizes.append(warehouse.path.stat().st_size)

    assert len(set(sizes[2:])) == 1, sizes
    assert query(warehouse, "SELECT count(*), count(DISTINCT outcome) FROM _syncs") == [(14 * len(CATALOG), 1)]

"""docs/operations.md: a backup that its code makes, restored as it says, continues where it was."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets_tests.accounts import local_file, query, sync
from klaviyo_assets_tests.documentation.blocks import run_python

ROWS = "SELECT id, datetime, event_properties FROM events WHERE _deleted_at IS NULL ORDER BY id"


@pytest.mark.long
def test_a_restored_backup_continues(new_account: Callable[..., SandboxProcess], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shop = new_account(profiles=100, events=400)
    warehouse = local_file(tmp_path / "data", "warehouse.duckdb")
    sync("events", shop, warehouse)
    before = query(warehouse, ROWS)

    run_python("docs/operations.md")
    shop.advance(timedelta(hours=3))
    sync("events", shop, warehouse)
    after = query(warehouse, ROWS)
    (tmp_path / "data" / "backup.duckdb").replace(warehouse.path)
    restored = query(warehouse, ROWS)
    sync("events", shop, warehouse)

    assert restored == before != after == query(warehouse, ROWS)

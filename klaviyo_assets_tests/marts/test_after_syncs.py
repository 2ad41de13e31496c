"""Marts of a sandbox account that real syncs keep up to date."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from klaviyo_assets.extract.options import SyncMode, SyncOptions
from klaviyo_assets.marts.library import Models, read_models
from klaviyo_assets.marts.results import ModelResult, Outcome
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import local_file, query, sync
from klaviyo_assets_tests.marts.folders import write_model
from klaviyo_assets_tests.marts.stored import StoredAccount

pytestmark = pytest.mark.long

TABLES = ("accounts", "metrics", "mapped_metrics", "campaigns", "flows", "profiles", "events")


def built(account: StoredAccount, sandbox: SandboxProcess, models: Models) -> dict[str, ModelResult]:
    """Build the models; incremental ones equal what their statements return over all rows."""
    account.now = sandbox.now()
    results = account.build(models)
    incremental = [name for name in models if models[name].header.scope is not None]
    assert incremental
    for name, (rows, computed) in account.built_and_computed(models, incremental).items():
        assert rows == computed, f"{name} was {results[name].outcome}"
    return results


def test_incremental_marts_follow_real_syncs(new_account: Callable[..., SandboxProcess], tmp_path: Path) -> None:
    """Late events, a merge, a deleted profile and a full sync."""
    sandbox, warehouse = new_account(events=1_500, profiles=300), local_file(tmp_path, "shop.duckdb")
    account = StoredAccount(warehouse)
    by_day = "SELECT day, metric_id, count(*) AS events, count(DISTINCT profile_id) AS people FROM live_events GROUP BY ALL"
    write_model(tmp_path / "m", "per_day", by_day, key="day, metric_id", header="-- incremental: day\n-- column day: Day.\n")
    models = read_models([tmp_path / "m"])
    for name in TABLES:
        sync(name, sandbox, warehouse)
    first = built(account, sandbox, models)
    assert first["fct_orders"].rows > 0
    assert first["fct_message_profile"].rows > 0

    for days in (0.1, 3, 40):
        sandbox.change("event", datetime=sandbox.now() - timedelta(days=days))
    sandbox.advance(timedelta(hours=2))
    sync("events", sandbox, warehouse)
    changed = built(account, sandbox, models)
    assert changed["fct_orders"].outcome is Outcome.UPDATED
    assert 0 < changed["fct_orders"].groups < 100

    ids = [id_ for (id_,) in query(warehouse, "SELECT profile_id FROM klaviyo.events WHERE profile_id IS NOT NULL GROUP BY 1 ORDER BY count(*) DESC")]
    sandbox.change("merge", source=ids[0], destination=ids[1])
    sandbox.advance(timedelta(hours=7))
    for name in ("profiles", "events"):
        sync(name, sandbox, warehouse)
    built(account, sandbox, models)

    sandbox.change("delete", type="profiles", id=ids[2])
    sync("events", sandbox, warehouse, SyncOptions(SyncMode.full))
    assert built(account, sandbox, models)["per_day"].outcome is Outcome.REBUILT
    assert built(account, sandbox, models)["per_day"].outcome is Outcome.UNCHANGED
    assert orders(warehouse) == orders(warehouse, "klaviyo_marts.fct_orders", "ordered_at <= current_timestamp")


def orders(warehouse: LocalFile, table: str = "", condition: str = "") -> int:
    """Count the orders in the marts, or in the events."""
    if table:
        return int(query(warehouse, f"SELECT count(*) FROM {table} WHERE {condition}")[0][0])
    metrics = "SELECT metric_id FROM klaviyo_marts.metric_roles WHERE role = 'revenue'"
    return orders(warehouse, "klaviyo.events", f"metric_id IN ({metrics}) AND _deleted_at IS NULL AND datetime <= current_timestamp")

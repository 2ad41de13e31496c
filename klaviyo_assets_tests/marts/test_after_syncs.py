"""Marts of a sandbox account that real syncs keep up to date."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from klaviyo_assets.extract.sync_options import SyncMode, SyncOptions
from klaviyo_assets.marts.library import Models, read_models
from klaviyo_assets.marts.results import ModelResult, Outcome
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets_tests.accounts import local_file, query, sync
from klaviyo_assets_tests.marts.folders import write_model
from klaviyo_assets_tests.marts.stored import StoredAccount

pytestmark = pytest.mark.long

MESSAGES = ("campaigns", "campaign_messages", "flows", "flow_actions", "flow_messages")
TABLES = ("accounts", "metrics", "mapped_metrics", *MESSAGES, "profiles", "events")


def built(account: StoredAccount, sandbox: SandboxProcess, models: Models) -> dict[str, ModelResult]:
    """Build the models; incremental ones equal what their statements return over all rows."""
    account.now = sandbox.now()
    incremental = [name for name in models if models[name].header.scope is not None]
    assert incremental
    results = account.build(models, incremental)
    for name, (rows, computed) in account.built_and_computed(models, incremental).items():
        assert rows == computed, f"{name} was {results[name].outcome}"
    return results


def assert_true(account: StoredAccount, sandbox: SandboxProcess) -> None:
    """Compare orders and messages with the truth of the sandbox, after syncs that have read everything."""
    truth = sandbox.shop()
    names = ("profile_id", "value", "currency", "codes", "attributed_event_id", "message_id", "flow_id", "variation_id")
    assert orders(account) == {id_: tuple(order[name] for name in names) for id_, order in truth["orders"].items()}
    assert messages(account) == {(one["message_id"], one["variation_id"] or ""): tuple(one[name] for name in _COUNTS) for one in truth["messages"]}


def orders(account: StoredAccount) -> dict[str, tuple[Any, ...]]:
    names = "attributed_event_id, attributed_message_id, attributed_flow_id, attributed_variation_id"
    rows = account.rows("fct_orders", f"event_id, profile_id, value, currency, coalesce(discount_codes, []), {names}")
    return {id_: tuple(values) for id_, *values in rows}


_COUNTS = {
    "delivered": "sum(delivered)",
    "opens": "sum(opens)",
    "machine_opens": "sum(machine_opens)",
    "opens_unique": "count_if(opens > 0)",
    "human_opens_unique": "count_if(human_opens > 0)",
    "clicks": "sum(clicks)",
    "clicks_unique": "count_if(clicks > 0)",
    "unsubscribes": "sum(unsubscribes)",
    "spam_complaints": "sum(spam_complaints)",
    "conversions": "sum(conversions)",
}
"""SQL for the sandbox's counts of a message, over the people who got it."""


def messages(account: StoredAccount) -> dict[tuple[str, str], tuple[int, ...]]:
    table = account.warehouse.qualified("klaviyo_marts", "fct_message_profile")
    rows = account.execute(f"SELECT message_id, variation_id, {', '.join(_COUNTS.values())} FROM {table} GROUP BY ALL")
    return {(message, variation): tuple(map(int, counts)) for message, variation, *counts in rows}


def test_incremental_marts_follow_real_syncs(new_account: Callable[..., SandboxProcess], tmp_path: Path) -> None:
    """The first sync, then late events, a merge, a deleted profile and a full sync."""
    sandbox, warehouse = new_account(events=1_500, profiles=300), local_file(tmp_path, "shop.duckdb")
    account = StoredAccount(warehouse)
    by_day = "SELECT day, metric_id, count(*) AS events, count(DISTINCT profile_id) AS people FROM live_events GROUP BY ALL"
    write_model(tmp_path / "m", "per_day", by_day, key="day, metric_id", header="-- incremental: day\n-- column day: Day.\n")
    models = read_models([tmp_path / "m"])
    for name in TABLES:
        sync(name, sandbox, warehouse)
    first = built(account, sandbox, models)
    assert_true(account, sandbox)
    # Klaviyo's own attribution follows the same rule.
    assert account.rows("fct_orders", "event_id, attributed_event_id") == account.rows("fct_orders", "event_id, window_event_id")
    assert first["fct_orders"].rows > 0
    assert first["fct_message_profile"].rows > 0

    for days in (0.1, 3, 40):
        sandbox.change("event", datetime=sandbox.now() - timedelta(days=days))
    sandbox.advance(timedelta(hours=2))
    sync("events", sandbox, warehouse)
    changed = built(account, sandbox, models)
    assert changed["fct_orders"].outcome is Outcome.UPDATED
    assert 0 < changed["fct_orders"].groups < 100

    # The third is the most active person who has ordered: its deletion changes what messages count.
    active = "SELECT profile_id FROM klaviyo_marts.fct_message_profile GROUP BY 1 ORDER BY sum(conversions) > 0 DESC, sum(opens + clicks) DESC, 1"
    ids = [id_ for (id_,) in query(warehouse, active) if id_ is not None]
    sandbox.change("merge", source=ids[0], destination=ids[1])
    sandbox.advance(timedelta(hours=7))
    for name in ("profiles", "events"):
        sync(name, sandbox, warehouse)
    built(account, sandbox, models)

    sandbox.change("delete", type="profiles", id=ids[2])
    sync("events", sandbox, warehouse, SyncOptions(SyncMode.full))
    assert built(account, sandbox, models)["per_day"].outcome is Outcome.REBUILT
    assert_true(account, sandbox)
    assert built(account, sandbox, models)["per_day"].outcome is Outcome.UNCHANGED

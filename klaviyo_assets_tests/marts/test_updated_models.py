"""Incremental packaged models, updated after changes, equal the same models computed from all rows."""

from datetime import timedelta
from pathlib import Path

import pytest

from klaviyo_assets.marts import model_build
from klaviyo_assets.marts.library import read_models
from klaviyo_assets.marts.mart_runner import MartRunner
from klaviyo_assets.marts.results import Outcome
from klaviyo_assets.state.sync_log import SyncLog
from klaviyo_assets_tests.accounts import local_file
from klaviyo_assets_tests.marts.small_shop import EVENTS, FM1, GMAIL, M1, NOW, SCHEMA, event, fill
from klaviyo_assets_tests.marts.stored import StoredAccount

pytestmark = [pytest.mark.duckdb, pytest.mark.long]

CHANGES = (
    # Arrives late: the flow's first message to P3, before the one that is known.
    event("late", "received", "P3", "2026-02-01 12:00:00", **FM1, **GMAIL),
    event("late_open", "opened", "P3", "2026-02-02 12:00:00", **FM1, **GMAIL),
    # P2 was merged into P1.
    *({**row, "profile_id": "P1"} for row in EVENTS if row["profile_id"] == "P2"),
    # Deleted, and changed.
    *({**row, "_deleted_at": NOW} for row in EVENTS if row["id"] in ("k2", "O1")),
    *({**row, "value": 45.0, "currency": "EUR"} for row in EVENTS if row["id"] == "O4"),
    event("spam", "spam", "P1", "2026-03-02 20:00:00", **M1, **GMAIL),
)


def test_updated_equals_computed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_build, "_LARGE_SHARE", 1)  # most of this shop changes
    warehouse, models = local_file(tmp_path, "shop.duckdb"), read_models()
    incremental = [name for name, model in models.items() if model.header.scope is not None]
    with warehouse.transaction() as connection:
        fill(connection, SCHEMA, events=())
        SyncLog(connection, warehouse, SCHEMA).prepare()
    account = StoredAccount(warehouse)
    account.now = NOW
    account.sync({"events": EVENTS})
    assert {result.error for result in MartRunner(warehouse, SCHEMA, models).run(incremental, now=account.now)} == {None}

    account.sync({"events": CHANGES})
    account.now += timedelta(minutes=1)
    results = {result.model: result for result in MartRunner(warehouse, SCHEMA, models).run(incremental, now=account.now)}

    assert {results[name].outcome for name in incremental} == {Outcome.UPDATED}
    updated = {name: account.rows(name) for name in incremental}
    assert {result.error for result in MartRunner(warehouse, SCHEMA, models).run(incremental, now=account.now, rebuild=True)} == {None}
    assert updated == {name: account.rows(name) for name in incremental}

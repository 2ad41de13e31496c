"""Incremental packaged models, updated after changes, equal the same models computed from all rows."""

import random
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from klaviyo_assets.marts import model_build
from klaviyo_assets.marts.library import Models, read_models
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


def _shop(folder: Path) -> tuple[StoredAccount, Models]:
    """Return the small shop with all its events, and the packaged models."""
    warehouse = local_file(folder, "shop.duckdb")
    with warehouse.transaction() as connection:
        fill(connection, SCHEMA, events=())
        SyncLog(connection, warehouse, SCHEMA).prepare()
    account = StoredAccount(warehouse)
    account.now = NOW
    account.sync({"events": EVENTS})
    return account, read_models()


def _build(account: StoredAccount, models: Models, **options: Any) -> dict[str, Outcome]:
    """Build the incremental models, and return what was done with each."""
    names = [name for name, model in models.items() if model.header.scope is not None]
    results = list(MartRunner(account.warehouse, SCHEMA, models).run(names, now=account.now, **options))
    assert {result.error for result in results} == {None}
    return {result.model: result.outcome for result in results if result.model in names}


def _assert_equal_to_a_rebuild(account: StoredAccount, models: Models, done: Mapping[str, Outcome]) -> None:
    updated = {name: account.rows(name) for name in done}
    _build(account, models, rebuild=True)
    for name in done:
        assert updated[name] == account.rows(name), f"{name} was {done[name]}"


def test_updated_equals_computed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_build, "_LARGE_SHARE", 1)  # most of this shop changes
    account, models = _shop(tmp_path)
    _build(account, models)

    account.sync({"events": CHANGES})
    account.now += timedelta(minutes=1)
    done = _build(account, models)

    assert {*done.values()} == {Outcome.UPDATED}
    _assert_equal_to_a_rebuild(account, models, done)


def _of(*people: str, **changes: Any) -> list[dict[str, Any]]:
    """Return the events of people with changes."""
    return [{**row, **changes} for row in EVENTS if row["profile_id"] in people]


_LATE = [{**row, "id": f"late-{row['id']}", "datetime": f"{NOW - timedelta(days=40):%F %T}"} for row in EVENTS if row["profile_id"] == "P5"]

KINDS: dict[str, Callable[[StoredAccount], object]] = {
    "late": lambda account: account.sync({"events": [*_LATE, event("late-consent", "subscribed", "P5", "2026-02-10 12:00:00")]}),
    "merged": lambda account: account.sync({"events": _of("P5", profile_id="P3")}),
    "deleted": lambda account: account.sync({"events": _of("P1", "P5", _deleted_at=NOW)}),
    "erased": lambda account: account.execute("DELETE FROM events WHERE profile_id IN ('P1', 'P5')"),
    "field_rule": lambda account: _apply_a_rule(account),
}
"""What happens to the shop, each to rows that the models count."""

UNTOUCHED = {
    "merged": {"consent_daily", "deliverability_daily", "message_activity_daily"},
    "field_rule": {"consent_daily"},
}
"""Models with the same rows afterwards."""


def _apply_a_rule(account: StoredAccount) -> None:
    """Do what a sync does with a new field rule that drops the properties of the events, and what was computed from them."""
    account.execute("CREATE TABLE IF NOT EXISTS _field_rules (resource_type VARCHAR, field VARCHAR, action VARCHAR, salt_fingerprint VARCHAR)")
    account.execute("INSERT INTO _field_rules VALUES ('events', 'event_properties', 'drop', NULL)")
    account.execute("UPDATE events SET event_properties = NULL, message_id = NULL, inbox_provider = NULL, currency = NULL, value = NULL")


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_change_reaches_the_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(model_build, "_LARGE_SHARE", 2)  # all of this shop changes
    account, models = _shop(tmp_path)
    before = {name: account.rows(name) for name in _build(account, models)}

    KINDS[kind](account)
    account.now += timedelta(minutes=1)
    done = _build(account, models)

    assert {*done.values()} == {Outcome.REBUILT if kind == "field_rule" else Outcome.UPDATED}
    assert {name for name, rows in before.items() if rows == account.rows(name)} == UNTOUCHED.get(kind, set())
    _assert_equal_to_a_rebuild(account, models, done)


PEOPLE = ("P1", "P2", "P3", "P4", "P5", "P6")

_SHAPES = {(row["metric_id"], row.get("message_id")): row for row in EVENTS}
"""An event of each metric and message."""

SHAPES = tuple(_SHAPES[key] for key in sorted(_SHAPES, key=str))


def _change(rng: random.Random, account: StoredAccount) -> None:
    """Let something happen to the shop: new, late and future events, changed ones, merges, deletions, erasures and interrupted syncs."""
    known = account.execute("SELECT id, profile_id, value, currency FROM events ORDER BY id")
    some = [row[0] for row in rng.sample(known, 2)]
    match rng.choice(["new", "new", "changed", "merged", "marked", "erased", "waited", "interrupted"]):
        case "new":
            account.sync({"events": [_any_event(rng) for _ in range(4)]})
        case "changed":
            rows = _stored_events(account, some)
            account.sync({"events": [{**row, "value": rng.choice([None, 0.0, 12.5]), "currency": rng.choice(["USD", "EUR"])} for row in rows]})
        case "merged":
            gone, kept = rng.sample(PEOPLE, 2)
            ids = [id_ for id_, owner, *_ in known if owner == gone]
            account.sync({"events": [{**row, "profile_id": kept} for row in _stored_events(account, ids)]})
        case "marked":
            account.sync({"events": [{**row, "_deleted_at": rng.choice([None, account.now])} for row in _stored_events(account, some)]})
        case "erased":
            account.execute(f"DELETE FROM events WHERE profile_id = '{rng.choice(PEOPLE)}'")
        case "waited":
            account.now += timedelta(hours=rng.randrange(1, 40))
        case "interrupted":
            account.sync({"events": [_any_event(rng)]}, outcome=rng.choice(["failed", "killed"]))


def _any_event(rng: random.Random) -> dict[str, Any]:
    at = NOW + timedelta(days=rng.uniform(-60, 2))
    return {**rng.choice(SHAPES), "id": f"{rng.getrandbits(40):010x}", "profile_id": rng.choice(PEOPLE), "datetime": at}


def _stored_events(account: StoredAccount, ids: list[str]) -> list[dict[str, Any]]:
    """Return events of the shop as they were first stored, by id; later ones in the shape of another event of their metric."""
    first = {row["id"]: row for row in EVENTS}
    now = {id_: (metric, message, profile, at) for id_, metric, message, profile, at in _essentials(account)}
    found = []
    for id_ in ids:
        metric, message, profile, at = now[id_]
        shape = first.get(id_) or _SHAPES[metric, message]
        found.append({**shape, "id": id_, "profile_id": profile, "datetime": datetime.fromtimestamp(at / 1e6, UTC)})
    return found


def _essentials(account: StoredAccount) -> list[tuple[Any, ...]]:
    return account.execute("SELECT id, metric_id, message_id, profile_id, epoch_us(datetime) FROM events")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_generated_histories_of_the_packaged_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    monkeypatch.setattr(model_build, "_LARGE_SHARE", 1)  # most of this shop changes
    rng, seen = random.Random(seed), set[Outcome]()
    account, models = _shop(tmp_path)
    _build(account, models)
    for _ in range(4):
        for _ in range(rng.randrange(1, 4)):
            _change(rng, account)
        account.now += timedelta(minutes=1)
        done = _build(account, models)
        seen |= {*done.values()}
        _assert_equal_to_a_rebuild(account, models, done)

    assert Outcome.UPDATED in seen

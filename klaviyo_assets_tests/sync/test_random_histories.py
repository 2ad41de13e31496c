"""Random histories: time passes, records are added, changed and deleted, requests fail, syncs of every kind run; then the tables equal the truth."""

import random
from collections.abc import Callable
from datetime import timedelta

import pytest
from polars.testing import assert_frame_equal

from klaviyo_assets.api.klaviyo_errors import KlaviyoError
from klaviyo_assets.extract.sync_options import SyncMode, SyncOptions
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.staging import background_writer, staging
from klaviyo_assets.state.coverage import TimeWindow
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import sync, table, truth

pytestmark = pytest.mark.slow

NewAccount = Callable[..., SandboxProcess]

TYPES = ("events", "profiles", "reviews", "lists")
SWITCHES = (
    "archived_by_default",
    "all_reviews_by_default",
    "strict_includes_bound",
    "ignore_profiles_upper_bound",
    "archiving_moves_updated",
    "events_move_updated",
    "lone_surrogates",
)


def pass_time(rng: random.Random, sandbox: SandboxProcess) -> None:
    sandbox.advance(timedelta(seconds=rng.choice([1, 5, 30, 600, 3_600, 7_200, 86_400, 3 * 86_400])))


def change_randomly(rng: random.Random, sandbox: SandboxProcess) -> None:
    sandbox.change("round", seed=rng.randrange(1000))


def add_late_event(rng: random.Random, sandbox: SandboxProcess) -> None:
    sandbox.change("event", datetime=sandbox.now() - timedelta(seconds=rng.choice([0, 60, 1_800, 3_500, 5 * 3_600, 2 * 86_400, 16 * 86_400])))


def inject_fault(rng: random.Random, sandbox: SandboxProcess) -> None:
    kind = rng.choice(["503", "cut", "drop", "429", "badjson"])
    sandbox.faults({"path": f"/api/{rng.choice(TYPES)}", "kind": kind, "times": rng.choice([1, 2, 6]), "after": rng.randint(0, 4)})


def request(rng: random.Random, name: str, sandbox: SandboxProcess) -> SyncOptions:
    kind = rng.random()
    if kind < 0.15:
        return SyncOptions(mode=SyncMode.full)
    if kind < 0.3 and name != "lists":
        start = sandbox.now() - timedelta(days=rng.randint(0, 250))
        return SyncOptions(mode=SyncMode.range, window=TimeWindow(start, start + timedelta(days=rng.choice([1, 30, 400]))))
    return SyncOptions()


@pytest.mark.parametrize("seed", range(4))
def test_after_random_changes_the_tables_equal_the_truth(
    seed: int, new_account: NewAccount, warehouse: LocalFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(seed)
    monkeypatch.setattr("klaviyo_assets.api.retries.BACKOFF_BASE", 0.01)
    monkeypatch.setattr(background_writer, "ROWS_PER_LOAD", rng.choice([50, 200, 100_000]))
    monkeypatch.setattr(staging, "ROWS_PER_FILE", rng.choice([20, 100, 20_000]))
    switches = {name: rng.random() < 0.5 for name in SWITCHES}
    sandbox = new_account(seed=seed, events=rng.choice([1, 300, 1_500]), profiles=rng.choice([60, 300]), reviews=rng.choice([0, 120]), **switches)
    sandbox.advance(timedelta(days=30))

    for _ in range(12):
        action = rng.choice([pass_time, pass_time, change_randomly, change_randomly, add_late_event, inject_fault, None, None, None])
        if action is not None:
            action(rng, sandbox)
            continue
        name = rng.choice(TYPES)
        try:
            sync(name, sandbox, warehouse, request(rng, name, sandbox), max_retries=rng.choice([0, 2]), concurrency=rng.choice([1, 3, 8]))
        except KlaviyoError:
            sandbox.clear_faults()
    sandbox.clear_faults()
    sandbox.advance(timedelta(days=18))  # past the last lookback age

    for name in TYPES:
        sync(name, sandbox, warehouse)
        known, stored = truth(sandbox, name), table(warehouse, name)
        assert stored["id"].is_unique().all()
        # Klaviyo does not report deleted and merged records, and merging moves old events: only a full sync finds both.
        not_updated = ("profile_id",) if name == "events" else ()
        assert_frame_equal(stored.filter(stored["id"].is_in(known["id"].implode())).drop(not_updated), known.drop(not_updated))
        sync(name, sandbox, warehouse, SyncOptions(mode=SyncMode.full))
        assert_frame_equal(table(warehouse, name), known)

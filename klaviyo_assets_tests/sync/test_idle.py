"""Syncs of an account in which nothing happens."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import query, sync

_ROUNDS = 7
"""``make benchmarks ONLY=idle`` runs a hundred."""

pytestmark = [pytest.mark.duckdb, pytest.mark.slow]

REQUESTS = {
    "accounts": 1,
    "campaigns": 6,  # three channels, archived or not
    "events": 1,  # the last hour
    "flows": 2,  # live and archived
    "lists": 2,  # twelve, in pages of ten
    "metrics": 1,
    "profiles": 3,  # the last hour, suppressions, unsubscriptions from lists
    "reviews": 1,  # down to below the last sync
    "segments": 2,  # fourteen, in pages of ten
}
"""Requests of a sync that finds nothing new, not counting the probe that returns the server's time."""


def test_the_file_does_not_grow(new_account: Callable[..., SandboxProcess], warehouse: LocalFile) -> None:
    """Only ``_syncs`` gets new rows, and they fit into its last block. The account is always the same, so the block always ends at the same place."""
    account = new_account(base=datetime(2026, 7, 20, 12, tzinfo=UTC), clock=datetime.now(UTC))
    sizes = []
    for _ in range(_ROUNDS):
        requests = {name: sync(name, account, warehouse).row.requests - 1 for name in REQUESTS}
        sizes.append(warehouse.path.stat().st_size)

    assert len(set(sizes[2:])) == 1, sizes
    assert requests.items() >= (REQUESTS.items() - {("events", 1)}), requests
    assert requests["events"] in {1, 6}, "lookback ages are checked once an hour"
    assert query(warehouse, "SELECT count(*), count(DISTINCT outcome) FROM _syncs") == [(_ROUNDS * len(REQUESTS), 1)]

"""All resource types in one job under Klaviyo's limits: requests, minutes and 429s of the first sync and of the next day's."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import duckdb

from benchmarks.fewest_requests import FewestRequests
from benchmarks.job_processes import job_environment, run
from benchmarks.measuring import folder
from benchmarks.table import table
from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.sandbox import SandboxOptions, SandboxProcess

_JOB = "klaviyo_sync"
_LATENCY = 0.3
_ROUNDS = 3
"""Rounds of changes of the next day; each changes one percent of events and profiles, and a few records of each other type."""

_COUNTS = {
    "templates": 2_000,
    "catalog_items": 5_000,
    "catalog_variants": 15_000,
    "coupons": 20,
    "coupon_codes": 5_000,
    "forms": 100,
    "tags": 100,
    "list_members": 12_000,
    "segment_members": 8_000,
    "object_types": 3,
    "object_records": 2_000,
    "push_tokens": 10_000,
}
"""Records of a type; of coupon codes, members and object records, per parent."""

_ACCOUNT = SandboxOptions(
    seed=5,
    events=200_000,
    profiles=12_000,
    campaigns=400,
    flows=120,
    lists=20,
    segments=30,
    metrics=40,
    others=100,
    counts=",".join(f"{name}={count}" for name, count in _COUNTS.items()),
    latency=_LATENCY,
    history_days=700,
)
_QUICK = SandboxOptions(seed=5, events=2_000, profiles=300, lists=5, segments=5, metrics=12, others=5, history_days=200)

_SYNCS = """
    SELECT resource_type, any_value(outcome), sum(requests), sum(throttled), sum(epoch(finished_at - started_at)), max(table_rows)
    FROM _syncs
    WHERE started_at >= ?
    GROUP BY ALL
"""


def report(quick: bool) -> str:
    """Run it, in about a quarter of an hour."""
    with SandboxProcess(_QUICK if quick else _ACCOUNT) as sandbox, folder() as into:
        first = _sync_all(sandbox, into, FewestRequests.first)
        sandbox.advance(timedelta(days=1))
        for seed in range(_ROUNDS):
            sandbox.change("round", seed=seed)
        daily = _sync_all(sandbox, into, FewestRequests.next_day)
    head = ["type", "rows"]
    for sync in ("first sync", "next day"):
        head += [f"{sync}: fewest requests", "requests", "minutes", "429s"]
    return table(head, ([name, first[name].rows, *first[name].columns, *daily[name].columns] for name in CATALOG))


@dataclass(frozen=True)
class _Sync:
    """What a sync of one type took."""

    requests: int
    throttled: int
    seconds: float
    rows: int
    fewest: str

    @property
    def columns(self) -> Sequence[object]:
        """The columns of the report."""
        return self.fewest, self.requests, f"{self.seconds / 60:.1f}", self.throttled


def _sync_all(sandbox: SandboxProcess, into: Path, fewest: Callable[[FewestRequests, ResourceType], str]) -> dict[str, _Sync]:
    """Run the job with all types; return what each type's sync took."""
    began = sandbox.now()
    run(_JOB, into, {**job_environment(sandbox, into), "KLAVIYO_RESOURCE_TYPES": "all"})
    with duckdb.connect(str(into / "warehouse.duckdb"), read_only=True) as connection:
        connection.execute("USE klaviyo")
        found = connection.execute(_SYNCS, [began]).fetchall()
        numbers = FewestRequests(connection, began)
        if failed := [name for name, outcome, *_ in found if outcome != "succeeded"]:
            raise RuntimeError(f"syncs failed: {', '.join(failed)}")
        return {
            name: _Sync(int(requests), int(throttled), seconds, int(rows or 0), fewest(numbers, CATALOG[name]))
            for name, _, requests, throttled, seconds, rows in found
        }

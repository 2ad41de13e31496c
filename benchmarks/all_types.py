"""All resource types in one job under Klaviyo's limits: requests, minutes and 429s of the first sync and of the next day's."""

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import duckdb

from benchmarks.job_processes import job_environment, run
from benchmarks.measuring import folder
from benchmarks.table import table
from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.catalog.replication import Report
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
    """Run it, in about an hour."""
    with SandboxProcess(_QUICK if quick else _ACCOUNT) as sandbox, folder() as into:
        first = _sync_all(sandbox, into)
        sandbox.advance(timedelta(days=1))
        for seed in range(_ROUNDS):
            sandbox.change("round", seed=seed)
        daily = _sync_all(sandbox, into)
    head = ["type", "rows", "fewest requests", "first sync: requests", "minutes", "429s", "next day: requests", "minutes", "429s"]
    return table(head, _lines(first, daily))


def _sync_all(sandbox: SandboxProcess, into: Path) -> Mapping[str, Sequence[float]]:
    """Run the job with all types; return requests, 429s, minutes and rows of each type's sync."""
    began = sandbox.now()
    run(_JOB, into, {**job_environment(sandbox, into), "KLAVIYO_RESOURCE_TYPES": "all"})
    with duckdb.connect(str(into / "warehouse.duckdb"), read_only=True) as connection:
        connection.execute("USE klaviyo")
        found = connection.execute(_SYNCS, [began]).fetchall()
    if failed := [name for name, outcome, *_ in found if outcome != "succeeded"]:
        raise RuntimeError(f"syncs failed: {', '.join(failed)}")
    return {name: (requests, throttled, seconds / 60, rows or 0) for name, _, requests, throttled, seconds, rows in found}


def _lines(first: Mapping[str, Sequence[float]], daily: Mapping[str, Sequence[float]]) -> Iterator[Sequence[object]]:
    for name, entry in CATALOG.items():
        requests, throttled, minutes, rows = first[name]
        later = daily[name]
        least = _fewest(entry, int(rows), {name: int(one[3]) for name, one in first.items()})
        yield [name, int(rows), least, int(requests), f"{minutes:.1f}", throttled, int(later[0]), f"{later[2]:.1f}", later[1]]


def _fewest(entry: ResourceType, rows: int, table_rows: Mapping[str, int]) -> str:
    """Return the number of full pages that hold the rows, at least one of each parent that is read by itself: no client needs fewer requests."""
    if entry.host is not None:
        return f"0, with {entry.host.entry.name}"
    if isinstance(entry.replication, Report):
        return ""
    pages = math.ceil(rows / int(entry.page_parameters.get("page[size]", "1000")))
    by_parent = entry.parent is not None and "{id}" in entry.endpoint.path
    return f"{max(pages, table_rows[entry.parent.type_name] if by_parent and entry.parent is not None else 1):,}"

"""The first sync of the default types, as ``dagster job execute`` runs it under Klaviyo's limits: what each type reads, and how long it takes."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import duckdb

from benchmarks.job_processes import job_environment, run
from benchmarks.measuring import folder
from benchmarks.table import table
from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.sandbox import SandboxOptions, SandboxProcess

_LATENCY = 0.3

_AVERAGE = SandboxOptions(
    seed=6,
    events=500_000,
    profiles=50_000,
    campaigns=400,
    flows=120,
    lists=20,
    segments=30,
    reviews=5_000,
    counts="templates=300,forms=30,tags=30,coupons=20",
    latency=_LATENCY,
    limits=True,
)
"""An average account."""

_SMALL = SandboxOptions(seed=6, events=5_000, profiles=1_000, latency=_LATENCY, limits=True)


class _Sync(NamedTuple):
    """One row of the log of syncs."""

    resource_type: str
    rows: int
    requests: int
    seconds: float
    throttled: int


def report(quick: bool) -> str:
    """Run it."""
    with SandboxProcess(_SMALL if quick else _AVERAGE) as sandbox, folder() as into:
        whole = run("klaviyo_sync", into, job_environment(sandbox, into))
        syncs = _syncs(into / "warehouse.duckdb")
        missing = set(CATALOG.default_names) - {one.resource_type for one in syncs}
        if missing:
            raise RuntimeError(f"not synced: {', '.join(sorted(missing))}")
    return table(["type", "rows", "requests", "minutes", "429s"], _lines(syncs, whole.wall_seconds))


def _syncs(database: Path) -> list[_Sync]:
    """Return the finished syncs, the longest first."""
    with duckdb.connect(str(database), read_only=True) as connection:
        found = connection.execute(
            "SELECT resource_type, rows_inserted, requests, epoch(finished_at - started_at), throttled FROM klaviyo._syncs "
            "WHERE outcome = 'succeeded' ORDER BY 4 DESC"
        ).fetchall()
    return [_Sync(*row) for row in found]


def _lines(syncs: Sequence[_Sync], wall_seconds: float) -> Iterator[Sequence[object]]:
    for one in syncs:
        yield [one.resource_type, one.rows, one.requests, f"{one.seconds / 60:.2f}", one.throttled]
    total = [sum(numbers) for numbers in zip(*((one.rows, one.requests, one.throttled) for one in syncs), strict=True)]
    yield ["all, with the start of Dagster's processes", total[0], total[1], f"{wall_seconds / 60:.2f}", total[2]]

"""Peak memory of a sync for three sizes of account."""

from benchmarks.measuring import folder, serving, sync
from benchmarks.table import table


def report(quick: bool) -> str:
    """Run it."""
    lines = []
    for count in (20_000, 100_000, 500_000) if quick else (100_000, 1_000_000, 10_000_000):
        with serving("--events", str(count), "--no-limits") as server, folder() as into:
            run = sync(server, "events", into, paced=False, concurrency=16)
        lines.append([run.rows, run.peak_mb, run.seconds, run.per_second, run.per_cpu_second, run.database_mb])
    return table(["events", "peak MB", "seconds", "rows/s", "rows per CPU second", "database MB"], lines)

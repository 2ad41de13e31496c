"""Syncs without limits, alternating with a plain loop over the official SDK with pandas."""

from statistics import median

from benchmarks.measuring import Run, folder, result, serving, start, sync
from benchmarks.table import table

_ROUNDS = 3
_CONCURRENCY = 16


def report(quick: bool) -> str:
    """Run it."""
    ours_count, theirs_count = (100_000, 10_000) if quick else (1_000_000, 50_000)
    lines = []
    for latency in (0.0, 0.08):
        ours, theirs = [], []
        for _ in range(1 if quick else _ROUNDS):
            with serving("--events", str(ours_count), "--no-limits", "--latency", str(latency)) as server, folder() as into:
                ours.append(sync(server, "events", into, paced=False, concurrency=_CONCURRENCY))
            with serving("--events", str(theirs_count), "--no-limits", "--latency", str(latency)) as server, folder() as into:
                theirs.append(result(start("sdk_loop", {"base_url": server.base_url, "folder": str(into)})))
        for name, runs, other in (("klaviyo_assets", ours, theirs), ("SDK + pandas", theirs, ours)):
            lines.append(_line(f"{latency * 1000:.0f} ms", name, runs, other))
    return table(["latency", "what", "rows", "rows/s", "rows per CPU second", "peak MB", "ratio rows/s", "ratio per CPU second"], lines)


def _line(latency: str, name: str, runs: list[Run], others: list[Run]) -> list[object]:
    speed, cpu_speed = median(run.per_second for run in runs), median(run.per_cpu_second for run in runs)
    return [
        latency,
        name,
        runs[0].rows,
        speed,
        cpu_speed,
        median(run.peak_mb for run in runs),
        f"{speed / median(run.per_second for run in others):.2f} ×",
        f"{cpu_speed / median(run.per_cpu_second for run in others):.2f} ×",
    ]

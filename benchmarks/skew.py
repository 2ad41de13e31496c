"""Unevenly distributed records, under real limits at 300 ms latency: work stealing must keep all workers busy."""

from benchmarks.account import DENSITIES
from benchmarks.measuring import PER_SECOND, folder, serving, sync
from benchmarks.table import table


def report(quick: bool) -> str:
    """Run it."""
    seconds = {"events": 15, "profiles": 15} if quick else {"events": 90, "profiles": 45}
    cases = [("events", density) for density in DENSITIES] + [("profiles", "uniform"), ("profiles", "one-second")]
    lines: list[list[object]] = []
    uniform: dict[str, float] = {}
    for name, density in cases:
        count = int(PER_SECOND[name] * seconds[name])
        with serving(f"--{name}", str(count), "--latency", "0.3", "--density", density) as server, folder() as into:
            run = sync(server, name, into)
        uniform.setdefault(name, run.per_second)
        fewest = run.rows / (1000 if name == "events" else 100)
        lines.append(
            [name, density, run.rows, run.per_second, f"{run.per_second / uniform[name]:.1%}", run.requests, f"{run.requests / fewest - 1:.1%}"]
        )
    return table(["type", "density", "rows", "rows/s", "relative to uniform", "requests", "more than with full pages"], lines)

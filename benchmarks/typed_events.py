"""The cost of what a load derives from the JSON of events: typed columns, sorted files and the profile for the views of metrics.

The server has no metrics, so the views themselves are not made: some milliseconds for each metric with a new property.
"""

from statistics import median

from benchmarks.measuring import Run, folder, serving, sync
from benchmarks.table import table

_ROUNDS = 6
_VARIANTS = {"JSON only": {"derive": False, "views": False}, "typed columns, sorted": {"views": False}, "and properties for views": {}}


def report(quick: bool) -> str:
    """Sync the same events by turns with all, some and none of it."""
    runs: dict[str, list[Run]] = {variant: [] for variant in _VARIANTS}
    with serving("--events", "60000" if quick else "600000", "--no-limits", "--latency", "0.0") as server:
        for _ in range(1 if quick else _ROUNDS):
            for variant, options in _VARIANTS.items():
                with folder() as into:
                    runs[variant].append(sync(server, "events", into, paced=False, concurrency=16, **options))
    plain = median(run.cpu_seconds for run in runs["JSON only"])
    return table(
        ["what", "rows", "CPU s (median)", "least", "most", "CPU compared with JSON only", "peak MB", "file MB"],
        [_line(variant, some, plain) for variant, some in runs.items()],
    )


def _line(variant: str, runs: list[Run], plain: float) -> list[object]:
    used = [run.cpu_seconds for run in runs]
    memory, size = median(run.peak_mb for run in runs), median(run.database_mb for run in runs)
    return [variant, runs[0].rows, median(used), min(used), max(used), f"{100 * (median(used) / plain - 1):+.1f} %", memory, size]

"""Under Klaviyo's real limits: how near to the ceiling, and at what price."""

from collections.abc import Iterator, Sequence

from benchmarks.measuring import PER_SECOND, folder, serving, sync
from benchmarks.table import table

_SECONDS = 130


def rows(seconds: float) -> Iterator[Sequence[object]]:
    """Yield a row per resource type, latency and share.

    Args:
        seconds: How long each run takes at the ceiling.
    """
    for name in ("events", "profiles"):
        for latency in (0.08, 0.3):
            for share in (0.95, 1.0):
                count = int(PER_SECOND[name] * share * seconds)
                with serving(f"--{name}", str(count), "--latency", str(latency)) as server, folder() as into:
                    run = sync(server, name, into, share=share)
                    served = server.stats()["cpu_seconds"]
                pages = run.requests
                yield (
                    name,
                    f"{latency * 1000:.0f} ms",
                    f"{share:.0%}",
                    run.rows,
                    run.seconds,
                    run.per_second,
                    f"{run.per_second / PER_SECOND[name] / share:.1%}",
                    f"{run.throttled} of {pages:,}",
                    1000 * run.cpu_seconds / pages,
                    run.peak_mb,
                    1000 * served / pages,
                )


def report(quick: bool) -> str:
    """Run it."""
    head = [
        "type",
        "latency",
        "share",
        "rows",
        "seconds",
        "rows/s",
        "of the share's ceiling",
        "429s",
        "CPU ms/page",
        "peak MB",
        "server's CPU ms/page",
    ]
    return table(head, rows(20 if quick else _SECONDS))

"""Syncs under Klaviyo's real limits: throughput relative to the ceiling, CPU and memory."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product

from benchmarks.measuring import PER_SECOND, Server, folder, serving, sync
from benchmarks.table import table

_SECONDS = 150


def rows(seconds: float) -> Iterator[Sequence[object]]:
    """Yield a row for each resource type, latency and share.

    Args:
        seconds: Duration of each run at the ceiling.
    """
    cases = list(product((0.08, 0.3), (0.95, 1.0)))
    with serving("--events", str(int(PER_SECOND["events"] * seconds))) as server:
        for latency, share in cases:
            yield _row(server, "events", latency, share)
    # A sync of profiles uses an eighth of a core, so these run in parallel, each with its own server.
    with ThreadPoolExecutor(len(cases)) as pool:
        yield from pool.map(lambda case: _profiles(seconds, *case), cases)


def _profiles(seconds: float, latency: float, share: float) -> Sequence[object]:
    with serving("--profiles", str(int(PER_SECOND["profiles"] * seconds))) as server:
        return _row(server, "profiles", latency, share)


def _row(server: Server, name: str, latency: float, share: float) -> Sequence[object]:
    server.reset(latency)
    before = server.stats()["cpu_seconds"]
    with folder() as into:
        run = sync(server, name, into, share=share)
    server_cpu = server.stats()["cpu_seconds"] - before
    return [
        name,
        f"{latency * 1000:.0f} ms",
        f"{share:.0%}",
        run.rows,
        run.seconds,
        run.per_second,
        f"{run.per_second / PER_SECOND[name] / share:.1%}",
        f"{run.throttled} of {run.requests:,}",
        1000 * run.cpu_seconds / run.requests,
        run.peak_mb,
        1000 * server_cpu / run.requests,
    ]


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
        "server CPU ms/page",
    ]
    return table(head, rows(20 if quick else _SECONDS))

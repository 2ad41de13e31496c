"""Readers of the published copy while syncs run: rejected opens, partial states, and what the readers cost the syncs.

``python -m benchmarks.readers 60`` does it for 60 minutes, with a round of syncs in each.
"""

import asyncio
import sys
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from statistics import median

from benchmarks.measuring import cpu_seconds, folder, json_output, start
from benchmarks.one_sync import run
from benchmarks.shop_file import warehouse
from benchmarks.table import table
from klaviyo_assets.publish.publisher import Publisher
from klaviyo_assets.publish.target import PublishTarget
from klaviyo_assets.sandbox import ALL_SCOPES_KEY, SandboxOptions, SandboxProcess
from klaviyo_assets.warehouse.local_file import LocalFile

_READERS = 3
_TYPES = ("events", "profiles")
_KINDS = ("no readers", f"{_READERS} readers")


def report(quick: bool) -> str:
    """Run it, round after round."""
    return _measure(10_000, pairs=2) if quick else _measure(100_000, pairs=12)


def _measure(events: int, *, pairs: int, interval: float = 0.0) -> str:
    """Sync and publish in turns without and with readers, one turn every ``interval`` seconds."""
    options = SandboxOptions(events=events, profiles=events // 20, history_days=200, limits=False)
    seconds: dict[str, list[tuple[float, float]]] = {kind: [] for kind in _KINDS}
    with SandboxProcess(options) as sandbox, folder() as into:
        live, target = warehouse(into / "warehouse.duckdb"), PublishTarget.at(into / "published.duckdb")
        versions = {_turn(sandbox, live, target)[2]}
        readers = [start("reader", {"copy": str(target.file), "signals": str(into)}) for _ in range(_READERS)]
        try:
            began = time.monotonic()
            for turn in range(2 * pairs):
                time.sleep(max(0.0, began + turn * interval - time.monotonic()))
                kind = _KINDS[turn % 2]
                _signal(into, go=kind != _KINDS[0])
                sandbox.advance(timedelta(hours=1))
                sandbox.change("round", seed=turn)
                wall, cpu, version = _turn(sandbox, live, target)
                seconds[kind].append((wall, cpu))
                versions.add(version)
        finally:
            (into / "stop").touch()
            found = [json_output(reader) for reader in readers]
    for one in found:
        if unknown := set(one["versions"]) - versions:
            one["partial"] += sorted(unknown)
    lines = [[kind, len(all), median(wall for wall, _ in all), median(cpu for _, cpu in all)] for kind, all in seconds.items()]
    opened, errors, partial = (sum(len(one[name]) if name != "opened" else one[name] for one in found) for name in ("opened", "errors", "partial"))
    seen = len({version for one in found for version in one["versions"]})
    summary = f"The readers opened the copy {opened} times: {errors} rejected, {partial} partial states; they saw {seen} of {len(versions)} versions."
    details = [text for one in found for text in (*one["errors"], *one["partial"])][:5]
    return "\n\n".join([table(["", "rounds of syncs", "seconds (median)", "CPU seconds (median)"], lines), summary, *details])


def _turn(sandbox: SandboxProcess, live: LocalFile, target: PublishTarget) -> tuple[float, float, str]:
    """Sync, then publish; return wall and CPU seconds of the syncs, and the counts of the version."""
    began, cpu = time.perf_counter(), cpu_seconds()
    for name in _TYPES:
        asyncio.run(run(sandbox.base_url, name, live, share=1.0, key=ALL_SCOPES_KEY))
    elapsed = time.perf_counter() - began, cpu_seconds() - cpu
    with live.connection() as connection:
        counts = [(name, connection.execute(f"SELECT count(*) FROM klaviyo.{name}").fetchall()[0][0]) for name in _TYPES]
    Publisher(live, target).publish()
    return *elapsed, _as_text(counts)


def _as_text(counts: list[tuple[str, int]]) -> str:
    """Return counts as a reader's query does."""
    return f"[{', '.join(f'({name}, {count})' for name, count in counts)}]"


def _signal(into: Path, *, go: bool) -> None:
    """Let the readers read or pause, and wait until those that read have begun or ended a query."""
    if go:
        (into / "go").touch()
    else:
        with suppress(FileNotFoundError):
            (into / "go").unlink()
    time.sleep(2.5)


if __name__ == "__main__":
    print(_measure(100_000, pairs=int(sys.argv[1]) // 2, interval=60.0))

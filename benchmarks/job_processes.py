"""Jobs that find nothing new, run with ``dagster job execute``: wall time and CPU time of all their processes."""

import os
import statistics
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measuring import folder
from benchmarks.processes import tree
from benchmarks.table import table
from klaviyo_assets.sandbox import SandboxOptions, SandboxProcess

_ACCOUNT = SandboxOptions(events=5_000, profiles=500, campaigns=60, flows=20, lists=25, segments=30, metrics=30, reviews=200, history_days=200)
_FIRST = "klaviyo_sync"
_JOBS = {"klaviyo_checks": "checks job", "klaviyo_sync": "idle sync of everything", "klaviyo_sync_frequent": "idle hourly sync"}
_POLL_INTERVAL = 0.2


@dataclass(frozen=True)
class JobRun:
    """Measurements of one run of a job.

    Attributes:
        wall_seconds: Time from the start of the process to its end.
        cpu_seconds: User and system time of the process and of all child processes that it waited for.
        processes: Maximum number of concurrent processes.
    """

    wall_seconds: float
    cpu_seconds: float
    processes: int


def report(quick: bool) -> str:
    """Run it."""
    times = 1 if quick else 5
    with SandboxProcess(_ACCOUNT) as sandbox, folder() as into:
        environment = job_environment(sandbox, into)
        run(_FIRST, into, environment)
        found = {job: [run(job, into, environment) for _ in range(times)] for job in _JOBS}
    lines = [
        [
            _JOBS[job],
            _summary([one.wall_seconds for one in runs]),
            _summary([one.cpu_seconds for one in runs]),
            max(one.processes for one in runs),
        ]
        for job, runs in found.items()
    ]
    return table([f"median (minimum to maximum) of {times} runs", "wall seconds", "CPU seconds", "concurrent processes"], lines)


def job_environment(sandbox: SandboxProcess, into: Path) -> dict[str, str]:
    """Write Dagster's settings into a folder; return the environment of jobs that sync a sandbox into ``warehouse.duckdb`` there."""
    (into / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    return {
        **os.environ,
        "DAGSTER_HOME": str(into),
        "KLAVIYO_API_KEY": sandbox.keys.all_scopes,
        "KLAVIYO_BASE_URL": sandbox.base_url,
        "KLAVIYO_DUCKDB_PATH": str(into / "warehouse.duckdb"),
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }


def run(job: str, into: Path, environment: dict[str, str]) -> JobRun:
    """Run a job of the package's code location in its own processes and wait until it ends.

    Args:
        job: Name of the job.
        into: The working folder; the log is written there.
        environment: The environment of the processes.

    Raises:
        RuntimeError: If the job fails.
    """
    command = [sys.executable, "-m", "dagster", "job", "execute", "-m", "klaviyo_assets.definitions", "-j", job]
    log = into / f"{job}.log"
    with log.open("w") as output:
        began = time.perf_counter()
        process = subprocess.Popen(command, cwd=into, env=environment, stdout=output, stderr=output)
        counter = _ProcessCounter(process.pid)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{job} failed: {log.read_text()[-3000:]}")
    return JobRun(wall, usage.ru_utime + usage.ru_stime, counter.stop())


class _ProcessCounter:
    """Counts a process and its descendants a few times per second, until stopped."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._maximum = 1
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._stopped.wait(_POLL_INTERVAL):
            self._maximum = max(self._maximum, len(tree(self._root)))

    def stop(self) -> int:
        """Stop counting and return the maximum."""
        self._stopped.set()
        self._thread.join()
        return self._maximum


def _summary(values: list[float]) -> str:
    return f"{statistics.median(values):.1f} ({min(values):.1f} to {max(values):.1f})"

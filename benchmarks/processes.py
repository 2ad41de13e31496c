"""All types in one Dagster run: total memory of all processes."""

import os
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.measuring import folder
from benchmarks.table import table
from klaviyo_assets.sandbox import ALL_SCOPES_KEY, SandboxOptions, SandboxProcess

_RUN = """
import dagster as dg
from dagster._core.definitions.reconstruct import reconstructable
from klaviyo_assets.definitions import defs

def job():
    return defs.resolve_job_def("klaviyo_sync")

if __name__ == "__main__":
    with dg.DagsterInstance.get() as instance:
        result = dg.execute_job(reconstructable(job), instance)
        raise SystemExit(0 if result.success else 1)
"""


def report(quick: bool) -> str:
    """Run it."""
    events, profiles = (50_000, 5_000) if quick else (400_000, 40_000)
    options = SandboxOptions(events=events, profiles=profiles, latency=0.08)
    with SandboxProcess(options) as sandbox, folder() as into:
        (into / "run_all.py").write_text(_RUN)
        (into / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
        environment = {
            **os.environ,
            "DAGSTER_HOME": str(into),
            "KLAVIYO_API_KEY": ALL_SCOPES_KEY,
            "KLAVIYO_BASE_URL": sandbox.base_url,
            "KLAVIYO_DUCKDB_PATH": str(into / "warehouse.duckdb"),
            "PYTHONPATH": os.pathsep.join([str(into), *sys.path]),
        }
        log = (into / "log").open("w")
        process = subprocess.Popen([sys.executable, "run_all.py"], cwd=into, env=environment, stdout=log, stderr=log)
        resident = proportional = processes = 0
        while process.poll() is None:
            sizes = [_memory(pid) for pid in tree(process.pid)]
            resident, proportional = max(resident, sum(one[0] for one in sizes)), max(proportional, sum(one[1] for one in sizes))
            processes = max(processes, len(sizes))
            time.sleep(0.5)
        log.close()
    line = ["succeeded" if process.returncode == 0 else "FAILED", processes, resident / 1024, proportional / 1024]
    return table(["run", "processes", "sum of resident MB", "proportional MB (shared pages once)"], [line])


def tree(root: int) -> list[int]:
    """Return the ids of a process and its descendants."""
    pids = [root]
    for pid in pids:
        try:
            pids += [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        except OSError:  # it has ended
            continue
    return pids


def _memory(pid: int) -> tuple[int, int]:
    """Return the resident and the proportional set size in kB."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0, 0
    sizes = {name: int(value.split()[0]) for name, _, value in (line.partition(":") for line in lines[1:])}
    return sizes.get("Rss", 0), sizes.get("Pss", 0)

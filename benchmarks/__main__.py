"""Run the benchmarks: ``python -m benchmarks [--quick] [name …]``."""

import argparse
import time
from importlib import import_module
from pathlib import Path

from benchmarks.machine import describe

BENCHMARKS = {
    "server-alone": "The test server alone",
    "api-bound": "Under Klaviyo's limits",
    "cpu-bound": "Without limits, compared with the official SDK with pandas",
    "memory": "Memory",
    "record-sizes": "Records of all sizes",
    "processes": "All types at once",
    "job-processes": "Jobs that find nothing new",
    "first-sync": "The first sync of the default types",
    "attributions": "What attributions cost",
    "all-types": "All types in one job under Klaviyo's limits",
    "children": "Children under Klaviyo's limits",
    "children-memory": "Memory of a million rows of the other large types",
    "skew": "Unevenly distributed records",
    "upsert": "Loads of 100,000 changed and new rows",
    "shared-limit": "Two clients under one limit",
    "fair-share": "Another client at half of the limit, by kind of rate-limit headers",
    "typed-events": "Typed columns of events and views of metrics",
    "marts": "Marts",
    "readers": "Readers of the published copy while syncs run",
    "idle": "Syncs that find nothing new",
    "resume": "Killed halfway",
    "start-up": "Start-up",
}
RESULTS = Path(__file__).parent / "results"


def main() -> None:
    """Run the chosen benchmarks and print a table for each."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Print a table for each benchmark and write it to benchmarks/results.")
    parser.add_argument("names", nargs="*", metavar="name", help=f"one or more of {', '.join(BENCHMARKS)}; all by default")
    parser.add_argument("--quick", action="store_true", help="small sizes, to check that everything runs; the numbers mean little")
    options = parser.parse_args()
    if unknown := set(options.names) - set(BENCHMARKS):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    machine = describe()
    print(machine, flush=True)
    RESULTS.mkdir(exist_ok=True)
    for name in options.names or BENCHMARKS:
        began = time.monotonic()
        report = import_module(f"benchmarks.{name.replace('-', '_')}").report(options.quick)
        text = f"## {BENCHMARKS[name]}\n\n{report}\n\n({name}{', quick' if options.quick else ''}: {time.monotonic() - began:.0f} s)\n"
        print(f"\n{text}", flush=True)
        (RESULTS / f"{name}.md").write_text(f"{machine}\n\n{text}")


if __name__ == "__main__":
    main()

"""Run the benchmarks: ``python -m benchmarks [--quick] [name …]``."""

import argparse
import time
from importlib import import_module
from pathlib import Path

from benchmarks.machine import describe

BENCHMARKS = {
    "server-alone": "What the server can serve",
    "api-bound": "Under Klaviyo's limits",
    "cpu-bound": "Without limits, beside the official SDK with pandas",
    "memory": "Memory",
    "record-sizes": "Records of all sizes",
    "processes": "All types at once",
    "job-processes": "Jobs that find nothing new, with all their processes",
    "skew": "Uneven records",
    "upsert": "100,000 rows into a table",
    "company": "Under the limits together with others",
    "fair-share": "Another client at half of the limit, by form of the rate-limit headers",
    "idle": "Nothing new",
    "resume": "Killed half-way",
    "start-up": "Start-up",
}
RESULTS = Path(__file__).parent / "results"


def main() -> None:
    """Run the chosen benchmarks and print a table of each."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Prints a table of each benchmark, and keeps it in benchmarks/results.")
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(BENCHMARKS)}; all by default")
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that all works; the numbers say little")
    options = parser.parse_args()
    if unknown := set(options.names) - set(BENCHMARKS):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    machine = describe()
    print(machine, flush=True)
    RESULTS.mkdir(exist_ok=True)
    for name in options.names or BENCHMARKS:
        began = time.monotonic()
        found = import_module(f"benchmarks.{name.replace('-', '_')}").report(options.quick)
        text = f"## {BENCHMARKS[name]}\n\n{found}\n\n({name}{', quick' if options.quick else ''}: {time.monotonic() - began:.0f} s)\n"
        print(f"\n{text}", flush=True)
        (RESULTS / f"{name}.md").write_text(f"{machine}\n\n{text}")


if __name__ == "__main__":
    main()

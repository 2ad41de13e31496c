"""The marts: questions on raw JSON, typed columns and marts; size of the file; CPU seconds of a rebuild and of a day's upkeep."""

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.mart_queries import QUESTIONS
from benchmarks.measuring import json_output, start
from benchmarks.table import table

_EVENTS, _QUICK_EVENTS = 1_000_000, 50_000
_SLOWEST = 8
"""Models that are listed alone."""


def report(quick: bool, events: int = _EVENTS) -> str:
    """Run it.

    Args:
        quick: True for a small number of events.
        events: Number of events otherwise; 10 million need 6 GB of disk.
    """
    with tempfile.TemporaryDirectory(prefix="klaviyo-benchmark-") as name:
        steps = ("write", "rebuild", "queries", "next_day", "upkeep")
        return described({step: _run(step, _QUICK_EVENTS if quick else events, Path(name)) for step in steps})


def described(found: Mapping[str, Any]) -> str:
    """Return the measurements of all steps as text."""
    written, rebuild, upkeep, day = found["write"], found["rebuild"], found["upkeep"], found["next_day"]
    rows = []
    for question in QUESTIONS:
        before, sorted_, typed, mart = found["queries"][question.name]
        rows.append([question.name, before, _faster(before, sorted_), _faster(before, typed), _faster(before, mart), f"{question.goal:g} ×"])
    head = ["question", "JSON, CPU seconds", "JSON, events sorted", "typed columns", "marts", "goal"]
    size = [["JSON only", written["raw_mb"], "", written["raw_seconds"]]]
    size.append(["sorted, with typed columns", written["typed_mb"], f"{written['typed_mb'] / written['raw_mb'] - 1:+.1%}", written["typed_seconds"]])
    models = sorted(rebuild["models"].items(), key=lambda item: -item[1][1])
    slowest = [[name, rows_, seconds, upkeep["models"][name][0], upkeep["models"][name][1]] for name, (_, seconds, rows_, _) in models[:_SLOWEST]]
    rest = [sum(one["models"][name][1] for name, _ in models[_SLOWEST:]) for one in (rebuild, upkeep)]
    slowest.append([f"{len(models) - _SLOWEST} others", "", rest[0], "", rest[1]])
    slowest.append(["all, changes captured", "", rebuild["cpu_seconds"], "", upkeep["cpu_seconds"]])
    return "\n\n".join(
        [
            f"{written['events']:,} events.",
            table(head, rows),
            table(["file", "MB", "", "CPU seconds to write the events"], size),
            table(["mart", "rows", "rebuild, CPU seconds", f"after {day['events']:,} new events", "upkeep, CPU seconds"], slowest),
            f"Peak memory: {rebuild['peak_mb']:,.0f} MB of the rebuild, {upkeep['peak_mb']:,.0f} MB of the upkeep. "
            f"The day's load took {day['cpu_seconds']:.1f} CPU seconds.",
        ]
    )


def _faster(before: float, after: float | None) -> str:
    return "" if after is None else f"{after:,.3f} ({before / after:,.1f} ×)"


def _run(step: str, events: int, into: Path) -> dict[str, Any]:
    return json_output(start("mart_step", {"step": step, "events": events, "folder": str(into)}))


if __name__ == "__main__":
    print(report(quick=False, events=int(sys.argv[1])))

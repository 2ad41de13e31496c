"""Peak memory of syncs of records of all sizes, uniform and mixed."""

import json
from dataclasses import dataclass, field
from typing import Any

from benchmarks.measuring import folder, serving, start
from benchmarks.table import table

_KB, _MB = 1_000, 1_000_000


@dataclass(frozen=True)
class Case:
    """Records to sync.

    Attributes:
        label: Description for the table.
        name: Resource type.
        blocks: Pairs of a number of records and the size of each in bytes.
        options: Further options of :func:`benchmarks.wide_server.build`.
    """

    label: str
    name: str
    blocks: list[list[int]]
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def records(self) -> int:
        """Number of records."""
        repeat: int = self.options.get("repeat", 1)
        return sum(count for count, _ in self.blocks) * repeat

    @property
    def megabytes(self) -> float:
        """Total size of the texts in MB."""
        repeat: int = self.options.get("repeat", 1)
        return sum(count * size for count, size in self.blocks) * repeat / 1e6


CASES = {
    "1kB": Case("200,000 events of 1 kB", "events", [[200_000, _KB]]),
    "10kB": Case("60,000 events of 10 kB", "events", [[60_000, 10 * _KB]]),
    "30kB": Case("60,000 events of 30 kB", "events", [[60_000, 30 * _KB]]),
    "100kB": Case("1,000 events of 100 kB", "events", [[1_000, 100 * _KB]]),
    "100kB-many": Case("10,000 events of 100 kB", "events", [[10_000, 100 * _KB]]),
    "1MB": Case("600 events of 1 MB", "events", [[600, _MB]]),
    "5MB": Case("200 events of 5 MB", "events", [[200, 5 * _MB]]),
    "200x1MB": Case("200 of 1 MB among 2,000 small events", "events", [[2_000, _KB], [200, _MB]]),
    "mixed": Case("one event of 5 MB in each 1,000", "events", [[999, _KB], [1, 5 * _MB]], {"repeat": 60}),
    "5MB-block": Case("100 of 5 MB between 40,000 small events", "events", [[20_000, _KB], [100, 5 * _MB], [20_000, _KB]]),
    "compressible": Case("2,000 events of 1 MB that compress to nothing", "events", [[2_000, _MB]], {"random_text": False}),
    "profiles": Case("4,000 profiles of 100 kB", "profiles", [[4_000, 100 * _KB]]),
    "profiles-5MB": Case("150 profiles of 5 MB", "profiles", [[150, 5 * _MB]]),
    "reviews": Case("2,000 reviews with a text of 200 kB", "reviews", [[2_000, 200 * _KB]]),
    "many-columns": Case("3,000 profiles with ten wide columns, 200 kB", "profiles", [[3_000, 200 * _KB]], {"kind": "many-columns"}),
}


def report(quick: bool) -> str:
    """Run it."""
    chosen = ("1kB", "100kB", "200x1MB") if quick else tuple(CASES)
    return table(
        ["records", "MB", "rows", "complete", "peak MB", "seconds", "MB/s", "rows per CPU second"], [measure(CASES[name]) for name in chosen]
    )


def measure(case: Case, **options: Any) -> list[object]:
    """Sync a case in its own process and return the row of the table; if it fails, with the error instead of numbers.

    Args:
        case: The records.
        options: Further options of :mod:`benchmarks.one_sync`.
    """
    arguments = json.dumps({"name": case.name, "blocks": case.blocks, **case.options})
    with serving(arguments, module="wide_server") as server, folder() as into:
        process = start(
            "one_sync", {"base_url": server.base_url, "name": case.name, "folder": str(into), "paced": False, "report_failure": True, **options}
        )
        output, _ = process.communicate()
    found: dict[str, Any] = (
        json.loads(output.splitlines()[-1]) if output.strip() else {"error": f"exit status {process.returncode}", "rows": 0, "peak_mb": 0.0}
    )
    if "error" in found:
        return [case.label, case.megabytes, found["rows"], found["error"], found["peak_mb"], "", "", ""]
    is_complete = "yes" if found["rows"] == case.records else "NO"
    speed = case.megabytes / found["seconds"]
    return [case.label, case.megabytes, found["rows"], is_complete, found["peak_mb"], found["seconds"], speed, found["rows"] / found["cpu_seconds"]]


if __name__ == "__main__":
    import sys

    for chosen in sys.argv[1].split(","):
        print(*measure(CASES[chosen], **json.loads(sys.argv[2] if len(sys.argv) > 2 else "{}")), sep=" | ", flush=True)

"""Time and memory to import the package and to load its code location, compared with an empty one."""

import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median

from benchmarks.measuring import folder
from benchmarks.one_sync import KEY
from benchmarks.table import table

_CASES = {
    "Python alone": "",
    "import klaviyo_assets": "import klaviyo_assets",
    "empty Dagster code location": "import empty_location",
    "klaviyo_assets.definitions": "import klaviyo_assets.definitions",
}
_HEAVY = ("duckdb", "httpx", "msgspec", "pandas", "polars", "pyarrow")
_MEASURE = """
import json, sys, time
began = time.perf_counter()
{code}
seconds = time.perf_counter() - began
loaded = [name for name in {heavy} if name in sys.modules]
status = open("/proc/self/status").read()
print(json.dumps([seconds, int(status.split("VmHWM:")[1].split()[0]) / 1024, loaded]))
"""


def report(quick: bool) -> str:
    """Run it."""
    with folder() as into:
        (into / "empty_location.py").write_text("import dagster as dg\n\ndefs = dg.Definitions()\n")
        measured = {name: [_run(code, into) for _ in range(2 if quick else 7)] for name, code in _CASES.items()}
    base = median(one[0] for one in measured["empty Dagster code location"])
    lines = []
    for name, runs in measured.items():
        seconds = median(one[0] for one in runs)
        lines.append([name, seconds, f"{seconds / base:.2f} ×", median(one[1] for one in runs), ", ".join(runs[0][2]) or "none"])
    return table(["what", "seconds", "relative to an empty location", "peak MB", f"loaded of {', '.join(_HEAVY)}"], lines)


def _run(code: str, into: Path) -> tuple[float, float, list[str]]:
    environment = {**os.environ, "KLAVIYO_API_KEY": KEY, "PYTHONPATH": os.pathsep.join([str(into), *sys.path])}
    command = [sys.executable, "-c", _MEASURE.format(code=code, heavy=_HEAVY)]
    seconds, peak, loaded = json.loads(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)
    return seconds, peak, loaded

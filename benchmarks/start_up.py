"""Time and memory to import the package and to load its code location, compared with an empty one.

Compiled files are kept, as those of an installed package are, and each case runs once before it is measured. The cases take turns, so that other
work of the machine slows all of them.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.measuring import folder
from benchmarks.one_sync import KEY
from benchmarks.table import table

_EMPTY = "empty Dagster code location"
_IMPORTS = {
    "Python alone": "",
    "import klaviyo_assets": "import klaviyo_assets",
    _EMPTY: "import empty_location",
    "klaviyo_assets.definitions": "import klaviyo_assets.definitions",
}
_VALIDATE = (
    "import subprocess; "
    "subprocess.run([sys.executable, '-m', 'dagster', 'definitions', 'validate', '-m', '{module}'], check=True, stderr=subprocess.DEVNULL)"
)
_VALIDATED_EMPTY = "`dagster definitions validate`, empty"
_VALIDATIONS = {
    _VALIDATED_EMPTY: _VALIDATE.format(module="empty_location"),
    "`dagster definitions validate`, klaviyo_assets": _VALIDATE.format(module="klaviyo_assets.definitions"),
}
_TITLES = ["what", "seconds, least", "median", "relative to empty", "CPU seconds, least", "median", "relative to empty"]
_HEAVY = ("duckdb", "httpx", "msgspec", "pandas", "polars", "pyarrow")
_MEASURE = """
import json, resource, sys, time
def cpu():
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
began, used = time.perf_counter(), cpu()
{code}
found = [time.perf_counter() - began, cpu() - used]
loaded = [name for name in {heavy} if name in sys.modules]
status = open("/proc/self/status").read()
print(json.dumps([*found, int(status.split("VmHWM:")[1].split()[0]) / 1024, loaded]))
"""


@dataclass(frozen=True)
class _Run:
    """One measured process.

    Attributes:
        seconds: What the clock says.
        cpu: CPU seconds of the process and of those that it started.
        peak: MB.
        loaded: Heavy libraries.
    """

    seconds: float
    cpu: float
    peak: float
    loaded: list[str]


def report(quick: bool) -> str:
    """Run it."""
    with folder() as into:
        (into / "empty_location.py").write_text("import dagster as dg\n\ndefs = dg.Definitions()\n")
        imports = _measured(_IMPORTS, into, 2 if quick else 10)
        validations = _measured(_VALIDATIONS, into, 1 if quick else 10)
    memory = {name: [median(one.peak for one in runs), ", ".join(runs[0].loaded) or "none"] for name, runs in imports.items()}
    times = _times(imports, _EMPTY)
    first = table([*_TITLES, "peak MB", f"loaded of {', '.join(_HEAVY)}"], [[*line, *memory[line[0]]] for line in times])
    return f"{first}\n\n{table(_TITLES, _times(validations, _VALIDATED_EMPTY))}"


def _measured(cases: dict[str, str], into: Path, times: int) -> dict[str, list[_Run]]:
    for code in cases.values():
        _run(code, into)
    rounds = [{name: _run(code, into) for name, code in cases.items()} for _ in range(times)]
    return {name: [one[name] for one in rounds] for name in cases}


def _times(measured: dict[str, list[_Run]], empty: str) -> list[list[Any]]:
    (_, base), (_, base_cpu) = _cells(measured[empty])
    lines = []
    for name, runs in measured.items():
        (least, usual), (least_cpu, usual_cpu) = _cells(runs)
        lines.append([name, least, usual, f"{usual / base:.2f} ×", least_cpu, usual_cpu, f"{usual_cpu / base_cpu:.2f} ×"])
    return lines


def _cells(runs: list[_Run]) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the least and the median of seconds and of CPU seconds."""
    seconds, cpu = [one.seconds for one in runs], [one.cpu for one in runs]
    return (min(seconds), median(seconds)), (min(cpu), median(cpu))


def _run(code: str, into: Path) -> _Run:
    environment = {
        **os.environ,
        "KLAVIYO_API_KEY": KEY,
        "PYTHONPATH": os.pathsep.join([str(into), *sys.path]),
        "PYTHONPYCACHEPREFIX": str(into / "compiled"),
    }
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, "-c", _MEASURE.format(code=code, heavy=_HEAVY)]
    done = subprocess.run(command, env=environment, cwd=into, capture_output=True, text=True, check=True)
    return _Run(*json.loads(done.stdout.splitlines()[-1]))

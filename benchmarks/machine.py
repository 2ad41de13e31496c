"""The machine that the benchmarks run on."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

_LIBRARIES = ("dagster", "duckdb", "httpx", "msgspec", "polars", "pyrate-limiter")


def describe() -> str:
    """Return the machine and the library versions in two lines."""
    model = next((line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), platform.processor())
    memory = next((int(line.split()[1]) / 2**20 for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), 0)
    libraries = ", ".join(f"{name} {version(name)}" for name in _LIBRARIES)
    system = f"{platform.system()} {platform.release()}"
    return f"{os.cpu_count()} cores ({model}), {memory:.0f} GiB, {system}\nPython {platform.python_version()}, {libraries}"


def peak_mb() -> float:
    """Return the peak resident memory of this process in MB, since it was started (``ru_maxrss`` would include its parent's peak)."""
    return next(int(line.split()[1]) / 1024 for line in _lines("/proc/self/status") if line.startswith("VmHWM"))


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).is_file() else []

"""One measured process of the benchmark of the marts; the first argument is a JSON object of options. Prints its measurements as JSON."""

import json
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb

from benchmarks import shop_file
from benchmarks.machine import peak_mb
from benchmarks.mart_queries import QUESTIONS
from benchmarks.measuring import cpu_seconds
from benchmarks.shop_events import END, Shop
from klaviyo_assets.marts.library import read_models
from klaviyo_assets.marts.mart_runner import MartRunner

_TIMES = 2


def write(shop: Shop, folder: Path) -> dict[str, Any]:
    """Write the files."""
    raw, typed = folder / "raw.duckdb", folder / "typed.duckdb"
    raw_seconds, typed_seconds, events = shop_file.write(shop, raw, typed)
    return {
        "events": events,
        "raw_seconds": raw_seconds,
        "typed_seconds": typed_seconds,
        "raw_mb": raw.stat().st_size / 1e6,
        "typed_mb": typed.stat().st_size / 1e6,
    }


def rebuild(shop: Shop, folder: Path) -> dict[str, Any]:
    """Build all marts for the first time."""
    return _build(folder, days=0)


def upkeep(shop: Shop, folder: Path) -> dict[str, Any]:
    """Bring the marts up to date with the day that was loaded."""
    return _build(folder, days=1)


def next_day(shop: Shop, folder: Path) -> dict[str, Any]:
    """Load a day of new events."""
    began = cpu_seconds()
    return {"events": shop_file.load_next_day(shop, folder / "typed.duckdb", folder), "cpu_seconds": cpu_seconds() - began}


def queries(shop: Shop, folder: Path) -> dict[str, Any]:
    """Ask each question in each form, and return CPU seconds, the least of several runs.

    Raises:
        AssertionError: If two forms give different results.
    """
    found: dict[str, list[float | None]] = {}
    with _reader(folder / "raw.duckdb") as raw, _reader(folder / "typed.duckdb") as typed:
        for question in QUESTIONS:
            asked = [(raw, question.json), (typed, question.json), (typed, question.typed), (typed, question.mart)]
            found[question.name] = [_least(connection, sql) if sql else None for connection, sql in asked]
            results = {str(connection.sql(f"SELECT {question.compared} FROM ({sql})").fetchall()) for connection, sql in asked if sql}
            if len(results) > 1:
                raise AssertionError(f"{question.name}: {results}")
    return found


def _reader(path: Path) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(str(path), read_only=True, config={"threads": 2})
    connection.execute(f"USE {shop_file.SCHEMA}")
    connection.execute("SET enable_progress_bar = false")
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def _least(connection: duckdb.DuckDBPyConnection, sql: str) -> float:
    seconds = []
    for _ in range(_TIMES):
        began = cpu_seconds()
        connection.execute(sql).fetchall()
        seconds.append(cpu_seconds() - began)
    return min(seconds)


def _build(folder: Path, days: int) -> dict[str, Any]:
    runner = MartRunner(shop_file.warehouse(folder / "typed.duckdb"), shop_file.SCHEMA, read_models())
    models: dict[str, Any] = {}
    began, started = last, _ = cpu_seconds(), time.monotonic()
    for result in runner.run(now=END + timedelta(days=days)):
        result.raise_if_failed()
        now = cpu_seconds()
        models[result.model], last = (result.outcome, now - last, result.rows, peak_mb()), now
    return {"cpu_seconds": cpu_seconds() - began, "seconds": time.monotonic() - started, "peak_mb": peak_mb(), "models": models}


if __name__ == "__main__":
    options = json.loads(sys.argv[1])
    step = {function.__name__: function for function in (write, rebuild, upkeep, next_day, queries)}[options["step"]]
    print(json.dumps(step(Shop(options["events"]), Path(options["folder"]))))

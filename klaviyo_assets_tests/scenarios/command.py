"""Runs thousands of scenarios, then every injected fault. The exit status is 1 if a table was wrong or a fault was not caught.

python -m klaviyo_assets_tests.scenarios --lives 2000 --seed 1
"""

import argparse
import logging
import multiprocessing
import os
import sys
import time
import traceback
from collections.abc import Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass

from klaviyo_assets_tests.scenarios.difference import Difference
from klaviyo_assets_tests.scenarios.faults import FAULTS, Fault
from klaviyo_assets_tests.scenarios.search import catch
from klaviyo_assets_tests.scenarios.stats import Stats
from klaviyo_assets_tests.scenarios.suites import SUITES, Suite, distribute

_CHUNK_SIZE = 50
"""Scenarios that a worker process runs before it reports."""

_RERUN = "The scenario; rerun it with Runner(scenario, InProcess(scenario), Stats()).run()"


@dataclass(frozen=True)
class Report:
    """A worker process's report: the counts and a description of the first failure, shrunk."""

    stats: Stats
    failure: str | None


@dataclass(frozen=True)
class FaultResult:
    """The result of injecting a fault.

    Attributes:
        caught: True if a table was found to be wrong. Any other error proves nothing: the edit itself may be broken.
        outcome: The number of the scenario that caught it, ``NOT CAUGHT``, or ``CRASHED``.
        message: The error that was found.
    """

    caught: bool
    outcome: str
    message: str = ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m klaviyo_assets_tests.scenarios", description=__doc__.split("\n")[0])
    parser.add_argument("--lives", type=int, default=2_000, help="scenarios to run (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same scenarios (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: one per core)")
    parser.add_argument("--no-faults", action="store_true", help="skip the injected faults")
    parser.add_argument("--types", nargs="+", metavar="NAME", choices=sorted({suite.name for suite in SUITES}), help="only scenarios of these types")
    options = parser.parse_args(arguments)
    suites = [suite for suite in SUITES if options.types is None or suite.name in options.types]
    with ProcessPoolExecutor(options.jobs, mp_context=multiprocessing.get_context("spawn"), initializer=_disable_logging) as pool:
        passed = _run_scenarios(pool, options.lives, options.seed, suites)
        caught = options.no_faults or _check_faults(pool, options.seed)
    return 0 if passed and caught else 1


def _disable_logging() -> None:
    logging.disable(logging.CRITICAL)


def _run_scenarios(pool: Executor, scenarios: int, seed: int, suites: Sequence[Suite]) -> bool:
    began, stats = time.monotonic(), Stats()
    chunks = [(suite, min(_CHUNK_SIZE, share - first)) for suite, share in distribute(scenarios, suites) for first in range(0, share, _CHUNK_SIZE)]
    for report in pool.map(_run_chunk, *zip(*chunks, strict=True), range(seed * 10_000, seed * 10_000 + len(chunks))):
        stats.add(report.stats)
        if report.failure is not None:
            print(f"After {stats.scenarios} scenarios {report.failure}")
            return False
        if sys.stderr.isatty():
            print(f"\r{stats.scenarios} scenarios", end="", file=sys.stderr, flush=True)
    print(f"{stats.scenarios} scenarios in {time.monotonic() - began:.0f} s, no difference: {stats.rows:,} rows ({stats.values:,} values) compared.")
    print(", ".join(f"{name} {count}" for name, count in stats.types.most_common()) + "\n")
    _print_table(("ACTION", "TIMES"), sorted(stats.actions.items()))
    positions = sorted({(name, switch) for name, switch, _ in stats.switches})
    _print_table(
        ("TYPE", "SWITCH", "SCENARIOS, DEFAULT", "SCENARIOS, OTHERWISE"),
        [(*key, stats.switches[*key, False], stats.switches[*key, True]) for key in positions],
    )
    _print_table(("TYPE", "MODE", "SYNC", "TIMES"), [(*key, times) for key, times in sorted(stats.syncs.items())])
    return True


def _run_chunk(suite: Suite, scenarios: int, seed: int) -> Report:
    stats = Stats()
    failed = suite.run(scenarios, at=seed, stats=stats)
    if failed is None:
        return Report(stats, None)
    message = "".join(traceback.format_exception_only(failed.error))
    summary = "a table was wrong" if isinstance(failed.error, Difference) else "a scenario crashed"
    return Report(stats, f"{summary}:\n{message}\n{_RERUN}:\n{failed.scenario}")


def _check_faults(pool: Executor, seed: int) -> bool:
    found = list(pool.map(_check_numbered, range(len(FAULTS)), [seed] * len(FAULTS)))
    _print_table(("INJECTED FAULT", "CAUGHT", "BY"), [(fault.name, one.outcome, one.message) for fault, one in zip(FAULTS, found, strict=True)])
    return all(one.caught for one in found)


def _check_numbered(number: int, seed: int) -> FaultResult:
    return check_fault(FAULTS[number], seed)


def check_fault(fault: Fault, seed: int) -> FaultResult:
    """Inject a fault in this process and return the result."""
    try:
        failure = catch(fault, at=seed).failure
    except Exception as error:  # the injection itself failed
        return FaultResult(False, "CRASHED", _short(error))
    if failure is None:
        return FaultResult(False, "NOT CAUGHT")
    if not isinstance(failure.error, Difference):
        return FaultResult(False, "CRASHED", _short(failure.error))
    return FaultResult(True, f"in scenario {failure.scenarios}", _short(failure.error))


def _short(error: Exception) -> str:
    message = str(error) if isinstance(error, Difference) else f"{type(error).__name__}: {error}"
    return message.split(". Versions")[0].replace("\n", " ")[:120]


def _print_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    cells = [header, *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    for row in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    print()

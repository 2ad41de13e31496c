"""The truth machine by one command: thousands of lives, then every planted fault; exit status 1 if a table was wrong or a fault was not caught.

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
from klaviyo_assets_tests.scenarios.stats import Tally
from klaviyo_assets_tests.scenarios.suites import Course, shared_out

_LIVES_AT_ONCE = 50
"""Lives that a process lives before it reports."""


@dataclass(frozen=True)
class Report:
    """What a process has to tell of its lives: counts, and the first failure in words, as short as it could be made."""

    tally: Tally
    failure: str | None


@dataclass(frozen=True)
class Planted:
    """What became of a planted fault.

    Attributes:
        right: True if a table was found to be wrong. Any other error shows nothing: the edit itself may be what is broken.
        outcome: In how many lives it was caught, ``NOT CAUGHT``, or ``CRASHED``.
        words: What was found.
    """

    right: bool
    outcome: str
    words: str = ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m klaviyo_assets_tests.scenarios", description=__doc__.split("\n")[0])
    parser.add_argument("--lives", type=int, default=2_000, help="lives to live (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="the same one gives the same lives (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: one for each core)")
    parser.add_argument("--no-faults", action="store_true", help="leave the planted faults out")
    options = parser.parse_args(arguments)
    with ProcessPoolExecutor(options.jobs, mp_context=multiprocessing.get_context("spawn"), initializer=_be_quiet) as pool:
        right = _live(pool, options.lives, options.seed)
        caught = options.no_faults or _plant(pool, options.seed)
    return 0 if right and caught else 1


def _be_quiet() -> None:
    logging.disable(logging.CRITICAL)


def _live(pool: Executor, lives: int, seed: int) -> bool:
    began, tally = time.monotonic(), Tally()
    chunks = [(course, min(_LIVES_AT_ONCE, share - first)) for course, share in shared_out(lives) for first in range(0, share, _LIVES_AT_ONCE)]
    for report in pool.map(_chunk, *zip(*chunks, strict=True), range(seed * 10_000, seed * 10_000 + len(chunks))):
        tally.add(report.tally)
        if report.failure is not None:
            print(f"After {tally.lives} lives {report.failure}")
            return False
        if sys.stderr.isatty():
            print(f"\r{tally.lives} lives", end="", file=sys.stderr, flush=True)
    print(f"{tally.lives} lives in {time.monotonic() - began:.0f} s, no difference: {tally.rows:,} rows ({tally.values:,} values) compared.")
    print(", ".join(f"{name} {count}" for name, count in tally.types.most_common()) + "\n")
    _print_table(("WHAT HAPPENED", "TIMES"), sorted(tally.happenings.items()))
    positions = sorted({(name, switch) for name, switch, _ in tally.switches})
    _print_table(
        ("TYPE", "SWITCH", "LIVES, USUAL", "LIVES, OTHERWISE"),
        [(*key, tally.switches[*key, False], tally.switches[*key, True]) for key in positions],
    )
    _print_table(("TYPE", "MODE", "SYNC", "TIMES"), [(*key, times) for key, times in sorted(tally.syncs.items())])
    return True


def _chunk(course: Course, lives: int, seed: int) -> Report:
    tally = Tally()
    failed = course.live(lives, at=seed, tally=tally)
    if failed is None:
        return Report(tally, None)
    words = "".join(traceback.format_exception_only(failed.error))
    said = "a table was wrong" if isinstance(failed.error, Difference) else "a life crashed"
    return Report(tally, f"{said}:\n{words}\nThe life, to be lived again with Living(life, InProcess(life), Tally()).live():\n{failed.life}")


def _plant(pool: Executor, seed: int) -> bool:
    found = list(pool.map(_planted, range(len(FAULTS)), [seed] * len(FAULTS)))
    _print_table(("PLANTED FAULT", "CAUGHT", "BY"), [(fault.name, one.outcome, one.words) for fault, one in zip(FAULTS, found, strict=True)])
    return all(one.right for one in found)


def _planted(number: int, seed: int) -> Planted:
    return tried(FAULTS[number], seed)


def tried(fault: Fault, seed: int) -> Planted:
    """Plant a fault in this process, and tell what became of it."""
    try:
        failure = catch(fault, at=seed).failure
    except Exception as error:  # it could not even be planted
        return Planted(False, "CRASHED", _short(error))
    if failure is None:
        return Planted(False, "NOT CAUGHT")
    if not isinstance(failure.error, Difference):
        return Planted(False, "CRASHED", _short(failure.error))
    return Planted(True, f"in life {failure.lives}", _short(failure.error))


def _short(error: Exception) -> str:
    words = str(error) if isinstance(error, Difference) else f"{type(error).__name__}: {error}"
    return words.split(". Versions")[0].replace("\n", " ")[:120]


def _print_table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    cells = [heads, *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(heads))]
    for row in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    print()

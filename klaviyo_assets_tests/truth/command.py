"""The truth machine by one command: thousands of lives, then every planted fault; exit status 1 if a table was wrong or a fault was not caught.

python -m klaviyo_assets_tests.truth --lives 2000 --seed 1
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

from klaviyo_assets_tests.truth.faults import FAULTS
from klaviyo_assets_tests.truth.living import Tally
from klaviyo_assets_tests.truth.search import catch, live_many

_LIVES_AT_ONCE = 50
"""Lives that a process lives before it reports."""


@dataclass(frozen=True)
class Report:
    """What a process has to tell of its lives: counts, and the first failure in words, as short as it could be made."""

    tally: Tally
    failure: str | None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m klaviyo_assets_tests.truth", description=__doc__.split("\n")[0])
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
    chunks = [min(_LIVES_AT_ONCE, lives - first) for first in range(0, lives, _LIVES_AT_ONCE)]
    for report in pool.map(_chunk, chunks, range(seed * 10_000, seed * 10_000 + len(chunks))):
        tally.add(report.tally)
        if report.failure is not None:
            print(f"After {tally.lives} lives a table was wrong:\n{report.failure}")
            return False
        if sys.stderr.isatty():
            print(f"\r{tally.lives} lives", end="", file=sys.stderr, flush=True)
    print(f"{tally.lives} lives in {time.monotonic() - began:.0f} s, no difference: {tally.rows:,} rows ({tally.values:,} values) compared.\n")
    _print_table(("WHAT HAPPENED", "TIMES"), sorted(tally.happenings.items()))
    _print_table(("TYPE", "MODE", "SYNC", "TIMES"), [(*key, times) for key, times in sorted(tally.syncs.items())])
    return True


def _chunk(lives: int, seed: int) -> Report:
    tally = Tally()
    failed = live_many(lives, at=seed, tally=tally)
    if failed is None:
        return Report(tally, None)
    words = "".join(traceback.format_exception_only(failed.error))
    return Report(tally, f"{words}\nThe life, to be lived again with Living(life, InProcess(life), Tally()).live():\n{failed.life}")


def _plant(pool: Executor, seed: int) -> bool:
    rows, right = [], True
    for number, (lives, words) in enumerate(pool.map(_caught, range(len(FAULTS)), [seed] * len(FAULTS))):
        right &= lives is not None
        rows.append((FAULTS[number].name, "NOT CAUGHT" if lives is None else f"in life {lives}", words))
    _print_table(("PLANTED FAULT", "CAUGHT", "BY"), rows)
    return right


def _caught(number: int, seed: int) -> tuple[int | None, str]:
    """Plant a fault in this process; tell within how many lives it was caught, and by what."""
    failure = catch(FAULTS[number], at=seed).failure
    return (None, "") if failure is None else (failure.lives, str(failure.error).split(". Versions")[0][:120])


def _print_table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    cells = [heads, *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(heads))]
    for row in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    print()

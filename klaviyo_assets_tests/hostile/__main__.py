"""Prints what is done to syncs and what the tables hold after: ``python -m klaviyo_assets_tests.hostile faults`` or ``… kills``."""

import logging
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from klaviyo_assets_tests.hostile.network import Met, every_seed, every_trouble

_SEEDS = range(5)


def main(what: str) -> int:
    """Print a table, line by line as it comes; return 0 if no table was ever wrong."""
    logging.getLogger("klaviyo_assets").setLevel(logging.ERROR)  # each fault is in the table
    with tempfile.TemporaryDirectory() as folder:
        return {"faults": _faults}[what](Path(folder))


def _faults(folder: Path) -> int:
    print("| fault | resource type | struck | the sync | the table then | after the next sync |")
    print("| --- | --- | --- | --- | --- | --- |")
    return _print(_met(folder))


def _met(folder: Path) -> Iterator[Met]:
    yield from every_trouble(folder)
    yield from every_seed(folder, _SEEDS)


def _print(all_met: Iterator[Met]) -> int:
    struck = wrong = count = 0
    for met in all_met:
        print(f"| {met.trouble} | {met.name} | {met.struck} | {met.error or 'went on'} | {met.after} | {met.later} |", flush=True)
        count, struck = count + 1, struck + met.struck
        wrong += bool(met.after.faults) or not met.later.is_equal
    print(f"\n{count} syncs, {struck} faults, {wrong} wrong tables.")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

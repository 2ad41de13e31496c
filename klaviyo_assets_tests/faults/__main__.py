"""Prints the injected faults or kills and the state of the tables afterwards: ``python -m klaviyo_assets_tests.faults faults`` or ``… kills``."""

import logging
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from klaviyo_assets_tests.faults.machine import every_kill
from klaviyo_assets_tests.faults.network import Met, every_seed, every_trouble

_SEEDS = range(5)


def main(what: str) -> int:
    """Print a report row by row; return 0 if no table was ever wrong."""
    logging.getLogger("klaviyo_assets").setLevel(logging.ERROR)  # each fault is in the table
    logging.getLogger("klaviyo_assets_tests").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        return {"faults": _faults, "kills": _kills}[what](Path(folder))


def _faults(folder: Path) -> int:
    print("| fault | resource type | struck | the sync | the table then | after the next sync |")
    print("| --- | --- | --- | --- | --- | --- |")
    struck = wrong = count = 0
    for met in _met(folder):
        print(f"| {met.trouble} | {met.name} | {met.struck} | {met.error or 'went on'} | {met.after} | {met.later} |", flush=True)
        count, struck = count + 1, struck + met.struck
        wrong += bool(met.after.faults) or not met.later.is_equal
    print(f"\n{count} syncs, {struck} faults, {wrong} wrong tables.")
    return int(wrong > 0)


def _met(folder: Path) -> Iterator[Met]:
    yield from every_trouble(folder)
    yield from every_seed(folder, _SEEDS)


def _kills(folder: Path) -> int:
    print("| killed when | mode | resource type | for the nth time | the table then | after the next sync |")
    print("| --- | --- | --- | --- | --- | --- |")
    wrong = count = 0
    for one in every_kill(folder):
        then = str(one.after) if one.died else "NOT KILLED"
        print(f"| {one.stage.name} | {one.stage.mode} | {one.name} | {one.times} | {then} | {one.later} |", flush=True)
        count, wrong = count + 1, wrong + (not one.is_right)
    print(f"\n{count} syncs killed, {wrong} wrong tables or left files.")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

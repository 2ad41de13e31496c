"""Prints the injected faults or kills and the state of the tables afterwards: ``python -m klaviyo_assets_tests.faults faults``, ``… kills`` or
``… resumed`` (only the kills of large reads)."""

import logging
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from klaviyo_assets_tests.faults.machine import every_kill
from klaviyo_assets_tests.faults.network import FaultResult, every_fault, mixed_faults
from klaviyo_assets_tests.faults.resumed_reads import every_resumed_read

_SEEDS = range(5)


def main(what: str) -> int:
    """Print a report row by row; return 0 if no table was ever wrong."""
    logging.getLogger("klaviyo_assets").setLevel(logging.ERROR)  # the table already shows each fault
    logging.getLogger("klaviyo_assets_tests").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        return {"faults": _faults, "kills": _kills, "resumed": _resumed}[what](Path(folder))


def _faults(folder: Path) -> int:
    print("| fault | resource type | faults | outcome | the table then | after the next sync |")
    print("| --- | --- | --- | --- | --- | --- |")
    faults = wrong = syncs = 0
    for result in _network_results(folder):
        print(f"| {result.faults} | {result.name} | {result.count} | {result.error or 'succeeded'} | {result.after} | {result.later} |", flush=True)
        syncs, faults = syncs + 1, faults + result.count
        wrong += bool(result.after.faults) or not result.later.is_equal
    print(f"\n{syncs} syncs, {faults} faults, {wrong} wrong tables.")
    return int(wrong > 0)


def _network_results(folder: Path) -> Iterator[FaultResult]:
    yield from every_fault(folder)
    yield from mixed_faults(folder, _SEEDS)


def _kills(folder: Path) -> int:
    print("| killed when | mode | resource type | call | the table then | after the next sync |")
    print("| --- | --- | --- | --- | --- | --- |")
    wrong = kills = 0
    for one in every_kill(folder):
        then = str(one.after) if one.died else "NOT KILLED"
        print(f"| {one.stage.name} | {one.stage.mode} | {one.name} | {one.call} | {then} | {one.later} |", flush=True)
        kills, wrong = kills + 1, wrong + (not one.passed)
    print(f"\n{kills} syncs killed, {wrong} wrong tables or leftover files.\n")
    return int(_resumed(folder) > 0 or wrong > 0)


def _resumed(folder: Path) -> int:
    """Print how much is read again after kills of large reads; return how many of them failed."""
    print("| first read of | killed after | the table then | after the next sync | read again |")
    print("| --- | --- | --- | --- | --- |")
    reads = []
    for one in every_resumed_read(folder):
        then = str(one.after) if one.died else "NOT KILLED"
        print(f"| {one.name} | {one.pages} pages | {then} | {one.later} | {one.read_again:.1%} |", flush=True)
        reads.append(one)
    failed = sum(not one.passed for one in reads)
    print(f"\n{len(reads)} reads killed, at most {max(one.read_again for one in reads):.1%} read again, {failed} failed.")
    return failed


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

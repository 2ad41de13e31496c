"""Kills the first read of large child types at ten places, and measures how much the next sync reads again."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import in_small_pages, local_file, small, sync, with_parents
from klaviyo_assets_tests.faults.verdict import Verdict, judge
from klaviyo_assets_tests.killable_sync import RECEIVED

NAMES = ("list_members", "segment_members", "coupon_codes")
KILLS = 10
MOST_READ_AGAIN = 0.05
_ROWS_PER_PAGE = 20
_COUNTS = "coupons=30,coupon_codes=700,list_members=700,segment_members=700"


@dataclass(frozen=True)
class ResumedRead:
    """A first read that was killed, and resumed by the next sync.

    Attributes:
        name: The resource type.
        pages: Pages with records after which it was killed.
        died: False if it ended before.
        received: Records that both syncs received.
        records: Records that Klaviyo has.
        after: The table after the kill.
        later: The table after the next sync.
    """

    name: str
    pages: int
    died: bool
    received: int
    records: int
    after: Verdict
    later: Verdict

    @property
    def read_again(self) -> float:
        """Records that were read again, as a share of all."""
        return (self.received - self.records) / self.records

    @property
    def passed(self) -> bool:
        """True if no table was wrong and few records were read again."""
        return self.died and not self.after.faults and self.later.is_equal and self.read_again <= MOST_READ_AGAIN


def large_children() -> SandboxProcess:
    """Return a sandbox with some thousand children of each type, not started yet."""
    return small(events=0, profiles=700, lists=30, segments=30, counts=_COUNTS)


def killed_and_resumed(sandbox: SandboxProcess, warehouse: LocalFile, name: str, share: float) -> ResumedRead:
    """Kill a first read when a share of the pages has arrived; sync again, and compare.

    Args:
        sandbox: The account; its log of requests is reset.
        warehouse: A database without the type's table.
        name: The resource type.
        share: Share of the full pages that the table needs.
    """
    for parent in with_parents(name)[:-1]:
        sync(parent, sandbox, warehouse)
    records = len(sandbox.truth(name))
    pages = round(records / _ROWS_PER_PAGE * share)
    arguments = [sandbox.base_url, str(warehouse.path.parent), name, str(pages)]
    command = [sys.executable, "-m", "klaviyo_assets_tests.killable_sync", *arguments]
    process = subprocess.run(command, check=False, capture_output=True, text=True)
    before = next((int(line.split()[1]) for line in process.stdout.splitlines() if line.startswith(RECEIVED)), 0)
    after = judge(sandbox, warehouse, name)
    report = sync(in_small_pages(name, _ROWS_PER_PAGE), sandbox, warehouse, concurrency=4)
    died = process.returncode == -signal.SIGKILL
    return ResumedRead(name, pages, died, before + report.row.records_read, records, after, judge(sandbox, warehouse, name))


def every_resumed_read(folder: Path) -> Iterator[ResumedRead]:
    """Kill the first read of each type at ten places, each with its own database."""
    with large_children() as sandbox:
        for name in NAMES:
            for number in range(1, KILLS + 1):
                yield killed_and_resumed(sandbox, local_file(folder / f"{name}-{number}"), name, number / (KILLS + 1))

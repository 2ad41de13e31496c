"""A hostile machine: syncs that are killed at every stage, and what the tables hold then and after the next sync."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from klaviyo_assets.extract.options import SyncMode
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import in_small_pages, local_file, small, sync
from klaviyo_assets_tests.faults.killed import STAGES, Stage
from klaviyo_assets_tests.faults.verdict import Verdict, judge


@dataclass(frozen=True)
class Killed:
    """A sync that was killed.

    Attributes:
        stage: Where.
        name: The resource type.
        times: When it came there for the how manieth time.
        died: False if it ended before it came there.
        after: What the table held then.
        later: What it held after the next sync.
        left: Staged files that are left after that.
        outcomes: What ``_syncs`` says of the two.
    """

    stage: Stage
    name: str
    times: int
    died: bool
    after: Verdict
    later: Verdict
    left: int
    outcomes: tuple[str, ...]

    @property
    def is_right(self) -> bool:
        """True if no table was ever wrong, and nothing is left over."""
        return self.died and not self.after.faults and self.later.is_equal and not self.left


def kill(sandbox: SandboxProcess, warehouse: LocalFile, stage: Stage, name: str, times: int) -> Killed:
    """Kill a sync, look at the table, sync in peace, and look again."""
    if stage.mode is SyncMode.full:
        sync(name, sandbox, warehouse)  # there is a table to be replaced
        sandbox.change("add", type=name) if name != "events" else sandbox.change("event")
        sandbox.advance(timedelta(minutes=1))
    arguments = [str(STAGES.index(stage)), str(times), sandbox.base_url, str(warehouse.path.parent), name]
    process = subprocess.run([sys.executable, "-m", "klaviyo_assets_tests.faults.killed", *arguments], check=False, capture_output=True)
    after = judge(sandbox, warehouse, name)
    sync(in_small_pages(name), sandbox, warehouse)
    with warehouse.connection() as connection:
        ended = connection.execute(f"SELECT outcome FROM klaviyo.klaviyo._syncs WHERE resource_type = '{name}' ORDER BY started_at").fetchall()
    left = sum(path.is_file() for path in (warehouse.state_dir / "klaviyo" / "staging").rglob("*"))
    died = process.returncode == -signal.SIGKILL
    return Killed(stage, name, times, died, after, judge(sandbox, warehouse, name), left, tuple(outcome for (outcome,) in ended))


def every_kill(folder: Path) -> Iterator[Killed]:
    """Kill at each stage each type that comes to it, with a database of its own each."""
    with small(events=600) as sandbox:
        sandbox.advance(timedelta(days=30))  # what is on its way at the start has arrived
        for number, stage in enumerate(STAGES):
            for name in stage.types:
                for times in stage.times:
                    yield kill(sandbox, local_file(folder / f"{number}-{name}-{times}"), stage, name, times)

"""Kills syncs at every stage; checks the table afterwards and again after the next sync."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from klaviyo_assets.extract.sync_options import SyncMode
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import in_small_pages, local_file, small, sync, with_parents
from klaviyo_assets_tests.faults.killed import STAGES, Stage
from klaviyo_assets_tests.faults.verdict import Verdict, judge


@dataclass(frozen=True)
class Killed:
    """A sync that was killed.

    Attributes:
        stage: The stage.
        name: The resource type.
        call: The number of the call at which it was killed.
        died: False if it ended before it reached the stage.
        after: The table after the kill.
        later: The table after the next sync.
        leftover: Number of staged files left after that.
        outcomes: The outcomes of both syncs in ``_syncs``.
    """

    stage: Stage
    name: str
    call: int
    died: bool
    after: Verdict
    later: Verdict
    leftover: int
    outcomes: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """True if the table was never wrong and no staged file is left."""
        return self.died and not self.after.faults and self.later.is_equal and not self.leftover


def kill(sandbox: SandboxProcess, warehouse: LocalFile, stage: Stage, name: str, call: int) -> Killed:
    """Kill a sync, check the table, sync again without faults, and check again."""
    for parent in with_parents(name)[:-1]:
        sync(parent, sandbox, warehouse)
    if stage.mode is SyncMode.full:
        sync(name, sandbox, warehouse)  # a full read needs a table to replace
        sandbox.change("add", type=name) if name != "events" else sandbox.change("event")
        sandbox.advance(timedelta(minutes=1))
    arguments = [str(STAGES.index(stage)), str(call), sandbox.base_url, str(warehouse.path.parent), name]
    process = subprocess.run([sys.executable, "-m", "klaviyo_assets_tests.faults.killed", *arguments], check=False, capture_output=True)
    after = judge(sandbox, warehouse, name)
    sync(in_small_pages(name), sandbox, warehouse)
    with warehouse.connection() as connection:
        rows = connection.execute(f"SELECT outcome FROM klaviyo.klaviyo._syncs WHERE resource_type = '{name}' ORDER BY started_at").fetchall()
    leftover = sum(path.is_file() for path in (warehouse.state_dir / "klaviyo" / "staging").rglob("*"))
    died = process.returncode == -signal.SIGKILL
    return Killed(stage, name, call, died, after, judge(sandbox, warehouse, name), leftover, tuple(outcome for (outcome,) in rows))


def every_kill(folder: Path) -> Iterator[Killed]:
    """Kill every resource type at every stage that it reaches, each with its own database."""
    with small(events=600) as sandbox:
        sandbox.advance(timedelta(days=30))  # until all late events have arrived
        for number, stage in enumerate(STAGES):
            for name in stage.types:
                for call in stage.calls:
                    yield kill(sandbox, local_file(folder / f"{number}-{name}-{call}"), stage, name, call)

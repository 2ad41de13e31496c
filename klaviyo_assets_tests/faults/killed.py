"""A sync in its own process that kills itself with SIGKILL at the nth call of a stage's function.

Run as ``python -m klaviyo_assets_tests.faults.killed STAGE_INDEX CALL BASE_URL FOLDER RESOURCE_TYPE``.
"""

import functools
import os
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from klaviyo_assets.extract.sync_options import SyncMode, SyncOptions
from klaviyo_assets.load.loader import Loader
from klaviyo_assets.load.schema.tables import Tables
from klaviyo_assets.load.steps.load_transaction import LoadTransaction
from klaviyo_assets.load.steps.read_comparison import ReadComparison
from klaviyo_assets.staging import background_writer, staging
from klaviyo_assets.staging.staging import Staging
from klaviyo_assets_tests.accounts import in_small_pages, local_file, started_elsewhere, sync


@dataclass(frozen=True)
class Stage:
    """A point at which a sync is killed.

    Attributes:
        name: Description.
        owner: Class or module that defines the function.
        function: The function that kills the process.
        after: True to kill after the function returns; False to kill before it runs.
        types: Resource types that reach it.
        mode: SyncMode of the sync.
        calls: Numbers of the calls at which to kill, from 1.
    """

    name: str
    owner: Any
    function: str
    after: bool = False
    types: tuple[str, ...] = ("events", "profiles")
    mode: SyncMode = SyncMode.incremental
    calls: tuple[int, ...] = (1, 3)


STAGES = (
    Stage("tables are prepared, not committed", Tables, "prepare", after=True, calls=(1,)),
    Stage("a page was received", Staging, "add", after=True, calls=(1, 4)),
    Stage("a staged file is written, not renamed", staging, "_crc32"),
    Stage("a staged file is written, the manifest is not", Staging, "_save", calls=(1, 2)),
    Stage("between slices", Staging, "finish", after=True, calls=(1, 2)),
    Stage("a load begins", Loader, "load"),
    Stage("rows are loaded, not committed", LoadTransaction, "extend_coverage", calls=(1, 2)),
    Stage("rows and coverage are loaded, not committed", LoadTransaction, "extend_coverage", after=True, calls=(1, 2)),
    Stage("a load is committed", Loader, "load", after=True),
    Stage("a whole read is about to be loaded", ReadComparison, "finish_whole", types=("campaigns", "lists"), calls=(1,)),
    Stage("a whole read is committed", ReadComparison, "finish_whole", after=True, types=("campaigns", "lists"), calls=(1,)),
    Stage("the children of some parents are loaded", Loader, "load", after=True, types=("list_members",), calls=(1,)),
    Stage("children are about to be compared", ReadComparison, "finish_parents", types=("list_members",), calls=(1,)),
    Stage("children are compared and committed", ReadComparison, "finish_parents", after=True, types=("list_members",), calls=(1,)),
    Stage("a full read is loaded next to the table", Loader, "load", after=True, mode=SyncMode.full, calls=(1, 2)),
    Stage("a full read is about to be swapped in", Loader, "swap", mode=SyncMode.full, calls=(1,)),
    Stage("a full read is swapped in, not committed", LoadTransaction, "end", mode=SyncMode.full, calls=(1,)),
    Stage("a full read is swapped in and committed", Loader, "swap", after=True, mode=SyncMode.full, calls=(1,)),
    Stage("staged files are being deleted", shutil, "rmtree", calls=(1,)),
)


def main(stage_index: str, call: str, base_url: str, folder: str, name: str) -> None:
    """Sync until the process is killed."""
    stage = STAGES[int(stage_index)]
    background_writer.ROWS_PER_LOAD, background_writer._GROWTH = 100, 1_000_000
    background_writer._LOADS_ON_DISK = 0  # fetching waits for each load, so the number of loads does not depend on the machine's speed
    staging.ROWS_PER_FILE = 50
    setattr(stage.owner, stage.function, killing_at(getattr(stage.owner, stage.function), int(call), after=stage.after))
    sync(in_small_pages(name, 20), started_elsewhere(base_url), local_file(Path(folder)), SyncOptions(mode=stage.mode), concurrency=2)


def killing_at(function: Callable[..., Any], call: int, *, after: bool) -> Callable[..., Any]:
    """Return a function that kills the process at one of its calls, before or after it runs."""
    calls = 0

    @functools.wraps(function)
    def killing(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = function(*arguments, **named)
        if calls == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return killing


if __name__ == "__main__":
    main(*sys.argv[1:])

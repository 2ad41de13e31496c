"""One sync of a resource type at a time."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from klaviyo_assets.sync.errors import SyncTaken


@contextlib.contextmanager
def taken(state_dir: Path, resource_type: str, run_id: str | None) -> Iterator[None]:
    """Hold a resource type for one sync; the lock's neighbour names the run that has it.

    Args:
        state_dir: Folder of the schema's state.
        resource_type: Name of the resource type.
        run_id: Dagster run, for others to read.

    Raises:
        SyncTaken: If another process holds it.
    """
    lock = FileLock(str(state_dir / f"{resource_type}.lock"))
    holder = state_dir / f"{resource_type}.holder"
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        name = holder.read_text().strip() if holder.is_file() else ""
        raise SyncTaken(
            f"{resource_type} is being synced already{f' by run {name}' if name else ''}; nothing was done.",
            "Wait for that run to end, then run again if it is still needed.",
        ) from error
    try:
        holder.write_text(run_id or "outside of Dagster")
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()

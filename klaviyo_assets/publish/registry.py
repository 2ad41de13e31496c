"""Which copies of a database exist, so that an erasure or a changed field rule reaches them."""

import json
from pathlib import Path

from klaviyo_assets._internal import private_files
from klaviyo_assets.publish.target import PublishTarget

_NAME = "published.json"


def note(state: Path, target: PublishTarget, compactions: str) -> None:
    """Record that a copy was written.

    Args:
        state: The database's state folder.
        target: The copy.
        compactions: The warehouse's :attr:`~klaviyo_assets.warehouse.interface.Warehouse.compactions` before the copy.
    """
    known = {**_read(state), str(target.file): [None if target.parquet is None else str(target.parquet), compactions]}
    _write(state, known)


def outdated(state: Path, compactions: str) -> list[PublishTarget]:
    """Return the copies that were written before the last compaction: they may hold data that it removed. Those that were deleted are forgotten.

    Args:
        state: The database's state folder.
        compactions: As in :func:`note`, now.
    """
    known = _read(state)
    existing = {file: value for file, value in known.items() if Path(file).exists() or (value[0] is not None and Path(value[0]).exists())}
    if existing != known:
        _write(state, existing)
    return [PublishTarget(Path(file), None if folder is None else Path(folder)) for file, (folder, noted) in existing.items() if noted != compactions]


def _read(state: Path) -> dict[str, list[str | None]]:
    path = state / _NAME
    return dict(json.loads(path.read_bytes())) if path.is_file() else {}


def _write(state: Path, known: dict[str, list[str | None]]) -> None:
    new = state / f"{_NAME}.new"
    private_files.write(new, json.dumps(known).encode())
    new.replace(state / _NAME)

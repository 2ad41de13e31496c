"""Which copies of a database exist, so that an erasure or a changed field rule reaches them."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from klaviyo_assets._internal import private_files
from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.publish.parquet import month_columns
from klaviyo_assets.publish.target import PublishTarget
from klaviyo_assets.warehouse.interface import WarehouseError

_REGISTRY_FILE = "published.json"

_Entry = tuple[str | None, str, Mapping[str, str]]
"""The folder of the Parquet files, the compactions before the copy, and the columns of months."""


@dataclass(frozen=True)
class Copy:
    """A copy that was written.

    Attributes:
        target: Its files.
        months: Its tables that are divided by month, each with the column whose months count. A sync that writes the copy again does not know the
            catalog of the code location that published it.
    """

    target: PublishTarget
    months: Mapping[str, str]


def note(state: Path, copy: Copy, compactions: str) -> None:
    """Record that a copy was written.

    Args:
        state: The database's state folder.
        copy: The copy.
        compactions: The warehouse's :attr:`~klaviyo_assets.warehouse.interface.Warehouse.compactions` before the copy.

    Raises:
        WarehouseError: If the list of copies is damaged.
    """
    target = copy.target
    known = {**_read(state), str(target.file): (None if target.parquet is None else str(target.parquet), compactions, dict(copy.months))}
    _write(state, known)


def outdated(state: Path, compactions: str) -> list[Copy]:
    """Return the copies that were written before the last compaction: they may hold data that it removed. Those that were deleted are forgotten.

    Args:
        state: The database's state folder.
        compactions: As in :func:`note`, now.

    Raises:
        WarehouseError: If the list of copies is damaged.
    """
    known = _read(state)
    existing = {file: value for file, value in known.items() if Path(file).exists() or (value[0] is not None and Path(value[0]).exists())}
    if existing != known:
        _write(state, existing)
    return [
        Copy(PublishTarget(Path(file), None if folder is None else Path(folder)), months)
        for file, (folder, noted, months) in existing.items()
        if noted != compactions
    ]


def _read(state: Path) -> dict[str, _Entry]:
    path = state / _REGISTRY_FILE
    try:
        stored = json.loads(path.read_bytes()) if path.is_file() else {}
        # Earlier versions recorded no months and knew only the types of this package.
        return {file: (folder, noted, months[0] if months else month_columns(CATALOG)) for file, (folder, noted, *months) in stored.items()}
    except (AttributeError, TypeError, ValueError) as error:
        raise WarehouseError(
            f"{path} is damaged: it lists the published copies of the database, and erasures and changed field rules reach only those.",
            "Delete it, then publish each copy again; delete copies that you no longer publish.",
        ) from error


def _write(state: Path, known: Mapping[str, _Entry]) -> None:
    new = state / f"{_REGISTRY_FILE}.new"
    with private_files.new_file(new) as file:
        file.write(json.dumps(known).encode())
        file.flush()
        os.fsync(file.fileno())  # else a crash of the machine could leave an empty file
    new.replace(state / _REGISTRY_FILE)

"""Creates a missing DuckDB file."""

import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import duckdb

from klaviyo_assets._internal import os_errors, private_files
from klaviyo_assets.warehouse import diagnosis
from klaviyo_assets.warehouse.interface import WarehouseError

_MIN_BYTES = 12_288
"""Bytes of a DuckDB file that holds nothing (its three headers); a shorter one was not written completely and holds nothing either."""

_log = logging.getLogger("klaviyo_assets")


def is_missing(path: Path) -> bool:
    """Return whether there is no file, or one that was not written completely."""
    return not path.is_file() or path.stat().st_size < _MIN_BYTES


def create(path: Path, config: Mapping[str, Any]) -> None:
    """Create a DuckDB file.

    It is created under another name and then renamed, so a killed process leaves no incomplete file there.

    Args:
        path: The file; :func:`is_missing`.
        config: DuckDB's settings.

    Raises:
        WarehouseError: If that cannot be done, or the log of a lost file is there.
    """
    log = path.with_name(f"{path.name}.wal")
    if log.is_file() and log.stat().st_size:
        raise WarehouseError(f"{path} is incomplete or missing, but its log {log} is there.", "Restore both from a backup, or move both away.")
    new = path.with_name(f"{path.name}.new")
    try:
        private_files.remove_file(new)
        duckdb.connect(str(new), config=dict(config)).close()
        with new.open("rb") as file:
            private_files.hand_over(file.fileno(), path.parent)
        if path.is_file():  # DuckDB could not open it
            _log.warning("%s has %d bytes, too few for a database; it is created again", path, path.stat().st_size)
            private_files.remove_file(path)
        _rename_unless_present(new, path)
    except (duckdb.Error, OSError) as error:
        if (refused := diagnosis.settings_refused(path, error)) is not None:
            raise refused from error
        text = str(error).splitlines()[0]
        system = error if isinstance(error, OSError) else os_errors.named_in(text)
        what, advice = (system and os_errors.meaning(system)) or (text, "Check free disk space and write permission there")
        raise WarehouseError(
            f"The database {path} cannot be created: {what}.", f"{advice}, or set KLAVIYO_DUCKDB_PATH to another place; then run again."
        ) from error
    finally:
        with suppress(OSError):
            private_files.remove_file(new)


def _rename_unless_present(new: Path, path: Path) -> None:
    """Rename a new file, unless another program has created one of that name meanwhile."""
    try:
        os.link(new, path)
    except FileExistsError:
        return
    except OSError:  # a file system without hard links
        new.replace(path)

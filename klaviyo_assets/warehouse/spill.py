"""Where DuckDB spills: a folder for the owner only, from which what a killed process has left goes at the next opening."""

import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import duckdb
from duckdb import DuckDBPyConnection

from klaviyo_assets.warehouse.sql import literal

_NAME = "spill"

_SETTING = "temp_directory"


def spill_folder(state: Path, config: Mapping[str, Any]) -> str:
    """Return the folder, as the user has set it in ``connection_config`` or else in the state folder; DuckDB makes it when it needs it."""
    chosen = {name.lower(): value for name, value in config.items()}.get(_SETTING)
    return str(state / _NAME) if chosen is None else str(chosen)


def use_spill_folder(connection: DuckDBPyConnection, path: Path, state: Path, config: Mapping[str, Any]) -> None:
    """Let a connection that was just opened spill into the folder, and empty it; a folder that the user has set is left alone.

    Args:
        connection: The only one to the file but for others of this process; the file lock is held.
        path: The DuckDB file.
        state: Folder of the database's state; it is there.
        config: The user's settings.
    """
    folder = spill_folder(state, config)
    if folder == str(state / _NAME):
        try:
            connection.execute(f"SET {_SETTING} = {literal(folder)}")
        except duckdb.NotSupportedError:
            return  # another connection of this process has spilt; the files are in use
    remove_spilt(path, state)


def remove_spilt(path: Path, state: Path) -> None:
    """Delete what a killed process has spilt: into our folder, or where DuckDB does it by itself, ``<file>.tmp``."""
    ours = state / _NAME
    if ours.exists():
        shutil.rmtree(ours, ignore_errors=True)
    default = path.with_name(f"{path.name}.tmp")
    if default.is_dir():
        for file in default.glob("duckdb_temp_*"):
            file.unlink(missing_ok=True)
        with suppress(OSError):
            default.rmdir()

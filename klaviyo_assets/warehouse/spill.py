"""DuckDB's spill folder: for the owner only; files of a killed process are deleted when the database is opened next."""

import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import duckdb
from duckdb import DuckDBPyConnection

from klaviyo_assets.warehouse.sql import literal

_SPILL_FOLDER = "spill"

_SETTING = "temp_directory"


def spill_folder(state: Path, config: Mapping[str, Any]) -> str:
    """Return the folder, as the user has set it in ``connection_config`` or else in the state folder; DuckDB creates it when needed."""
    chosen = {name.lower(): value for name, value in config.items()}.get(_SETTING)
    return str(state / _SPILL_FOLDER) if chosen is None else str(chosen)


def use_spill_folder(connection: DuckDBPyConnection, path: Path, state: Path, config: Mapping[str, Any]) -> None:
    """Let a connection that was just opened spill into the folder, and empty it; a folder that the user has set is left alone.

    Args:
        connection: The only connection to the file except others of this process; the file lock is held.
        path: The DuckDB file.
        state: Folder of the database's state; it exists.
        config: The user's settings.
    """
    folder = spill_folder(state, config)
    if folder == str(state / _SPILL_FOLDER):
        try:
            connection.execute(f"SET {_SETTING} = {literal(folder)}")
        except duckdb.NotSupportedError:
            return  # another connection of this process has spilled; its files are in use
    remove_spilled(path, state)


def remove_spilled(path: Path, state: Path) -> None:
    """Delete files that a killed process has spilled to our folder, or to DuckDB's default, ``<file>.tmp``."""
    ours = state / _SPILL_FOLDER
    if ours.exists():
        shutil.rmtree(ours, ignore_errors=True)
    default = path.with_name(f"{path.name}.tmp")
    if default.is_dir():
        for file in default.glob("duckdb_temp_*"):
            file.unlink(missing_ok=True)
        with suppress(OSError):
            default.rmdir()

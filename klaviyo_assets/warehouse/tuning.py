"""DuckDB's settings for a file: small memory and cheap checkpoints, unless the user says otherwise."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from duckdb import DuckDBPyConnection

from klaviyo_assets.warehouse.interface import WarehouseError
from klaviyo_assets.warehouse.memory_limit import DEFAULT_MEMORY_LIMIT, MEMORY_LIMIT_WORDS, bytes_of, doubled, is_memory_limit
from klaviyo_assets.warehouse.sql import literal

CONNECTION_CONFIG = {"storage_compatibility_version": "v1.5.0"}
"""DuckDB settings for new files: tools that still use DuckDB 1.5 can open them."""

_SETTINGS = {
    "memory_limit": DEFAULT_MEMORY_LIMIT,
    # Each inserting thread holds its own row group, 120,000 wide rows: on many cores, those alone would fill the memory.
    "threads": "2",
    # Otherwise each checkpoint after a few deleted rows would rewrite most of the table; see vacuum.py.
    "max_vacuum_tasks": "0",
    # A larger commit is written directly to the file, not first to the log and then to the file.
    "wal_autocheckpoint": "1MB",
    # Up to this many scattered rows are looked up by row number instead of reading the whole table.
    "dynamic_or_filter_threshold": "1000",
    # DuckDB 1.5 prints one to standard output during long statements, between the program's own output.
    "enable_progress_bar": "false",
}
"""DuckDB settings of each connection, unless the user has set them."""

_ALIASES = {"max_memory": "memory_limit", "worker_threads": "threads", "checkpoint_threshold": "wal_autocheckpoint"}

_VACUUM_TASKS = 100  # DuckDB's own default


@dataclass(frozen=True)
class Tuning:
    """The settings of one file's connections.

    Args:
        config: The user's settings for DuckDB (``connection_config``), which take precedence.
        memory_limit: Memory that DuckDB may use; None for the default.
        threads: Threads that DuckDB may use; None for the default.

    Raises:
        WarehouseError: If DuckDB cannot work with the memory limit.
    """

    config: Mapping[str, Any]
    memory_limit: str | None = None
    threads: int | None = None

    def __post_init__(self) -> None:
        """Check the memory limit."""
        if self.memory_limit is not None and not is_memory_limit(self.memory_limit):
            raise WarehouseError(
                f"KLAVIYO_DUCKDB_MEMORY_LIMIT cannot be used as DuckDB's memory limit: {self.memory_limit!r}.", f"Set it to {MEMORY_LIMIT_WORDS}."
            )

    def apply(self, connection: DuckDBPyConnection) -> None:
        """Set everything that the user's ``connection_config`` does not set."""
        for name, value in {**_SETTINGS, **self._given}.items():
            if name not in self._chosen:
                connection.execute(f"SET {name} = {literal(value)}")

    def append_with_one_thread(self, connection: DuckDBPyConnection) -> None:
        """Use one thread unless the user has set a number: a second would hold a hundred megabytes more, and one is faster than the network."""
        if "threads" not in self._chosen | self._given.keys():
            connection.execute("SET threads = 1")

    @property
    def decides_when_to_vacuum(self) -> bool:
        """Whether the user has left that to this library."""
        return "max_vacuum_tasks" not in self._chosen

    @staticmethod
    def vacuum_at_checkpoint(connection: DuckDBPyConnection) -> None:
        """Let the next checkpoint rewrite tables without their deleted rows."""
        connection.execute(f"SET max_vacuum_tasks = {_VACUUM_TASKS}")

    @property
    def work_settings(self) -> dict[str, str]:
        """Memory and threads for a connection that is not opened with the user's settings."""
        defaults = {name: _SETTINGS[name] for name in ("memory_limit", "threads")}
        config = {_ALIASES.get(name.lower(), name.lower()): str(value) for name, value in self.config.items()}
        return {**defaults, **self._given, **{name: config[name] for name in defaults if name in config}}

    def out_of_memory(self, path: Path, limit: str) -> WarehouseError:
        """Return the error for work that takes more memory than DuckDB may use.

        Args:
            path: The file.
            limit: What DuckDB may use, as DuckDB reports it; empty if unknown.
        """
        size = doubled(limit) if bytes_of(limit) else doubled(DEFAULT_MEMORY_LIMIT)
        is_configured = "memory_limit" in self._chosen
        setting = f"memory_limit in the connection_config of the DuckDBResource to {size}" if is_configured else f"KLAVIYO_DUCKDB_MEMORY_LIMIT={size}"
        return WarehouseError(
            f"DuckDB ran out of memory while it worked on {path}; its limit is {limit or DEFAULT_MEMORY_LIMIT}.",
            f"Set {setting}, or more if the machine has it; then run again. What was committed is kept.",
        )

    @cached_property
    def _given(self) -> dict[str, str]:
        values = {"memory_limit": self.memory_limit, "threads": self.threads}
        return {name: str(value) for name, value in values.items() if value is not None}

    @cached_property
    def _chosen(self) -> set[str]:
        """Names of the settings in ``connection_config``, aliases resolved."""
        names = {name.lower() for name in self.config}
        return names | {_ALIASES[name] for name in names & _ALIASES.keys()}

"""A DuckDB file on this machine, shared by several processes in turn."""

import logging
import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import duckdb
from dagster_duckdb import DuckDBResource
from duckdb import DuckDBPyConnection
from filelock import FileLock, Timeout

from klaviyo_assets._internal import cancellation, private_files
from klaviyo_assets._internal.file_lock import acquire, file_lock
from klaviyo_assets.warehouse import compaction, diagnosis, file_copy, frame_copies, new_file, own_process, spill, vacuum
from klaviyo_assets.warehouse.database_path import checked_path, refuse_irregular
from klaviyo_assets.warehouse.interface import Capabilities, Warehouse, WarehouseBusy, WarehouseError
from klaviyo_assets.warehouse.memory_limit import PATIENCE
from klaviyo_assets.warehouse.state_dir import (
    make_state_folder,
    not_writable,
    owner_only_files,
    prepared_state_folder,
    refuse_unwritable,
    state_folder,
)
from klaviyo_assets.warehouse.tuning import Tuning

_CONFIG_OF_RESOURCE = {"custom_user_agent": "dagster"}
"""Settings with which ``DuckDBResource`` opens a file; within one process, all connections to a file must have the same settings."""

LOCK_TIMEOUT = 1800.0
"""Seconds to wait for other syncs; each holds the file for seconds only."""

_SUFFIXES = ("", ".wal", ".lock", ".new", ".compacting", ".compacting.wal")
"""Suffixes of the database and the files next to it that this library or DuckDB opens."""

_FAILURES = (duckdb.IOException, duckdb.OutOfMemoryException, duckdb.TransactionException, duckdb.FatalException, duckdb.InternalException)
"""DuckDB's errors of the file or the machine, not of a statement; version 2 raises a plain Error for damaged blocks."""

_FAILED = (
    "{path} could not be written or read ({text}).",
    "Check free disk space and memory, and that nothing else changes the file; then run again. What was committed is kept.",
)

_SECONDS_BETWEEN_DATABASE_ATTEMPTS = 1.0

_log = logging.getLogger("klaviyo_assets")


class LocalFile(Warehouse):
    """A DuckDB file, named by a ``dagster_duckdb.DuckDBResource``.

    DuckDB lets one process at a time open a file for writing. The resource's own retries back off for up to 51 seconds at a time, so some of
    several processes would starve. Here they take turns with a file lock next to the database, and the connection is always closed.

    The file is opened with the resource's path and settings. A resource class that overrides ``get_connection`` opens it with that.

    New files are created for their owner only, whatever the umask; an existing file keeps its mode.

    Args:
        resource: The DuckDB resource; its ``database`` is a path.
        patience: Seconds to wait for another program that has the file open.
        memory_limit: Memory that DuckDB may use, such as ``2GB``; None for the default. The resource's ``connection_config`` takes precedence.
        threads: Threads that DuckDB may use; None for the default. The resource's ``connection_config`` takes precedence.
        lock_timeout: Seconds to wait for the file lock.

    Raises:
        WarehouseError: If the path or the memory limit cannot be used.

    Example:
        >>> with LocalFile(DuckDBResource(database="data/warehouse.duckdb")).connection() as connection:
        ...     connection.sql("SELECT count(*) FROM klaviyo.events").fetchall()
    """

    capabilities = Capabilities(
        exclusive_writer=True,
        rowid=True,
        alter_type_using=True,
        # Dictionary-like text compresses best with zstd, and loads faster than with the automatic choice.
        json_column="JSON USING COMPRESSION zstd",
        views=True,
        can_compact=True,
        can_copy=True,
    )

    def __init__(
        self,
        resource: DuckDBResource,
        *,
        patience: float = PATIENCE,
        memory_limit: str | None = None,
        threads: int | None = None,
        lock_timeout: float = LOCK_TIMEOUT,
    ) -> None:
        self._resource = resource
        self._tuning = Tuning(resource.connection_config, memory_limit, threads)
        self._patience = patience
        self._lock_timeout = lock_timeout
        self.path = checked_path(resource.database)

    @property
    def state_dir(self) -> Path:
        """The folder ``<database>.sync`` next to the file."""
        return prepared_state_folder(self.path, self._owner)

    @contextmanager
    def connection(self) -> Iterator[DuckDBPyConnection]:
        """Acquire the lock and open the file; always close and release both."""
        with self._locked(), self._opened() as connection:
            yield connection

    def before_commit(self, connection: DuckDBPyConnection) -> None:
        """Let the checkpoint rewrite tables without their deleted rows, unless that is more work than it is worth."""
        if self._tuning.decides_when_to_vacuum and vacuum.is_due(connection):
            self._tuning.vacuum_at_checkpoint(connection)

    def before_append(self, connection: DuckDBPyConnection) -> None:
        """Append with one thread, which needs less memory."""
        self._tuning.append_with_one_thread(connection)

    def copies_in_use(self) -> int:
        """Return how many copies lazy frames still scan; see :mod:`klaviyo_assets.warehouse.frame_copies`."""
        with self._locked():
            return frame_copies.remove_abandoned(self.state_dir)

    def request_compaction(self) -> None:
        """Leave a file in the state folder, which outlives this process."""
        try:
            private_files.make_file(self.state_dir / self._compaction_due.name)
        except OSError as error:
            raise not_writable(self.state_dir, error) from error

    def compact_if_requested(self) -> None:
        """Rewrite the file if that was requested; see :mod:`klaviyo_assets.warehouse.compaction`."""
        if not self._compaction_due.exists():
            return
        with self._locked():
            try:
                if self.path.is_file():
                    self._compact()
                private_files.remove_file(self._compaction_due)
            except OSError as error:
                raise not_writable(self.state_dir, error) from error

    @property
    def compactions(self) -> str:
        """A random text of the last compaction; empty if there was none."""
        return self._last_compaction.read_text() if self._last_compaction.is_file() else ""

    def copy_to(self, target: Path) -> None:
        """Copy the file while no other program has it open; see :mod:`klaviyo_assets.warehouse.file_copy`."""
        with self._locked():
            self._refuse_unusable()
            connection = self._connect()
            if connection is None:
                raise WarehouseError(f"There is no database {self.path} yet.", "Run a sync first.")
            with closing(connection):
                file_copy.copy(connection, self.path, target)

    def _refuse_unusable(self) -> None:
        """Refuse a file that this process has open already, or that cannot be opened."""
        if own_process.descriptors(self.path):
            raise diagnosis.open_in_this_process(self.path)
        diagnosis.refuse_other_files(self.path)
        diagnosis.refuse_damaged_log(self.path)

    def _compact(self) -> None:
        self._refuse_unusable()
        if (connection := self._connect()) is not None:
            connection.close()
        spill.remove_spilled(self.path, self.state_dir)
        _log.info(
            "%s (%.0f MB) is rewritten without the data of deleted rows; other syncs wait. That may take minutes. What to do: nothing.",
            self.path,
            self.path.stat().st_size / 1e6,
        )
        compaction.compact(self.path, spill.spill_folder(self.state_dir, self._resource.connection_config), self._tuning.work_settings)
        private_files.write(self._last_compaction, secrets.token_hex(8).encode())

    @property
    def _last_compaction(self) -> Path:
        return state_folder(self.path) / "last-compaction"

    @property
    def _compaction_due(self) -> Path:
        return state_folder(self.path) / "compaction-due"

    @property
    def _owner(self) -> Path:
        """The path from which files next to the database get their owner: the database, or its folder until there is one."""
        return self.path if self.path.exists() else self.path.parent

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the file lock; files that are created meanwhile are for their owner only."""
        make_state_folder(self.path.parent)
        refuse_unwritable(self.path.parent)
        for suffix in _SUFFIXES:
            refuse_irregular(self.path.with_name(self.path.name + suffix))
        try:
            lock = file_lock(self.path.with_name(f"{self.path.name}.lock"), like=self._owner)
            self._wait_for(lock)
        except OSError as error:
            raise not_writable(self.path.parent, error) from error
        try:
            with owner_only_files():
                yield
        finally:
            lock.release()

    def _wait_for(self, lock: FileLock) -> None:
        """Wait in small steps, so that a cancelled sync ends and the log says what it waits for."""
        started, timeout, reminder = time.monotonic(), cancellation.patience(self._lock_timeout), cancellation.Reminder()
        while True:
            cancellation.raise_if_cancelled()
            reminder.log(
                "Another sync has %s open; waiting up to %.0f seconds for it. What to do: nothing, syncs take turns with the file, seconds each; "
                "if this goes on, see whether a run hangs.",
                self.path,
                timeout - reminder.waited,
            )
            try:
                acquire(lock, max(0.0, min(_SECONDS_BETWEEN_DATABASE_ATTEMPTS, started + timeout - time.monotonic())))
                return
            except Timeout as error:
                if time.monotonic() - started >= timeout:
                    raise WarehouseBusy(
                        f"Other syncs kept {self.path} locked for {timeout:.0f} seconds.",
                        f"See whether a sync hangs, then run again; the lock is the file {self.path}.lock.",
                    ) from error

    @contextmanager
    def _opened(self) -> Iterator[DuckDBPyConnection]:
        refuse_irregular(self.path)
        diagnosis.refuse_other_files(self.path)
        diagnosis.refuse_damaged_log(self.path)
        with ExitStack() as stack:
            connection = self._entered(stack)
            stack.callback(connection.close)
            limit = ""  # until DuckDB has reported it
            try:
                spill.use_spill_folder(connection, self.path, self.state_dir, self._resource.connection_config)
                frame_copies.remove_abandoned(self.state_dir)
                connection.execute("SET TimeZone = 'UTC'")
                self._tuning.apply(connection)
                ((self.database, limit),) = connection.execute("SELECT current_database(), current_setting('memory_limit')").fetchall()
                yield connection
            except duckdb.Error as error:
                if not (isinstance(error, _FAILURES) or type(error) is duckdb.Error):
                    raise
                if diagnosis.is_out_of_memory(error):
                    raise self._tuning.out_of_memory(self.path, limit) from error
                raise diagnosis.diagnosed(self.path, error, _FAILED) from error

    def _entered(self, stack: ExitStack) -> DuckDBPyConnection:
        """Return a connection to the file, which is created if it is missing."""
        connection = self._connect()
        if connection is None and new_file.is_missing(self.path):
            new_file.create(self.path, self._resource.connection_config)
            connection = self._connect()
        if connection is not None and self._opens_as_usual:
            return connection
        if connection is not None:
            connection.close()
        try:
            own: DuckDBPyConnection = stack.enter_context(self._resource.get_connection())
        except duckdb.Error as error:
            raise diagnosis.diagnosed(self.path, error, opening=True) from error
        return own

    def _connect(self) -> DuckDBPyConnection | None:
        """Connect to the file as soon as no other program has it open, and log which one it waits for.

        Returns:
            None if the file is missing, or if only the user's own resource class may be able to open it.

        Raises:
            WarehouseError: If another program keeps it open, or it cannot be opened for another reason.
        """
        started, timeout, reminder = time.monotonic(), cancellation.patience(self._patience), cancellation.Reminder(first=0.0)
        while self.path.is_file():
            try:
                # The path as in the resource: connections with the same path and settings share an instance of DuckDB.
                return duckdb.connect(self._resource.database, config={**_CONFIG_OF_RESOURCE, **self._resource.connection_config})
            except duckdb.Error as error:
                holder = diagnosis.elsewhere(error)
                if holder is None and self._opens_as_usual and not new_file.is_missing(self.path):
                    raise diagnosis.diagnosed(self.path, error, opening=True) from error
            if holder is None:
                break
            cancellation.raise_if_cancelled()
            waited = time.monotonic() - started
            if waited >= timeout:
                raise diagnosis.open_elsewhere(self.path, f"{holder}; waited {waited:.0f} seconds for it")
            reminder.log(
                "%s is open in another program (%s); waiting up to %.0f seconds for it. What to do: close it there (a DuckDB shell, a BI tool, "
                "a notebook).",
                self.path,
                holder,
                timeout - waited,
            )
            time.sleep(min(_SECONDS_BETWEEN_DATABASE_ATTEMPTS, timeout - waited))
        return None

    @property
    def _opens_as_usual(self) -> bool:
        """Whether the resource opens the file as Dagster's own class does; a subclass may be able to open a file that we cannot."""
        return type(self._resource).get_connection is DuckDBResource.get_connection

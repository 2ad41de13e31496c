"""A DuckDB file on this machine, shared by several processes in turn."""

import errno
import logging
import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path

import duckdb
from dagster_duckdb import DuckDBResource
from duckdb import DuckDBPyConnection
from filelock import FileLock, Timeout

from klaviyo_assets._internal import cancellation as waiting
from klaviyo_assets._internal import os_errors as system_errors
from klaviyo_assets._internal import private_files as owner_only
from klaviyo_assets._internal.file_lock import acquire, file_lock
from klaviyo_assets.warehouse import compaction, diagnosis, frame_copies, own_process, spill, wide_tables
from klaviyo_assets.warehouse.base import Capabilities, Warehouse, WarehouseBusy, WarehouseError
from klaviyo_assets.warehouse.database_path import checked_path, refuse_irregular
from klaviyo_assets.warehouse.memory_limit import DEFAULT_MEMORY_LIMIT, MEMORY_LIMIT_WORDS, PATIENCE, bytes_of, doubled, is_memory_limit
from klaviyo_assets.warehouse.sql import literal, quoted

CONNECTION_CONFIG = {"storage_compatibility_version": "v1.5.0"}
"""DuckDB settings for new files: tools that still use DuckDB 1.5 can open them."""

_SETTINGS = {
    "memory_limit": DEFAULT_MEMORY_LIMIT,
    # Each thread that inserts holds a row group of its own, 120,000 wide rows: with many cores those alone would fill the memory.
    "threads": "2",
    # Otherwise each checkpoint after a few deleted rows would rewrite most of the table; see before_commit().
    "max_vacuum_tasks": "0",
    # A commit that is bigger goes straight into the file, in place of the log first and the file after.
    "wal_autocheckpoint": "1MB",
    # Up to so many scattered rows are looked up by their place, rather than by reading the whole table.
    "dynamic_or_filter_threshold": "1000",
}
"""DuckDB settings of each connection, where the user has set nothing."""

_RESOURCES_OWN = {"custom_user_agent": "dagster"}
"""Settings with which ``DuckDBResource`` opens a file."""

_ALIASES = {"max_memory": "memory_limit", "worker_threads": "threads", "checkpoint_threshold": "wal_autocheckpoint"}

_VACUUM_TASKS = 100  # DuckDB's own default

_BIG_TABLE = 100_000
"""Rows, deleted ones included, from which on rewriting a table is to be thought over."""

_WORTH_A_REWRITE = 0.25
"""Share of deleted rows from which on a big table is rewritten: the file stays within a small multiple of its rows, and the cost is spread over many
updates."""

_UNCOMMITTED = 36_028_797_018_960_000
"""Row number from which on DuckDB numbers the rows of a transaction that is not committed (its ``MAX_ROW_ID``)."""

LOCK_TIMEOUT = 1800.0
"""Seconds to wait for other processes of ours; each holds the file for seconds only."""

_LEAST_BYTES = 12_288
"""Bytes of a DuckDB file that holds nothing (its three headers); what is shorter was not made to its end and holds nothing either."""

_NEIGHBOURS = ("", ".wal", ".lock", ".new", ".compacting", ".compacting.wal")
"""Endings of the files that we or DuckDB open next to the database."""

_FAILURES = (duckdb.IOException, duckdb.OutOfMemoryException, duckdb.TransactionException, duckdb.FatalException, duckdb.InternalException)
"""What DuckDB raises for trouble with the file or the machine, rather than with a statement; version 2 raises a plain Error for damaged blocks."""

_BROKEN_OFF = (
    "{path} could not be written or read ({text}).",
    "Check free disk space and memory, and that nothing else changes the file; then run again. What was committed is kept.",
)

_SECONDS_BETWEEN_TRIES = 1.0

_log = logging.getLogger("klaviyo_assets")

_OWNER_ONLY = 0o077
"""Mode bits that files of ours do not get: they hold customers' data."""


class LocalFile(Warehouse):
    """A DuckDB file behind ``dagster_duckdb.DuckDBResource``.

    DuckDB lets one process at a time open a file for writing. The resource's own retries back off for up to 51 seconds at a time, so that of several
    processes some starve; a file lock beside the database makes them wait in turn. The resource also leaves its connection open when the work
    inside fails; here it is closed on every path.

    New files are made for their owner only, whatever the umask; a file that is there already keeps its mode.

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
        can_compact=True,
        local_files=True,
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
        if memory_limit is not None and not is_memory_limit(memory_limit):
            raise WarehouseError(
                f"KLAVIYO_DUCKDB_MEMORY_LIMIT cannot be used as DuckDB's memory limit: {memory_limit!r}.", f"Set it to {MEMORY_LIMIT_WORDS}."
            )
        self._resource = resource
        given = {"memory_limit": memory_limit, "threads": threads}
        self._given = {name: str(value) for name, value in given.items() if value is not None}
        self._patience = patience
        self._lock_timeout = lock_timeout
        self.path = checked_path(resource.database)

    @property
    def state_dir(self) -> Path:
        """The folder ``<database>.sync`` beside the file."""
        folder = state_folder(self.path)
        _refuse_link_of_others(folder)
        _make_folder(folder, like=self._owner, mode=owner_only.FOLDER_MODE)
        _refuse_unwritable(folder)
        return folder

    @contextmanager
    def connection(self) -> Iterator[DuckDBPyConnection]:
        """Take the lock, open the file, and close and release on every path."""
        with self._alone(), self._opened() as connection:
            yield connection

    def copies_in_use(self) -> int:
        """Return how many copies lazy frames still scan; see :mod:`klaviyo_assets.warehouse.frame_copies`."""
        with self._alone():
            return frame_copies.remove_abandoned(self.state_dir)

    def request_compaction(self) -> None:
        """Leave a mark beside the file, which outlives this process."""
        try:
            owner_only.make_file(self.state_dir / self._compaction_due.name)
        except OSError as error:
            raise _not_writable(self.state_dir, error) from error

    def compact_if_requested(self) -> None:
        """Write the file anew if there is a mark; see :mod:`klaviyo_assets.warehouse.compaction`."""
        if not self._compaction_due.exists():
            return
        with self._alone():
            if self.path.is_file():
                if own_process.descriptors(self.path):
                    raise diagnosis.open_in_this_process(self.path)
                diagnosis.refuse_other_files(self.path)
                diagnosis.refuse_damaged_log(self.path)
                with ExitStack() as first:
                    self._wait_for_others(first)
                spill.remove_spilt(self.path, self.state_dir)
                _log.info(
                    "%s (%.0f MB) is written again without what deleted rows held; other syncs wait. That may take minutes. What to do: nothing.",
                    self.path,
                    self.path.stat().st_size / 1e6,
                )
                compaction.compact(self.path, spill.spill_folder(self.state_dir, self._resource.connection_config), self._resources_of_work)
            owner_only.remove_file(self._compaction_due)

    @property
    def _compaction_due(self) -> Path:
        return state_folder(self.path) / "compaction-due"

    @property
    def _owner(self) -> Path:
        """What says whose the files next to the database are: the database, or its folder as long as there is none."""
        return self.path if self.path.exists() else self.path.parent

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes of ours out; what is made meanwhile is for its owner only."""
        _make_folder(self.path.parent)
        _refuse_unwritable(self.path.parent)
        for suffix in _NEIGHBOURS:
            refuse_irregular(self.path.with_name(self.path.name + suffix))
        try:
            lock = file_lock(self.path.with_name(f"{self.path.name}.lock"), like=self._owner)
            self._wait_for(lock)
        except OSError as error:
            raise _not_writable(self.path.parent, error) from error
        try:
            with _owner_only():
                yield
        finally:
            lock.release()

    def _wait_for(self, lock: FileLock) -> None:
        """Wait in turn, in small steps, so that a sync which is cancelled meanwhile ends."""
        began, most, reminder = time.monotonic(), waiting.patience(self._lock_timeout), waiting.Reminder()
        while True:
            waiting.check()
            reminder.say(
                "Another sync has %s open; waiting up to %.0f seconds for it. What to do: nothing, syncs take turns with the file, seconds each; "
                "if this goes on, see whether a run hangs.",
                self.path,
                most - reminder.waited,
            )
            try:
                acquire(lock, max(0.0, min(_SECONDS_BETWEEN_TRIES, began + most - time.monotonic())))
                return
            except Timeout as error:
                if time.monotonic() - began >= most:
                    raise WarehouseBusy(
                        f"Other syncs kept {self.path} locked for {most:.0f} seconds.",
                        f"See whether a sync hangs, then run again; the lock is the file {self.path}.lock.",
                    ) from error

    @contextmanager
    def _opened(self) -> Iterator[DuckDBPyConnection]:
        refuse_irregular(self.path)
        diagnosis.refuse_other_files(self.path)
        diagnosis.refuse_damaged_log(self.path)
        with ExitStack() as first:
            self._wait_for_others(first)
            self._make()
            manager, connection = self._entered(first)
        limit = ""  # as long as DuckDB could not be asked
        try:
            spill.use_spill_folder(connection, self.path, self.state_dir, self._resource.connection_config)
            frame_copies.remove_abandoned(self.state_dir)
            connection.execute("SET TimeZone = 'UTC'")
            self._tune(connection)
            ((self.database, limit),) = connection.execute("SELECT current_database(), current_setting('memory_limit')").fetchall()
            yield connection
        except duckdb.Error as error:
            if not (isinstance(error, _FAILURES) or type(error) is duckdb.Error):
                raise
            if diagnosis.is_out_of_memory(error):
                raise self._out_of_memory(limit) from error
            raise diagnosis.diagnosed(self.path, error, _BROKEN_OFF) from error
        finally:
            connection.close()
            del manager  # only now: the resource's own way of closing, where it has one

    def _entered(self, first: ExitStack) -> tuple[AbstractContextManager[DuckDBPyConnection], DuckDBPyConnection]:
        """Return the resource's context manager and its connection.

        Args:
            first: What holds a connection to the file. While it is open, the resource's is to the same instance of DuckDB, which takes no time; an
                instance of its own takes 30 ms. It is closed where the resource opens the file with other settings, which one instance cannot have.
        """
        try:
            try:
                return self._entered_once()
            except duckdb.ConnectionException:
                first.close()
                return self._entered_once()
        except duckdb.Error as error:
            raise diagnosis.diagnosed(self.path, error) from error

    def _entered_once(self) -> tuple[AbstractContextManager[DuckDBPyConnection], DuckDBPyConnection]:
        manager = self._resource.get_connection()
        return manager, manager.__enter__()

    def _make(self) -> None:
        """Make the file where there is none; the resource would try for 100 seconds where that cannot be done.

        It is made under another name and then given its own, so that a process which is killed meanwhile leaves no half file there.
        """
        if not self._is_unmade:
            return
        log = self.path.with_name(f"{self.path.name}.wal")
        if log.is_file() and log.stat().st_size:
            raise WarehouseError(f"{self.path} is cut short or gone, but its log {log} is not.", "Restore both from a backup, or move both away.")
        new = self.path.with_name(f"{self.path.name}.new")
        try:
            owner_only.remove_file(new)
            duckdb.connect(str(new), config=dict(self._resource.connection_config)).close()
            with new.open("rb") as file:
                owner_only.hand_over(file.fileno(), self.path.parent)
            if self.path.is_file():  # DuckDB could not open it
                _log.warning("%s has %d bytes, too few for a database; it is made again", self.path, self.path.stat().st_size)
                owner_only.remove_file(self.path)
            _name_unless_taken(new, self.path)
        except (duckdb.Error, OSError) as error:
            text = str(error).splitlines()[0]
            system = error if isinstance(error, OSError) else system_errors.named_in(text)
            what, advice = (system and system_errors.meaning(system)) or (text, "Check free disk space and write permission there")
            raise WarehouseError(
                f"The database {self.path} cannot be made: {what}.", f"{advice}, or set KLAVIYO_DUCKDB_PATH to another place; then run again."
            ) from error
        finally:
            with suppress(OSError):
                owner_only.remove_file(new)

    def _wait_for_others(self, first: ExitStack) -> None:
        """Wait while another program has the file open, and say which; the resource's own retries would wait without a word.

        Args:
            first: Gets the connection that was made, if there is a file.
        """
        began, most, reminder = time.monotonic(), waiting.patience(self._patience), waiting.Reminder(first=0.0)
        while (holder := self._holder(first)) is not None:
            waiting.check()
            waited = time.monotonic() - began
            if waited >= most:
                raise diagnosis.open_elsewhere(self.path, f"{holder}; waited {waited:.0f} seconds for it")
            reminder.say(
                "%s is open in another program (%s); waiting up to %.0f seconds for it. What to do: close it there (a DuckDB shell, a BI tool, "
                "a notebook).",
                self.path,
                holder,
                most - waited,
            )
            time.sleep(min(_SECONDS_BETWEEN_TRIES, most - waited))

    def _holder(self, first: ExitStack) -> str | None:
        """Return which other process has the file open, as DuckDB tells it; None if no other has.

        Raises:
            WarehouseError: If the file cannot be opened for another reason; the resource would try for 100 seconds.
        """
        if not self.path.is_file():
            return None
        try:
            # As the resource says it: one instance of DuckDB serves all that name the file and the settings alike.
            connection = duckdb.connect(self._resource.database, config={**_RESOURCES_OWN, **self._resource.connection_config})
        except duckdb.Error as error:
            holder = diagnosis.elsewhere(error)
            if holder is None and self._opens_as_usual and not self._is_unmade:
                raise diagnosis.diagnosed(self.path, error) from error
            return holder
        first.callback(connection.close)
        return None

    @property
    def _is_unmade(self) -> bool:
        """Whether there is no file, or one that was not made to its end."""
        return not self.path.is_file() or self.path.stat().st_size < _LEAST_BYTES

    @property
    def _opens_as_usual(self) -> bool:
        """Whether the resource opens the file as Dagster's own does; another one may be able to open what we cannot."""
        return type(self._resource).get_connection is DuckDBResource.get_connection

    def before_commit(self, connection: DuckDBPyConnection) -> None:
        """Let the checkpoint of the commit that follows rewrite tables without their deleted rows, unless that is more work than it is worth.

        It is left out as well where it takes more memory than there is; see :mod:`klaviyo_assets.warehouse.wide_tables`.

        DuckDB's checkpoints do it for all tables or for none: none while a big table has a few deleted rows, so that each update of it costs what it
        changes and not the table.
        """
        if "max_vacuum_tasks" in self._chosen:
            return
        sizes = list(_sizes(connection))
        big = [deleted / rows for rows, deleted in sizes if rows >= _BIG_TABLE and deleted]
        due = any(share >= _WORTH_A_REWRITE for share in big) or any(deleted >= _BIG_TABLE / 2 > rows - deleted for rows, deleted in sizes)
        if (due or not big) and wide_tables.may_be_merged(connection, measure=due):
            connection.execute(f"SET max_vacuum_tasks = {_VACUUM_TASKS}")

    def before_append(self, connection: DuckDBPyConnection) -> None:
        """Append with one thread: a second one would hold a hundred megabytes more and bring nothing, since the network is slower than either."""
        if "threads" not in self._chosen | self._given.keys():
            connection.execute("SET threads = 1")

    @property
    def _chosen(self) -> set[str]:
        """Names of the settings that the user has made, aliases resolved."""
        names = {name.lower() for name in self._resource.connection_config}
        return names | {_ALIASES[name] for name in names & _ALIASES.keys()}

    @property
    def _resources_of_work(self) -> dict[str, str]:
        """The memory and the threads that DuckDB may use for work on the file outside of a connection of the resource."""
        defaults = {name: _SETTINGS[name] for name in ("memory_limit", "threads")}
        config = {_ALIASES.get(name.lower(), name.lower()): str(value) for name, value in self._resource.connection_config.items()}
        return {**defaults, **self._given, **{name: config[name] for name in defaults if name in config}}

    def _out_of_memory(self, limit: str) -> WarehouseError:
        """Return the error for work that takes more memory than DuckDB may use.

        Args:
            limit: What DuckDB may use, as DuckDB says it; empty if unknown.
        """
        size = doubled(limit) if bytes_of(limit) else doubled(DEFAULT_MEMORY_LIMIT)
        is_configured = "memory_limit" in self._chosen
        setting = f"memory_limit in the connection_config of the DuckDBResource to {size}" if is_configured else f"KLAVIYO_DUCKDB_MEMORY_LIMIT={size}"
        return WarehouseError(
            f"DuckDB ran out of memory while it worked on {self.path}; its limit is {limit or DEFAULT_MEMORY_LIMIT}.",
            f"Set {setting}, or more if the machine has it; then run again. What was committed is kept.",
        )

    def _tune(self, connection: DuckDBPyConnection) -> None:
        """Keep DuckDB small and its checkpoints cheap; what the user has set in ``connection_config`` counts more."""
        chosen = self._chosen
        for name, value in {**_SETTINGS, **self._given}.items():
            if name not in chosen:
                connection.execute(f"SET {name} = {literal(value)}")


def _sizes(connection: DuckDBPyConnection) -> Iterator[tuple[int, int]]:
    """Yield the rows of each table that is worth a thought, deleted ones included, and how many are deleted.

    They are told from row numbers, so that no column is read. Rows of this transaction count as well; DuckDB numbers them apart from the others until
    they are committed, and its own estimate, which counts deleted rows too, does not have them.
    """
    names = connection.execute(
        "SELECT database_name, schema_name, table_name FROM duckdb_tables() "
        f"WHERE database_name = current_database() AND NOT temporary AND NOT internal AND estimated_size >= {_BIG_TABLE // 2}"
    ).fetchall()
    for name in names:
        table = ".".join(quoted(part) for part in name)
        ((stored, alive, new),) = connection.execute(
            f"SELECT coalesce(max(rowid) FILTER (rowid < {_UNCOMMITTED}) + 1, 0), count(*) FILTER (rowid < {_UNCOMMITTED}), "
            f"count(*) FILTER (rowid >= {_UNCOMMITTED}) FROM {table}"
        ).fetchall()
        yield stored + new, stored - alive


def state_folder(path: Path) -> Path:
    """Return the folder that belongs to a database file, whether or not it exists.

    Raises:
        WarehouseError: If the path is not one of a file.
    """
    path = checked_path(str(path))  # of a link and its target there is one set of locks
    return path.with_name(f"{path.name}.sync")


def _name_unless_taken(new: Path, path: Path) -> None:
    """Give a new file its name, unless another program has made one of that name meanwhile."""
    try:
        os.link(new, path)
    except FileExistsError:
        return
    except OSError:  # a file system without hard links
        new.replace(path)


def _not_writable(folder: Path, error: OSError) -> WarehouseError:
    what, advice = system_errors.meaning(error) or (error.strerror or str(error), "Check write permission and free disk space there")
    file = Path(error.filename) if error.filename else folder
    told = f"{file}{diagnosis.owner(file)} cannot be opened" if file != folder and file.exists() else f"Files in {folder} cannot be made"
    return WarehouseError(f"{told}: {what}.", f"{advice}, or set KLAVIYO_DUCKDB_PATH to another place.")


def _refuse_unwritable(folder: Path) -> None:
    """Refuse a folder in which no file can be made: DuckDB would find out at the end of a load."""
    if not os.access(folder, os.W_OK | os.X_OK):
        raise _not_writable(folder, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))


def _refuse_link_of_others(folder: Path) -> None:
    """Refuse a link in place of our folder, unless this user or root has made it: it could lead anywhere."""
    if folder.is_symlink() and hasattr(os, "geteuid") and folder.lstat().st_uid not in {0, os.geteuid()}:
        raise WarehouseError(f"{folder} is a symbolic link that another user has made.", "Remove it, or set KLAVIYO_DUCKDB_PATH to another place.")


@contextmanager
def _owner_only() -> Iterator[None]:
    """Let no one else read the files that are made meanwhile, DuckDB's own (file, log, spill) among them."""
    before = os.umask(_OWNER_ONLY)
    try:
        yield
    finally:
        os.umask(before)


def _make_folder(folder: Path, *, like: Path | None = None, mode: int = 0o777) -> None:
    try:
        owner_only.make_folder(folder, like=like, mode=mode)
    except OSError as error:
        what, advice = system_errors.meaning(error) or (error.strerror or str(error), "Check its permissions")
        raise WarehouseError(f"The folder {folder} cannot be made: {what}.", f"{advice}, or set KLAVIYO_DUCKDB_PATH to another place.") from error

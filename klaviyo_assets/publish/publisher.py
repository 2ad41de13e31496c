"""Writes the published copy: a copy of the database under a temporary name, made fit for readers, verified, and put in place in one step."""

import contextlib
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import duckdb
from duckdb import DuckDBPyConnection
from filelock import FileLock, Timeout

from klaviyo_assets._internal import cancellation, os_errors, private_files
from klaviyo_assets._internal.file_lock import acquire, file_lock
from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.errors import SyncAlreadyRunning
from klaviyo_assets.publish import facts, parquet, registry
from klaviyo_assets.publish.facts import TypeFacts
from klaviyo_assets.publish.target import NotPublished, PublishTarget
from klaviyo_assets.state.locks import sync_lock
from klaviyo_assets.state.sync_log import SyncLog
from klaviyo_assets.warehouse import diagnosis
from klaviyo_assets.warehouse.file_attributes import keep_attributes
from klaviyo_assets.warehouse.interface import Warehouse, WarehouseBusy, WarehouseError
from klaviyo_assets.warehouse.sql import quoted

_LOCK_TIMEOUT = 600.0
"""Seconds to wait for another publication of the same copy."""

_SECONDS_A_TRY = 0.5
"""Seconds between looking whether a log message is due while waiting."""

_NO_COPY = ("The published copy {path} could not be written ({text}).", "Check the disk, its free space, and memory; then publish again.")
"""Summary and advice for an error of DuckDB while it writes the temporary copy. The earlier copy has nothing to do with it."""

_log = logging.getLogger("klaviyo_assets")


@dataclass(frozen=True)
class Publication:
    """A copy that was written.

    Attributes:
        target: Its files.
        published_at: When it was made.
        types: Its resource types.
        bytes: Size of the DuckDB file.
        parquet_files: Number of Parquet files; those written by this publication, and those taken over unchanged from the one before.
        version: Changes only if rows have changed.
    """

    target: PublishTarget
    published_at: datetime
    types: tuple[TypeFacts, ...]
    bytes: int
    parquet_files: tuple[int, int] = (0, 0)
    version: str = ""

    @property
    def complete_until(self) -> datetime | None:
        """The earliest instant up to which a resource type is complete; None if no type is."""
        return min((one.complete_until for one in self.types if one.complete_until is not None), default=None)

    @property
    def incomplete(self) -> tuple[str, ...]:
        """Resource types whose latest sync did not succeed."""
        return tuple(one.resource_type for one in self.types if one.latest_outcome != "succeeded")


@dataclass(frozen=True)
class Publisher:
    """Writes the copy of a database that readers open.

    Syncs wait only while the file is copied, seconds for gigabytes. Readers of the earlier copy keep it until they open the file again.

    Args:
        warehouse: The database.
        target: The files to write.
        months: Tables with a Parquet file per month, each with the column whose months count: :func:`~klaviyo_assets.publish.parquet.month_columns`
            of the catalog; by default of the types of this package.

    Example:
        >>> Publisher(LocalFile(DuckDBResource(database="data/warehouse.duckdb")), PublishTarget.at("data/published.duckdb")).publish()
    """

    warehouse: Warehouse
    target: PublishTarget
    months: Mapping[str, str] = field(default_factory=lambda: parquet.month_columns(CATALOG))

    def publish(self, *, even_if_partial: bool = False) -> Publication:
        """Write the copy, and replace the earlier one in one step; until then, and if anything fails, the earlier one stays.

        The tables of types that were never read completely are empty in the copy. Bookkeeping tables are left out, except ``_syncs``. The table
        ``_published`` says up to when each type is complete. New files are for their owner only; a file that is replaced keeps its mode and owner.

        Args:
            even_if_partial: True to publish although a running sync has committed a part of its rows, as after an erasure.

        Raises:
            NotPublished: If a running sync has committed a part of its rows.
            WarehouseError: If the database cannot be copied, or the copy cannot be written.
        """
        if not self.warehouse.capabilities.can_copy:
            raise WarehouseError(
                "This warehouse cannot be published: only a DuckDB file can.", "Leave out publish=; readers can open this warehouse directly."
            )
        try:
            with self._exclusive():
                return self._publish(even_if_partial=even_if_partial)
        except OSError as error:
            what, advice = os_errors.meaning(error) or (error.strerror or str(error), "Check free disk space and permissions there")
            where = error.filename or self.target.file
            raise WarehouseError(f"The published copy {where} could not be written: {what}.", f"{advice}, then publish again.") from error
        except duckdb.Error as error:
            summary, advice = _NO_COPY
            text = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
            explained = diagnosis.refused_by_system(self._partial, error)
            raise explained or WarehouseError(summary.format(path=self.target.file, text=text), advice) from error

    def _publish(self, *, even_if_partial: bool) -> Publication:
        target, partial = self.target.file, self._partial
        compactions = self.warehouse.compactions  # before the copy: one that follows makes it due again
        try:
            self.warehouse.copy_to(partial)
            with duckdb.connect(str(partial)) as connection:
                published_at = datetime.now(UTC)
                schemas = facts.schemas_of(connection)
                types = [one for schema in schemas for one in facts.read_facts(connection, schema)]
                version = facts.version_of(connection, schemas, published_at)
                if not even_if_partial:
                    self._refuse_running(types)
                _make_fit_for_readers(connection, types, published_at)
            written = None if self.target.parquet is None else parquet.export(partial, self.target.parquet, compactions, self.months)
            if target.exists():
                keep_attributes(target, partial, target.stat())
            _flush(partial)
            partial.replace(target)
            _flush(target.parent)
        finally:
            for suffix in ("", ".wal"):
                private_files.remove_file(partial.with_name(partial.name + suffix))
        if written is not None:
            written.put_in_place()
        registry.note(self.warehouse.state_dir, registry.Copy(self.target, self.months), compactions)
        files = (0, 0) if written is None else (written.written, written.kept)
        return Publication(self.target, published_at, tuple(types), target.stat().st_size, files, version)

    @property
    def _partial(self) -> Path:
        return self.target.file.with_name(f"{self.target.file.name}.publishing")

    def _acquire(self, lock: FileLock) -> None:
        reminder = cancellation.Reminder()
        while True:
            cancellation.raise_if_cancelled()
            try:
                acquire(lock, _SECONDS_A_TRY)
            except Timeout:
                if reminder.waited >= _LOCK_TIMEOUT:
                    raise
                reminder.log(
                    "Another process is writing %s; waiting up to %.0f seconds. What to do: nothing; if it takes long, see whether a run hangs.",
                    self.target.file,
                    _LOCK_TIMEOUT,
                )
            else:
                return

    @contextlib.contextmanager
    def _exclusive(self) -> Iterator[None]:
        """Hold the lock of the target, so that two publications do not write the same temporary file."""
        private_files.make_folder(self.target.file.parent, mode=0o777)
        lock = file_lock(self.target.file.with_name(f"{self.target.file.name}.lock"))
        try:
            self._acquire(lock)
        except Timeout as error:
            raise WarehouseBusy(
                f"Another process has been writing {self.target.file} for {_LOCK_TIMEOUT:.0f} seconds.",
                "See whether a run hangs, then publish again.",
            ) from error
        try:
            yield
        finally:
            lock.release()

    def _refuse_running(self, types: list[TypeFacts]) -> None:
        running = [one.resource_type for one in types if one.is_partial and one.latest_outcome == "running" and self._is_locked(one)]
        if running:
            raise NotPublished(
                f"{', '.join(running)}: a running sync has committed a part of its rows, so the copy was not written; the earlier one stays.",
                "Nothing: the next publication after that sync includes it.",
            )

    def _is_locked(self, one: TypeFacts) -> bool:
        """Return whether a sync of a type runs. One that was killed is recorded as running until the next sync."""
        folder = self.warehouse.state_dir / one.schema.lower()
        if not folder.is_dir():
            return False
        try:
            with sync_lock(folder, one.resource_type, "a publication"):
                return False
        except SyncAlreadyRunning:
            return True


def _make_fit_for_readers(connection: DuckDBPyConnection, types: list[TypeFacts], published_at: datetime) -> None:
    """Remove what is not for readers, and state up to when the copy is complete."""
    tables = connection.execute(
        "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = current_database() AND starts_with(table_name, '_')"
    ).fetchall()
    ours = {one.schema for one in types}
    connection.execute("BEGIN TRANSACTION")
    for schema, table in tables:
        if schema in ours and table != SyncLog.NAME:
            connection.execute(f"DROP TABLE {quoted(schema)}.{quoted(table)}")
    for one in types:
        if one.complete_until is None:
            connection.execute(f"DELETE FROM {quoted(one.schema)}.{quoted(one.resource_type)}")
    for schema in sorted(ours):
        facts.write_facts(connection, [one for one in types if one.schema == schema], published_at)
    connection.execute("COMMIT")
    connection.execute("FORCE CHECKPOINT")


def _flush(path: Path) -> None:
    """Write a file or folder to the disk; some file systems cannot flush folders."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        if path.is_file():
            raise
    finally:
        os.close(descriptor)

"""Pages to Parquet in a folder that belongs to one sync, with a manifest of what each slice has finished.

Memory stays bounded whatever the account's size, and a sync that was killed is taken up by the next one: the files of finished work are loaded, the
rest is planned again. What comes in of all slices goes into the same files, so that they have a good size however many slices there are; the
manifest says how far each slice is read in the files that are written.
"""

import contextlib
import os
import shutil
import threading
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import msgspec
import polars as pl

from klaviyo_assets._internal import private_files as owner_only
from klaviyo_assets.decode import Page, frame_of
from klaviyo_assets.extract.plan import AnySlice, Slice
from klaviyo_assets.staging.row_bytes import WIDE, portions, row_bytes
from klaviyo_assets.state.coverage import CoverageRow
from klaviyo_assets.warehouse.wide_tables import MOST_WIDE_BYTES

ROWS_PER_FILE = 20_000
"""Rows that are worth a file."""

BYTES_PER_FILE = 24 * 2**20
"""Bytes of pages that are worth a file, where records are big. A frame of so many takes several times as much memory while it is written."""

WIDE_BYTES_PER_LOAD = MOST_WIDE_BYTES
"""Bytes that the wide rows of a load may have, or those of one file where that holds more. DuckDB takes some five times as much."""

_MANIFEST = "manifest.json"
_FORMAT = 3


class SliceState(msgspec.Struct, eq=False):
    """What has been written of one slice.

    Attributes:
        division: Name of the division.
        field: Time field, None for a division that is read whole.
        start: Start of the slice; None for a division that is read whole.
        end: End of the slice; None if it has none.
        covers_to: ``[start, covers_to)`` counts as covered once the slice is read; None if nothing does.
        read_up_to: Everything before has been read and written; None if nothing is sure yet.
        finished: True if the whole slice has been read and written.
        loaded: True if it was finished at the last load.
        loaded_read_up_to: ``read_up_to`` at the last load.
    """

    division: str
    field: str | None
    start: datetime | None
    end: datetime | None
    covers_to: datetime | None
    read_up_to: datetime | None = None
    finished: bool = False
    loaded: bool = False
    loaded_read_up_to: datetime | None = None


class File(msgspec.Struct):
    """A Parquet file that is not loaded yet.

    Attributes:
        name: Its name in the folder.
        rows: Rows in it.
        crc32: Checksum of its bytes, by which it is known again.
        bytes: Bytes of its rows in memory.
        wide: Bytes of those rows that are wide.
    """

    name: str
    rows: int
    crc32: int = 0
    bytes: int = 0
    wide: int = 0


class Manifest(msgspec.Struct):
    """What a staging folder holds.

    Attributes:
        sync_id: The sync that wrote it.
        resource_type: The resource type.
        account_id: The account it was read from, or ``unknown``.
        fingerprint: Of the options and columns that were read.
        read_at: The server's clock when the sync began.
        resumable: True if the next sync may load it; a full read starts over instead.
        format: Of this manifest; one of another version is not taken up.
        columns: Of the files.
        parts: By slice.
        files: Files that are not loaded yet.
    """

    sync_id: str
    resource_type: str
    account_id: str
    fingerprint: str
    read_at: datetime
    resumable: bool
    format: int
    columns: list[str] = msgspec.field(default_factory=list)
    parts: list[SliceState] = msgspec.field(default_factory=list)
    files: list[File] = msgspec.field(default_factory=list)


@dataclass(frozen=True)
class Batch:
    """Files to load together, and what is covered once they are.

    Attributes:
        files: Parquet files.
        covered: Coverage that they bring.
        progress: How far each slice had come when the batch was taken: (finished, read_up_to) by its place in the manifest.
        rows: Rows in the files.
    """

    files: tuple[Path, ...]
    covered: tuple[CoverageRow, ...]
    progress: tuple[tuple[bool, datetime | None], ...] = ()
    rows: int = 0


@dataclass
class _Read:
    """How far a slice is read, written or not."""

    read_up_to: datetime | None = None
    finished: bool = False


class Staging:
    """The staged part of one sync.

    Pages are added in one thread; :meth:`write` may run in another, but only once at a time, and neither :meth:`batch` nor :meth:`loaded` beside it.

    Args:
        folder: Folder of this sync; made here.
        manifest: Facts of the sync.
        treat: Makes of a frame what may be stored of it.

    Attributes:
        rows_written: Rows that this process has written to files.
        bytes_written: Bytes of those files.
    """

    def __init__(self, folder: Path, manifest: Manifest, treat: Callable[[pl.DataFrame], pl.DataFrame] = lambda frame: frame) -> None:
        self.folder = folder
        self._treat = treat
        self.manifest = manifest
        self._pages: list[Page] = []
        self._taking = threading.Lock()
        self._read: dict[SliceState, _Read] = {}
        self._files = 0
        self.rows_written = 0
        self.bytes_written = 0
        owner_only.make_folder(folder)

    @property
    def worth_a_file(self) -> float:
        """How many files the pages in memory would fill; from 1 on they should be written."""
        rows, size = sum(page.count for page in self._pages), sum(page.size for page in self._pages)
        return max(rows / ROWS_PER_FILE, size / BYTES_PER_FILE)

    @property
    def rows_unloaded(self) -> int:
        """Rows in files that are not loaded yet."""
        return sum(file.rows for file in self.manifest.files)

    @property
    def bytes_unloaded(self) -> int:
        """Bytes that these rows have in memory."""
        return sum(file.bytes for file in self.manifest.files)

    @property
    def fills_a_load(self) -> bool:
        """Whether the files that are not loaded yet hold more bytes than may be loaded at once."""
        return len(loads_of(self.manifest.files)) > 1

    def open(self, part: AnySlice) -> SliceState:
        """Begin a slice."""
        bounds = (part.field, part.start, part.end, part.covers_to) if isinstance(part, Slice) else (None, None, None, None)
        staged = SliceState(part.division.name, *bounds)
        with self._taking:
            self._read[staged] = _Read()
        self.manifest.parts.append(staged)
        return staged

    def cut(self, staged: SliceState, border: datetime) -> None:
        """Note that a slice ends at a border, earlier than was planned; what lies behind is a slice of its own."""
        staged.end = staged.covers_to = border

    def add(self, staged: SliceState, page: Page, read_up_to: datetime | None) -> None:
        """Take a page of a slice.

        Args:
            staged: The slice.
            page: Its records that lie in the slice.
            read_up_to: The slice is read completely up to here, ties excluded; None if that is not known.
        """
        with self._taking:
            if page.count:
                self._pages.append(page)
            self._read[staged].read_up_to = read_up_to

    def add_loose(self, page: Page) -> None:
        """Take records that came outside of the slices (looked up by id)."""
        self._pages.append(page)

    def finish(self, staged: SliceState) -> None:
        """Note that a slice has been read to its end."""
        self._read[staged].finished = True

    def write(self) -> None:
        """Write the pages that are in memory now, and the manifest; pages that are added meanwhile wait for the next time."""
        with self._taking:
            reached = {staged: (read.read_up_to, read.finished) for staged, read in self._read.items()}
            pages, self._pages = self._pages, []
        waiting = deque(portions(pages, ROWS_PER_FILE, BYTES_PER_FILE))
        del pages  # each page is freed once it is written
        try:
            while waiting:
                self._write_file(waiting[0])
                waiting.popleft()
        except BaseException:
            # Nothing that was read after these pages may be written without them.
            with self._taking:
                self._pages[:0] = [page for some in waiting for page in some]
            raise
        for staged, (read_up_to, finished) in reached.items():
            staged.read_up_to, staged.finished = read_up_to, finished
        self._save()

    def _write_file(self, pages: Sequence[Page]) -> None:
        self._files += 1
        frame = self._treat(frame_of(pages))
        sizes = row_bytes(frame)
        file = File(f"{self._files:06d}.parquet", frame.height, bytes=int(sizes.sum()), wide=int(sizes.filter(sizes > WIDE).sum()))
        file.crc32 = _write_parquet(frame, self.folder / file.name)
        self.bytes_written += (self.folder / file.name).stat().st_size
        self.rows_written += file.rows
        self.manifest.files.append(file)

    def batch(self) -> Batch:
        """Return what has been written and not loaded, and the coverage that it brings."""
        parts, files = self.manifest.parts, self.manifest.files
        return Batch(
            files=tuple(self.folder / file.name for file in files),
            covered=tuple(row for part in parts if (row := self._covered(part)) is not None),
            progress=tuple((part.finished, part.read_up_to) for part in parts),
            rows=self.rows_unloaded,
        )

    def batches(self, most_rows: int | None = None) -> Iterator[Batch]:
        """Yield the same in parts that can be loaded at once; the last brings the coverage.

        Args:
            most_rows: Rows of a part, or of one file where that holds more; None for any number. Its bytes are bounded too, see :func:`loads_of`.
        """
        whole, first = self.batch(), 0
        *before, last = loads_of(self.manifest.files, most_rows) or [[]]
        for files in before:
            yield Batch(whole.files[first : first + len(files)], (), rows=sum(file.rows for file in files))
            first += len(files)
        yield replace(whole, files=whole.files[first:], rows=sum(file.rows for file in last))

    def loaded(self, batch: Batch) -> None:
        """Note that a batch has been committed, and delete its files."""
        done = set(batch.files)
        for part, (finished, read_up_to) in zip(self.manifest.parts, batch.progress, strict=False):  # slices that were begun since come behind
            part.loaded, part.loaded_read_up_to = finished, read_up_to
        self.manifest.files = [file for file in self.manifest.files if self.folder / file.name not in done]
        self._save()
        for path in batch.files:
            path.unlink(missing_ok=True)

    def is_intact(self) -> bool:
        """Return whether every file that the manifest names is in the folder, byte for byte as it was written."""
        try:
            return all(_is_plain(file.name) and _crc32(self.folder / file.name) == file.crc32 for file in self.manifest.files)
        except OSError:
            return False

    def remove(self) -> None:
        """Delete the folder, the manifest first: what is left if this is broken off is not taken for something to load."""
        with contextlib.suppress(OSError):
            (self.folder / _MANIFEST).unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _covered(self, part: SliceState) -> CoverageRow | None:
        if part.covers_to is None or part.field is None or part.start is None or part.loaded:
            return None
        end = part.covers_to if part.finished else min(part.read_up_to or part.start, part.covers_to)
        if end <= part.start or (not part.finished and part.read_up_to == part.loaded_read_up_to):
            return None
        manifest = self.manifest
        return CoverageRow(part.division, part.field, part.start, end, manifest.read_at, manifest.fingerprint)

    def _save(self) -> None:
        _write_atomically(self.folder / _MANIFEST, msgspec.json.encode(self.manifest))


def loads_of(files: Sequence[File], most_rows: int | None = None) -> list[list[File]]:
    """Divide files into loads, in their order.

    DuckDB reads, converts, compares and compresses 2,048 rows at a time, and it may be any of a load: those that are new or have changed. So what
    bounds its memory is how many bytes all wide rows of a load have; other rows may be many.

    Args:
        files: The files.
        most_rows: Rows of a load, or of one file where that holds more.
    """
    loads: list[list[File]] = []
    rows = wide = 0
    for file in files:
        rows, wide = rows + file.rows, wide + file.wide
        if not loads or (most_rows is not None and rows > most_rows) or wide > WIDE_BYTES_PER_LOAD:
            loads.append([])
            rows, wide = file.rows, file.wide
        loads[-1].append(file)
    return loads


def new_manifest(
    *, sync_id: str, resource_type: str, account_id: str, fingerprint: str, read_at: datetime, resumable: bool, columns: Sequence[str] = ()
) -> Manifest:
    """Return the manifest of a sync that begins."""
    return Manifest(sync_id, resource_type, account_id, fingerprint, read_at, resumable, _FORMAT, list(columns))


def leftovers(root: Path) -> Iterator[Staging]:
    """Yield what earlier syncs of the same type left behind, oldest first; folders without a manifest of this version are deleted."""
    for folder in sorted(root.iterdir()) if root.is_dir() else []:
        try:
            manifest = msgspec.json.decode((folder / _MANIFEST).read_bytes(), type=Manifest)
        except (OSError, msgspec.DecodeError):
            manifest = None
        if manifest is None or manifest.format != _FORMAT:
            _delete(folder)
            continue
        yield Staging(folder, manifest)


def _delete(path: Path) -> None:
    """Delete a folder, or whatever else lies there in its place; what cannot be deleted does no harm."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


def _is_plain(name: str) -> bool:
    """Return whether a name is that of a file in the folder itself."""
    return Path(name).name == name


def _crc32(path: Path) -> int:
    return zlib.crc32(path.read_bytes())


def _write_parquet(frame: pl.DataFrame, path: Path) -> int:
    """Write a frame and return the file's checksum."""
    partial = path.with_suffix(".tmp")
    with owner_only.new_file(partial) as file:
        frame.write_parquet(file, compression="zstd", compression_level=1)
    _sync_to_disk(partial)
    crc32 = _crc32(partial)
    partial.replace(path)
    return crc32


def _write_atomically(path: Path, data: bytes) -> None:
    partial = path.with_suffix(".tmp")
    owner_only.write(partial, data)
    _sync_to_disk(partial)
    partial.replace(path)


def _sync_to_disk(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())

"""Writes pages to Parquet files in the folder of one sync, with a manifest of how far each slice has been written.

Memory is bounded whatever the size of the account, and the next sync resumes one that was killed: it loads the files of finished work, and plans the
rest again. The pages of all slices go into the same files, so files have a good size however many slices there are.
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

from klaviyo_assets._internal import private_files
from klaviyo_assets.decode import Page, frame_of
from klaviyo_assets.extract.chain_position import Position
from klaviyo_assets.extract.page_sink import SliceId
from klaviyo_assets.extract.slices import AnySlice
from klaviyo_assets.load.batch import Batch
from klaviyo_assets.staging.manifest import FORMAT, Manifest, SliceState, StagedFile, loads_of
from klaviyo_assets.staging.row_bytes import WIDE, portions, row_bytes

ROWS_PER_FILE = 20_000
"""Rows per file."""

BYTES_PER_FILE = 24 * 2**20
"""Bytes of pages per file, for big records. Writing a frame of this size needs several times as much memory."""

_MANIFEST = "manifest.json"


@dataclass
class _Read:
    """How far a slice has been read, whether written yet or not."""

    read_up_to: datetime | None = None
    finished: bool = False
    position: Position | None = None


class Staging:
    """The staged part of one sync.

    Pages are added in one thread; :meth:`write` may run in another one, but not concurrently with itself, :meth:`batch` or :meth:`loaded`.

    Args:
        folder: Folder of this sync; created here.
        manifest: The manifest of the sync.
        prepare_rows: Removes rows that must not be stored, then applies the field rules (``sync.prepare_rows``).
        sorted_by: Columns by which the rows of each file are sorted.
        on_file: Called with each file that this process has written, and its rows.

    Attributes:
        rows_written: Rows that this process has written to files.
        bytes_written: Bytes of those files.
    """

    def __init__(
        self,
        folder: Path,
        manifest: Manifest,
        prepare_rows: Callable[[pl.DataFrame], pl.DataFrame] = lambda frame: frame,
        sorted_by: Sequence[str] = (),
        on_file: Callable[[Path, pl.DataFrame], None] = lambda file, rows: None,
    ) -> None:
        self.folder = folder
        self._sorted_by = sorted_by
        self._on_file = on_file
        self._prepare_rows = prepare_rows
        self.manifest = manifest
        self._pages: list[Page] = []
        self._lock = threading.Lock()
        self._read = [_Read(state.read_up_to, state.finished, state.position) for state in manifest.slices]
        self._files = 0
        self.rows_written = 0
        self.bytes_written = 0
        private_files.make_folder(folder)

    @property
    def files_in_memory(self) -> float:
        """How many files the pages in memory would fill; they should be written when this reaches 1."""
        rows, size = sum(page.count for page in self._pages), sum(page.size for page in self._pages)
        return max(rows / ROWS_PER_FILE, size / BYTES_PER_FILE)

    @property
    def rows_unloaded(self) -> int:
        """Rows in files that are not loaded yet."""
        return sum(file.rows for file in self.manifest.files)

    @property
    def bytes_unloaded(self) -> int:
        """Bytes in memory of the rows that are not loaded yet."""
        return sum(file.bytes for file in self.manifest.files)

    @property
    def exceeds_one_load(self) -> bool:
        """Whether the files that are not loaded yet have more bytes than one load may have."""
        return len(loads_of(self.manifest.files)) > 1

    def open(self, slice_: AnySlice, /) -> SliceId:
        """Begin a slice."""
        with self._lock:
            state = SliceState.of(slice_)
            self.manifest.slices.append(state)
            self._read.append(_Read(position=state.position))
        return SliceId(len(self._read) - 1)

    def truncate(self, slice_id: SliceId, end: datetime) -> None:
        """Move the end of a slice down; the part above is now a slice of its own."""
        state = self.manifest.slices[slice_id]
        state.end = state.covers_to = end

    def add(self, slice_id: SliceId, page: Page, read_up_to: datetime | None, position: Position | None = None) -> None:
        """Accept a page of a slice.

        Args:
            slice_id: The slice.
            page: Its records, without those outside of the slice.
            read_up_to: The slice has been read completely up to this time, ties excluded; None if that is not known.
            position: The position after the page, of a chain that the next sync can continue.
        """
        with self._lock:
            if page.count:
                self._pages.append(page)
            self._read[slice_id].read_up_to = read_up_to
            self._read[slice_id].position = position

    def add_lookup(self, page: Page) -> None:
        """Accept records that were looked up by id and do not belong to a slice."""
        self._pages.append(page)

    def give_up(self, slice_id: SliceId) -> None:
        """Record that other slices read this one's window instead: the next sync does not continue it."""
        self._read[slice_id].position = None

    def finish(self, slice_id: SliceId) -> None:
        """Record that a slice has been read to its end."""
        self._read[slice_id].finished = True

    def write(self) -> None:
        """Write the pages in memory, and the manifest; pages that are added in the meantime are written next time."""
        with self._lock:
            progress = [(read.read_up_to, read.finished, read.position) for read in self._read]
            pages, self._pages = self._pages, []
        waiting = deque(portions(pages, ROWS_PER_FILE, BYTES_PER_FILE))
        del pages  # each page is freed once it is written
        try:
            while waiting:
                self._write_file(waiting[0])
                waiting.popleft()
        except BaseException:
            # Later pages must not be written without these.
            with self._lock:
                self._pages[:0] = [page for portion in waiting for page in portion]
            raise
        # Slices that began since come last, and are skipped.
        for state, (read_up_to, finished, position) in zip(self.manifest.slices, progress, strict=False):
            state.read_up_to, state.finished, state.position = read_up_to, finished, position
        self._save()

    def _write_file(self, pages: Sequence[Page]) -> None:
        self._files += 1
        frame = self._prepare_rows(frame_of(pages))
        if self._sorted_by:
            # A file at a time, since sorting all rows of a load would need memory for them. Of two versions of a row, the later one stays last.
            frame = frame.sort(self._sorted_by, maintain_order=True)
        sizes = row_bytes(frame)
        file = StagedFile(f"{self._files:06d}.parquet", frame.height, bytes=int(sizes.sum()), wide=int(sizes.filter(sizes > WIDE).sum()))
        file.crc32 = _write_parquet(frame, self.folder / file.name)
        self._on_file(self.folder / file.name, frame)
        self.bytes_written += (self.folder / file.name).stat().st_size
        self.rows_written += file.rows
        self.manifest.files.append(file)

    def batch(self) -> Batch:
        """Return the files that have been written but not loaded, and the coverage that they add."""
        slices, files = self.manifest.slices, self.manifest.files
        return Batch(
            files=tuple(self.folder / file.name for file in files),
            covered=tuple(self.manifest.coverage()),
            progress=tuple((state.finished, state.read_up_to) for state in slices),
            rows=self.rows_unloaded,
        )

    def batches(self, max_rows: int | None = None) -> Iterator[Batch]:
        """Yield :meth:`batch` in parts that each fit one load; the last part has the coverage.

        Args:
            max_rows: Maximum rows of a part, unless a single file has more; None for any number. Bytes are limited too, see :func:`loads_of`.
        """
        whole, first = self.batch(), 0
        *before, last = loads_of(self.manifest.files, max_rows) or [[]]
        for files in before:
            yield Batch(whole.files[first : first + len(files)], (), rows=sum(file.rows for file in files))
            first += len(files)
        yield replace(whole, files=whole.files[first:], rows=sum(file.rows for file in last))

    def loaded(self, batch: Batch) -> None:
        """Record that a batch has been committed, and delete its files."""
        done = set(batch.files)
        for state, (finished, read_up_to) in zip(self.manifest.slices, batch.progress, strict=False):  # slices that began since then are at the end
            state.loaded, state.loaded_read_up_to = finished, read_up_to
        self.manifest.files = [file for file in self.manifest.files if self.folder / file.name not in done]
        self._save()
        for path in batch.files:
            path.unlink(missing_ok=True)

    def is_intact(self) -> bool:
        """Return whether every file in the manifest is in the folder, unchanged."""
        try:
            return all(_is_plain(file.name) and _crc32(self.folder / file.name) == file.crc32 for file in self.manifest.files)
        except OSError:
            return False

    def remove(self) -> None:
        """Delete the folder, the manifest first: if this is interrupted, the rest is not resumed."""
        with contextlib.suppress(OSError):
            (self.folder / _MANIFEST).unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _save(self) -> None:
        _write_atomically(self.folder / _MANIFEST, msgspec.json.encode(self.manifest))


def leftovers(root: Path) -> Iterator[Staging]:
    """Yield the staged files that earlier syncs of the same type left, oldest first. Deletes folders without a manifest of the current format."""
    for folder in sorted(root.iterdir()) if root.is_dir() else []:
        try:
            manifest = msgspec.json.decode((folder / _MANIFEST).read_bytes(), type=Manifest)
        except (OSError, msgspec.DecodeError):
            manifest = None
        if manifest is None or manifest.format != FORMAT:
            _delete(folder)
            continue
        yield Staging(folder, manifest)


def _delete(path: Path) -> None:
    """Delete a folder, or a file in its place. Errors are ignored: leftovers do no harm."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


def _is_plain(name: str) -> bool:
    """Return whether a name is that of a file directly in the folder."""
    return Path(name).name == name


def _crc32(path: Path) -> int:
    return zlib.crc32(path.read_bytes())


def _write_parquet(frame: pl.DataFrame, path: Path) -> int:
    """Write a frame and return the file's checksum."""
    partial = path.with_suffix(".tmp")
    with private_files.new_file(partial) as file:
        frame.write_parquet(file, compression="zstd", compression_level=1)
    _sync_to_disk(partial)
    crc32 = _crc32(partial)
    partial.replace(path)
    return crc32


def _write_atomically(path: Path, data: bytes) -> None:
    partial = path.with_suffix(".tmp")
    private_files.write(partial, data)
    _sync_to_disk(partial)
    partial.replace(path)


def _sync_to_disk(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())

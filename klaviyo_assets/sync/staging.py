"""Frames to Parquet in a folder that belongs to one sync, with a manifest of what each slice has finished.

Memory stays bounded whatever the account's size, and a sync that was killed is taken up by the next one: the files of finished work are loaded, the
rest is planned again.
"""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import msgspec
import polars as pl

from klaviyo_assets.sync.coverage import Covered
from klaviyo_assets.sync.plan import Slice

ROWS_BUFFERED = 20_000
"""Rows held in memory before the fullest slice is written."""

_MANIFEST = "manifest.json"


class Part(msgspec.Struct):
    """What has been written of one slice.

    Attributes:
        division: Name of the division.
        field: Time field, None for a division that is read whole.
        start: Start of the slice.
        end: End of the slice.
        covers_to: ``[start, covers_to)`` counts as covered once the slice is read; None if nothing does.
        upto: Everything before has been read and written; None if nothing is sure yet.
        finished: True if the whole slice has been read and written.
        files: Names of files that are not loaded yet.
        loaded: True if files, and the span up to ``loaded_upto``, have been loaded.
        loaded_upto: ``upto`` at the last load.
    """

    division: str
    field: str | None
    start: datetime | None
    end: datetime | None
    covers_to: datetime | None
    upto: datetime | None = None
    finished: bool = False
    files: list[str] = msgspec.field(default_factory=list)
    loaded: bool = False
    loaded_upto: datetime | None = None


class Manifest(msgspec.Struct):
    """What a staging folder holds.

    Attributes:
        sync_id: The sync that wrote it.
        resource_type: The resource type.
        account_id: The account it was read from, or ``unknown``.
        fingerprint: Of the options and columns that were read.
        read_at: The server's clock when the sync began.
        resumable: True if the next sync may load it; a full read starts over instead.
        parts: By slice.
    """

    sync_id: str
    resource_type: str
    account_id: str
    fingerprint: str
    read_at: datetime
    resumable: bool
    parts: list[Part] = msgspec.field(default_factory=list)


@dataclass(frozen=True)
class Batch:
    """Files to load together, and what is covered once they are.

    Attributes:
        files: Parquet files.
        covered: Coverage that they bring.
        progress: How far each slice had come when the batch was taken: (finished, upto) by its place in the manifest.
        rows: Rows in the files, where known.
    """

    files: tuple[Path, ...]
    covered: tuple[Covered, ...]
    progress: tuple[tuple[bool, datetime | None], ...] = ()
    rows: int = 0


@dataclass
class _Buffer:
    frames: list[pl.DataFrame] = field(default_factory=list)
    rows: int = 0
    upto: datetime | None = None
    finished: bool = False


class Staging:
    """The staged part of one sync.

    Args:
        folder: Folder of this sync; made here.
        manifest: Facts of the sync.
        slices: The slices that will be written.
    """

    def __init__(self, folder: Path, manifest: Manifest, slices: tuple[Slice, ...] = ()) -> None:
        self.folder = folder
        self.manifest = manifest
        self._parts = {id(part): Part(part.division.name, part.field, part.start, part.end, part.covers_to) for part in slices}
        manifest.parts += self._parts.values()
        self._buffers: dict[int, _Buffer] = {key: _Buffer() for key in self._parts}
        self._files = 0
        self.rows_unloaded = 0
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, part: Slice, frame: pl.DataFrame, upto: datetime | None) -> None:
        """Take a page of a slice.

        Args:
            part: The slice.
            frame: Its records.
            upto: The slice is read completely up to here, ties excluded; None if that is not known.
        """
        buffer = self._buffers[id(part)]
        if frame.height:
            buffer.frames.append(frame)
            buffer.rows += frame.height
        buffer.upto = upto
        while sum(one.rows for one in self._buffers.values()) >= ROWS_BUFFERED:
            self._write(max(self._buffers, key=lambda key: self._buffers[key].rows))

    def add_loose(self, frame: pl.DataFrame) -> None:
        """Take records that came outside of the slices (looked up by id)."""
        buffer = next(iter(self._buffers.values()))
        buffer.frames.append(frame)
        buffer.rows += frame.height

    def finish(self, part: Slice) -> None:
        """Note that a slice has been read to its end."""
        self._buffers[id(part)].finished = True

    def flush(self) -> None:
        """Write everything that is still in memory, and the manifest."""
        for key in self._buffers:
            self._write(key, save=False)
        self._save()

    def batch(self) -> Batch:
        """Return what has been written and not loaded, and the coverage that it brings."""
        parts = self.manifest.parts
        return Batch(
            files=tuple(self.folder / name for part in parts for name in part.files),
            covered=tuple(row for part in parts if (row := self._covered(part)) is not None),
            progress=tuple((part.finished, part.upto) for part in parts),
            rows=self.rows_unloaded,
        )

    def loaded(self, batch: Batch, *, keep: bool = False) -> None:
        """Note that a batch has been committed, and delete its files unless they are needed once more."""
        done = set(batch.files)
        for part, (finished, upto) in zip(self.manifest.parts, batch.progress, strict=True):
            part.files = [name for name in part.files if self.folder / name not in done]
            part.loaded, part.loaded_upto = finished, upto
        self._save()
        self.rows_unloaded -= batch.rows
        if not keep:
            for file in batch.files:
                file.unlink(missing_ok=True)

    def is_intact(self) -> bool:
        """Return whether every file that the manifest names is there and readable."""
        try:
            for part in self.manifest.parts:
                for name in part.files:
                    pl.scan_parquet(self.folder / name, hive_partitioning=False).select(pl.len()).collect()
        except (OSError, pl.exceptions.PolarsError):
            return False
        return True

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _covered(self, part: Part) -> Covered | None:
        if part.covers_to is None or part.field is None or part.start is None or part.loaded:
            return None
        end = part.covers_to if part.finished else min(part.upto or part.start, part.covers_to)
        if end <= part.start or (not part.finished and part.upto == part.loaded_upto):
            return None
        manifest = self.manifest
        return Covered(part.division, part.field, part.start, end, manifest.read_at, manifest.fingerprint)

    def _write(self, key: int, *, save: bool = True) -> None:
        buffer, part = self._buffers[key], self._parts[key]
        if buffer.frames:
            self._files += 1
            name = f"{self._files:06d}.parquet"
            _write_parquet(pl.concat(buffer.frames), self.folder / name)
            part.files.append(name)
            self.rows_unloaded += buffer.rows
        part.upto, part.finished = buffer.upto, buffer.finished
        buffer.frames, buffer.rows = [], 0
        if save:
            self._save()

    def _save(self) -> None:
        _write_atomically(self.folder / _MANIFEST, msgspec.json.encode(self.manifest))


def leftovers(root: Path) -> Iterator[Staging]:
    """Yield what earlier syncs of the same type left behind, oldest first; folders without a readable manifest are deleted."""
    for folder in sorted(root.iterdir()) if root.is_dir() else []:
        try:
            manifest = msgspec.json.decode((folder / _MANIFEST).read_bytes(), type=Manifest)
        except (OSError, msgspec.DecodeError):
            shutil.rmtree(folder, ignore_errors=True)
            continue
        yield Staging(folder, manifest)


def _write_parquet(frame: pl.DataFrame, path: Path) -> None:
    partial = path.with_suffix(".tmp")
    frame.write_parquet(partial, compression="zstd", compression_level=1)
    _sync_to_disk(partial)
    partial.replace(path)


def _write_atomically(path: Path, data: bytes) -> None:
    partial = path.with_suffix(".tmp")
    partial.write_bytes(data)
    _sync_to_disk(partial)
    partial.replace(path)


def _sync_to_disk(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())

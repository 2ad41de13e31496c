"""The manifest of a staging folder: which slices are finished, and which files are not loaded yet."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from klaviyo_assets.extract.slices import AnySlice, ParentSlice, Slice
from klaviyo_assets.state.coverage import BEGINNING, CoverageRow
from klaviyo_assets.warehouse.wide_tables import MOST_WIDE_BYTES, divided

WIDE_BYTES_PER_LOAD = MOST_WIDE_BYTES
"""Bytes that the wide rows of a load may have, or those of one file where that has more. DuckDB needs about five times as much memory."""

FORMAT = 4
"""Version of the manifest's format."""


class SliceState(msgspec.Struct, eq=False):
    """What has been written of one slice.

    Attributes:
        subset: Name of the subset.
        field: Time field, None for a subset that is read completely.
        start: Start of the slice; None for a subset that is read completely.
        end: End of the slice; None if it has none.
        covers_to: ``[start, covers_to)`` counts as covered once the slice is read; None if nothing does.
        parent: Id of the parent record of which it reads the children; empty if it has none.
        read_up_to: Everything before has been read and written; None if nothing is sure yet.
        finished: True if the whole slice has been read and written.
        loaded: True if it was finished at the last load.
        loaded_read_up_to: ``read_up_to`` at the last load.
    """

    subset: str
    field: str | None
    start: datetime | None
    end: datetime | None
    covers_to: datetime | None
    read_up_to: datetime | None = None
    finished: bool = False
    loaded: bool = False
    loaded_read_up_to: datetime | None = None
    parent: str = ""

    @staticmethod
    def of(slice_: AnySlice) -> "SliceState":
        """Return the state of a slice that begins."""
        if isinstance(slice_, Slice):
            return SliceState(slice_.subset.name, slice_.field, slice_.start, slice_.end, slice_.covers_to)
        if isinstance(slice_, ParentSlice):
            return SliceState(slice_.subset.name, slice_.field, BEGINNING, None, slice_.covers_to, parent=slice_.parent_id)
        return SliceState(slice_.subset.name, None, None, None, None)


class StagedFile(msgspec.Struct):
    """A Parquet file that is not loaded yet.

    Attributes:
        name: Its name in the folder.
        rows: Rows in it.
        crc32: Checksum of its bytes, to recognize it again.
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
        account_id: The account that it was read from, or ``unknown``.
        fingerprint: Of the options and columns that were read.
        read_at: The server's clock when the sync began.
        resumable: True if the next sync may load it; after an interrupted full read it starts over instead.
        format: Version of the manifest's format; a folder with another one is not resumed.
        columns: Of the files.
        slices: What has been written of each slice, in the order in which they began.
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
    slices: list[SliceState] = msgspec.field(default_factory=list)
    files: list[StagedFile] = msgspec.field(default_factory=list)

    def coverage_of(self, state: SliceState) -> CoverageRow | None:
        """Return what loading the written files adds to the coverage for a slice; None if nothing."""
        if state.covers_to is None or state.field is None or state.start is None or state.loaded:
            return None
        end = state.covers_to if state.finished else min(state.read_up_to or state.start, state.covers_to)
        if end <= state.start or (not state.finished and state.read_up_to == state.loaded_read_up_to):
            return None
        return CoverageRow(state.subset, state.field, state.start, end, self.read_at, self.fingerprint, parent=state.parent)


def loads_of(files: Sequence[StagedFile], most_rows: int | None = None) -> list[list[StagedFile]]:
    """Divide files into loads, in their order.

    DuckDB reads, converts, compares and compresses 2,048 rows at a time, which may be any rows of a load: those that are new or changed. So its
    memory is bounded by the bytes of all wide rows of a load; the number of other rows does not matter.

    Args:
        files: The files.
        most_rows: Rows of a load, or of one file where that holds more.
    """
    return divided(files, most_rows=most_rows, most_wide=WIDE_BYTES_PER_LOAD)


def new_manifest(
    *, sync_id: str, resource_type: str, account_id: str, fingerprint: str, read_at: datetime, resumable: bool, columns: Sequence[str] = ()
) -> Manifest:
    """Return the manifest of a sync that begins."""
    return Manifest(sync_id, resource_type, account_id, fingerprint, read_at, resumable, FORMAT, list(columns))

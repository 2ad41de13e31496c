"""The manifest of a staging folder: which slices are finished, and which files are not loaded yet."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

import msgspec

from klaviyo_assets.extract.chain_position import Position, UnfinishedChain
from klaviyo_assets.extract.slices import AnySlice, ParentGroupSlice, ParentSlice, ReportSlice, Slice, SubsetSlice
from klaviyo_assets.state.child_parts import ChildPart
from klaviyo_assets.state.coverage import BEGINNING, CoverageRow
from klaviyo_assets.warehouse.wide_tables import MAX_WIDE_BYTES, grouped

WIDE_BYTES_PER_LOAD = MAX_WIDE_BYTES
"""Maximum bytes of the wide rows in a load, unless a single file has more. DuckDB needs about five times as much memory."""

FORMAT = 4
"""Version of the manifest's format."""


class SliceState(msgspec.Struct, eq=False):
    """How much of one slice has been written.

    Attributes:
        subset: Name of the subset, or of the part of some parents' children.
        field: Time field, None for a subset that is read completely.
        start: Start of the slice; None for a subset that is read completely.
        end: End of the slice; None if it has none.
        covers_to: ``[start, covers_to)`` counts as covered once the slice is read; None if nothing does.
        parent: Id of the parent record whose children it reads; empty if it has none.
        ids: Ids that the filter names, of a report's records or of parents; each is covered by itself. Empty if it has no such filter.
        read_up_to: Everything before this time has been read and written; None if that is not known yet.
        finished: True if the whole slice has been read and written.
        loaded: True if it was finished at the last load.
        loaded_read_up_to: ``read_up_to`` at the last load.
        position: Where the next sync can continue its chain; None if it reads the slice again.
        since: When the sync that began the chain started; None if that was this one.
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
    ids: list[str] = msgspec.field(default_factory=list)
    position: Position | None = None
    since: datetime | None = None

    @staticmethod
    def of(slice_: AnySlice) -> "SliceState":
        """Return the state of a slice that has just begun."""
        match slice_:
            case Slice(start=start, end=end):
                return SliceState(slice_.subset.name, slice_.field, start, end, slice_.covers_to, parent=slice_.parent_id or "")
            case ParentSlice():
                return SliceState(slice_.subset.name, slice_.field, BEGINNING, None, slice_.covers_to, parent=slice_.parent_id)
            case ParentGroupSlice(position=position, since=since):
                parents = list(slice_.parents)
                return SliceState(slice_.part.name, slice_.field, BEGINNING, None, slice_.covers_to, ids=parents, position=position, since=since)
            case ReportSlice():
                return SliceState(slice_.subset.name, slice_.field, slice_.start, None, slice_.covers_to, ids=list(slice_.ids))
            case SubsetSlice():
                return SliceState(slice_.subset.name, None, None, None, None)


class StagedFile(msgspec.Struct):
    """A Parquet file that is not loaded yet.

    Attributes:
        name: Its name in the folder.
        rows: Rows in it.
        crc32: Checksum of its bytes, to detect changes.
        bytes: Bytes of its rows in memory.
        wide: Bytes of the wide rows among them.
    """

    name: str
    rows: int
    crc32: int = 0
    bytes: int = 0
    wide: int = 0


class Manifest(msgspec.Struct):
    """The content of a staging folder.

    Attributes:
        sync_id: The sync that wrote it.
        resource_type: The resource type.
        account_id: The account that was read, or ``unknown``.
        fingerprint: Fingerprint of the options and columns that were read.
        read_at: The server's clock when the sync began.
        resumable: True if the next sync may load it; an interrupted full read starts over instead.
        format: Version of the manifest's format; a folder with another version is not resumed.
        columns: Columns of the files.
        slices: How much of each slice has been written, in the order in which they began.
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
        """Return the coverage of a slice that loading the written files adds; None if nothing."""
        if state.covers_to is None or state.field is None or state.start is None or state.loaded:
            return None
        end = state.covers_to if state.finished else min(state.read_up_to or state.start, state.covers_to)
        if end <= state.start or (not state.finished and state.read_up_to == state.loaded_read_up_to):
            return None
        return CoverageRow(state.subset, state.field, state.start, end, state.since or self.read_at, self.fingerprint, parent=state.parent)

    def coverage(self) -> Iterator[CoverageRow]:
        """Yield the coverage that loading the written files adds."""
        for state in self.slices:
            if (row := self.coverage_of(state)) is not None:
                yield from (replace(row, parent=id_) for id_ in state.ids) if state.ids else (row,)

    def unfinished(self) -> Iterator[UnfinishedChain]:
        """Yield the chains that the next sync can continue, once it has loaded the written files."""
        for state in self.slices:
            part = ChildPart.parse(state.subset)
            if part is not None and state.position is not None and not state.finished:
                yield UnfinishedChain(tuple(state.ids), part, state.position, state.since or self.read_at)


def loads_of(files: Sequence[StagedFile], max_rows: int | None = None) -> list[list[StagedFile]]:
    """Group files into loads, in their order.

    DuckDB reads, converts, compares and compresses 2,048 rows at a time, and any rows of a load may be new or changed and so end up in one such
    group. So the memory depends on the bytes of all wide rows of a load; the number of other rows does not matter.

    Args:
        files: The files.
        max_rows: Maximum rows of a load, unless a single file has more.
    """
    return grouped(files, max_rows=max_rows, max_wide=WIDE_BYTES_PER_LOAD)


def new_manifest(
    *, sync_id: str, resource_type: str, account_id: str, fingerprint: str, read_at: datetime, resumable: bool, columns: Sequence[str] = ()
) -> Manifest:
    """Return the manifest of a sync that has just begun."""
    return Manifest(sync_id, resource_type, account_id, fingerprint, read_at, resumable, FORMAT, list(columns))

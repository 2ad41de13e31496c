"""Decodes a page to a typed frame, and filters its records by their time."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from itertools import groupby
from typing import Any, TypeVar

import msgspec
import polars as pl
from msgspec import UNSET

from klaviyo_assets.catalog.columns import INCLUDED, WITHIN, Column, ColumnType
from klaviyo_assets.catalog.resource_type import ResourceType, Subset
from klaviyo_assets.decode.included_resources import Attacher, places_of, series_reader
from klaviyo_assets.decode.malformed import UnreadablePage, keep_originals, position, repair_all, repair_surrogates, repaired
from klaviyo_assets.decode.polars_schema import EXTRA, INSTANT_DTYPE, SYNCED_AT, dtype
from klaviyo_assets.decode.records import Document, RecordDecoder
from klaviyo_assets.decode.timestamps import dates, instants, timestamp_or_none
from klaviyo_assets.decode.within import readers_within

T = TypeVar("T")

_BYTE = re.compile(r"\(byte (\d+)\)")
"""The position in msgspec's messages about malformed JSON."""

_WHOLE_SECONDS, _MICROSECONDS = len("2026-01-02T03:04:05+00:00"), len("2026-01-02T03:04:05.678901+00:00")


@dataclass(frozen=True)
class Page:
    """A decoded page. Its frame is built on demand, possibly in another thread.

    Attributes:
        records: Its resource objects, as structs of the decoder; customer-defined JSON is raw bytes.
        next_url: ``links.next``; None on the last page.
        decoder: The decoder that created it.
        size: Bytes of the decoded document.
        tolerant: Number of records that were decoded tolerantly, at a fraction of the speed.
        synced_at: When it was requested, by the server's clock; None until stamped.
        parent_id: For child types, the id of the parent; else None.
        incomplete: Ids of records that name a resource which is not included, for types with columns of included resources.
        included: Raw resource objects of the document's ``included``, for types with ``requested_includes``. They hold the bytes of the whole page.
    """

    records: Sequence[Any]
    next_url: str | None
    decoder: "PageDecoder"
    size: int = 0
    tolerant: int = 0
    synced_at: datetime | None = None
    parent_id: str | None = None
    included: Sequence[msgspec.Raw] = ()
    incomplete: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """Records on the page."""
        return len(self.records)

    @cached_property
    def frame(self) -> pl.DataFrame:
        """Its records as a frame: the columns of the catalog, except computed ones, ``_extra``, and ``_synced_at`` if stamped."""
        return frame_of([self])

    def values(self, column: str) -> list[Any]:
        """Return the values of a column as they were received, in the order of the records; JSON as bytes."""
        return self.decoder.values(self.records, column)

    def times(self, field: str) -> list[datetime | None]:
        """Return the values of a time column, in the order of the records; None for a missing or invalid time."""
        return self.decoder.times(self.records, field)

    def extent(self, field: str) -> "Extent | None":
        """Return the range of a time column's values, or None if it has none."""
        return self.decoder.extent(self.records, field)

    def within(self, field: str, start: datetime | None, end: datetime | None) -> "Page":
        """Return the page with only the records in ``[start, end)`` of a time column; None means unbounded. Records without a time are kept."""
        kept = [
            record
            for record, time in zip(self.records, self.times(field), strict=True)
            if time is None or ((start is None or time >= start) and (end is None or time < end))
        ]
        return replace(self, records=kept)

    def stamped(self, synced_at: datetime) -> "Page":
        """Return the page with the time of its request, for the column ``_synced_at``."""
        return replace(self, synced_at=synced_at)

    def of_parent(self, parent_id: str) -> "Page":
        """Return the page with the id of its records' parent, for the parent column."""
        return replace(self, parent_id=parent_id)


@dataclass(frozen=True)
class Extent:
    """The range of a time column's values on a page.

    Attributes:
        least: The earliest value.
        greatest: The latest value.
        ascending: True if the records are in ascending order.
    """

    least: datetime
    greatest: datetime
    ascending: bool


def frame_of(pages: Sequence[Page]) -> pl.DataFrame:
    """Return the records of pages of one resource type as one frame.

    Consecutive pages of one subset are built together: per row, a frame of 20,000 rows costs half as much as frames of 100.

    Args:
        pages: At least one; all of them stamped, or none.
    """
    frames = []
    for decoder, run in groupby(pages, key=lambda page: page.decoder):
        some = list(run)
        parent_ids = [page.parent_id for page in some for _ in page.records] if some[0].parent_id is not None else None
        frame = decoder.frame([record for page in some for record in page.records], parent_ids)
        if some[0].synced_at is not None:
            stamps = pl.Series(SYNCED_AT, [page.synced_at for page in some], dtype=INSTANT_DTYPE)
            frame = frame.with_columns(stamps.gather([number for number, page in enumerate(some) for _ in page.records]))
        frames.append(frame)
    joined: pl.DataFrame = pl.concat(frames)
    return joined


class PageDecoder:
    """Decodes pages of one resource type and subset.

    Uses a strict decoder first. A record that does not match (a new attribute, a value of another type) is decoded tolerantly, and the mismatches go
    to ``_extra``. Customer-defined JSON is copied byte for byte.

    Args:
        entry: The resource type.
        subset: The subset, for the columns that it determines.

    Example:
        >>> page = PageDecoder(CATALOG["events"]).page(body)
        >>> page.frame["event_properties"].dtype
        String
    """

    def __init__(self, entry: ResourceType, subset: Subset | None = None) -> None:
        self._entry = entry
        self._subset = subset or Subset()
        self._records = RecordDecoder(entry)
        self._read = {
            column.name: _reader(column, self._subset) for column in entry.received_columns if column.path[0] not in ("parent", INCLUDED, WITHIN)
        }
        self._within = readers_within(entry)
        self._of_included = {column.name: series_reader(column) for column in entry.columns if column.path[0] == INCLUDED}
        self._attacher = Attacher(entry) if self._of_included else None

    def page(self, data: bytes) -> Page:
        """Decode a collection document.

        Raises:
            ValueError: If it is not UTF-8, not JSON, or not a collection document.
        """
        return self._page(data)[0]

    def linked_page(self, data: bytes) -> Page:
        """Decode a document of a page chain. It must have links: without them, it would look like the last page.

        Raises:
            ValueError: As :meth:`page` does, or if a paged endpoint returns no links.
        """
        page, has_links = self._page(data)
        if not has_links and not self._entry.endpoint.unpaged:
            raise UnreadablePage("The page has no links, so whether it is the last one is unknown.")
        return page

    def single(self, data: bytes) -> Page:
        """Decode a document with one resource object, as a page of one record."""
        document = self._repaired(self._records.single, data, lambda document: document.records)
        return self._page_of(document, len(data))

    def _page(self, data: bytes) -> tuple[Page, bool]:
        document = self._repaired(self._records.document, data, lambda document: document.records)
        return self._page_of(document, len(data)), document.has_links

    def _page_of(self, document: Document, size: int) -> Page:
        incomplete = self._attacher.attach(document.records, document.included) if self._attacher is not None else ()
        return Page(document.records, document.next_url, self, size, document.tolerant, included=document.included, incomplete=incomplete)

    def values(self, records: Sequence[Any], column: str) -> list[Any]:
        """Return the values of a column as they were received."""
        return self._read[column](records)

    def times(self, records: Sequence[Any], field: str) -> list[datetime | None]:
        """Return the values of a time column; None for a missing or invalid time."""
        return [timestamp_or_none(text) if text is not None else None for text in self._read[field](records)]

    def extent(self, records: Sequence[Any], field: str) -> Extent | None:
        """Return the range of a time column's values, or None if it has none."""
        texts = [text for text in self._read[field](records) if text is not None]
        # Instants in the same format sort like text, which is much faster than parsing each.
        if set(map(len, texts)) in ({_WHOLE_SECONDS}, {_MICROSECONDS}) and {text[-6:] for text in texts} == {"+00:00"}:
            least, greatest = timestamp_or_none(min(texts)), timestamp_or_none(max(texts))
            if least is not None and greatest is not None:
                return Extent(least, greatest, texts == sorted(texts))
        known = [time for text in texts if (time := timestamp_or_none(text)) is not None]
        return Extent(min(known), max(known), known == sorted(known)) if known else None

    def frame(self, records: Sequence[Any], parent_ids: list[str | None] | None = None) -> pl.DataFrame:
        """Build the frame of decoded records: the columns of the catalog, except computed ones, and ``_extra``.

        Args:
            records: The records.
            parent_ids: For a child type, the parent's id for each record.
        """
        extras = [bytes(record.extra) if record.extra is not None else None for record in records]
        columns: dict[str, pl.Series] = {}
        places = places_of(records) if self._of_included else (len(records), ())
        within: dict[str, pl.Series] = {}
        sources = {name: self._read[name](records) for name in self._within}  # read once: events' texts are large
        for name, reader in self._within.items():
            within |= reader.series(sources[name])
        for column in self._entry.received_columns:
            if column.name in within:
                columns[column.name] = within[column.name]
                continue
            if column.name in self._of_included:
                columns[column.name] = self._of_included[column.name](places)
                continue
            if column.path[0] == "parent":
                values = self._parents_of(records, parent_ids)
            else:
                values = sources.pop(column.name) if column.name in sources else self._read[column.name](records)
            if column.type is ColumnType.TIMESTAMP:
                columns[column.name] = instants(column, values, extras)
            elif column.type is ColumnType.DATE:
                columns[column.name] = dates(column, values, extras)
            elif column.type is ColumnType.JSON:
                columns[column.name] = pl.Series(column.name, values, dtype=pl.Binary).cast(pl.String)
            else:
                columns[column.name] = pl.Series(column.name, values, dtype=dtype(column.type), strict=True)
        columns[EXTRA] = pl.Series(EXTRA, extras, dtype=pl.Binary).cast(pl.String)
        return pl.DataFrame(columns)

    def _parents_of(self, records: Sequence[Any], parent_ids: list[str | None] | None) -> list[str | None]:
        """Return the ids of the records' parents: those of the requests, or the ones that the records name.

        Raises:
            UnreadablePage: If a record does not say which parent it has, although its request named several.
        """
        parent = self._entry.parent
        if parent is None or parent.filter is None or parent.relationship is None:
            return parent_ids or [None] * len(records)
        named = _relationship_reader(parent.relationship.replace("-", "_"), many=False)(records)
        ids = [one or given for one, given in zip(named, parent_ids or [None] * len(records), strict=True)]
        if None in ids:
            raise UnreadablePage(f"A record does not name its {parent.relationship}, though several were requested together.")
        return ids

    def _repaired(self, decode: Callable[[bytes], T], data: bytes, records: Callable[[T], Sequence[Any]]) -> T:
        """Decode; if that fails and the data can be repaired, decode the repaired data and keep the originals in ``_extra``."""
        _refuse_other_encodings(data)
        try:
            return decode(data)
        except (msgspec.DecodeError, RecursionError) as error:
            # Lone surrogates are found fast and may be on many pages; the others are rare.
            for repairs in (repair_surrogates(data), repair_all(data)):
                if repairs and (decoded := _decoded(decode, repaired(data, repairs))) is not None:
                    keep_originals(records(decoded), data, repairs)
                    return decoded
            raise _explained(error, data) from error


def _decoded(decode: Callable[[bytes], T], data: bytes) -> T | None:
    try:
        return decode(data)
    except (msgspec.DecodeError, RecursionError):
        return None


def _explained(error: Exception, data: bytes) -> UnreadablePage:
    """Return an error that says what is wrong with a page, and where."""
    if isinstance(error, RecursionError):
        return UnreadablePage("The page's JSON is nested too deeply.")
    if isinstance(error, msgspec.ValidationError):
        return UnreadablePage("The page is not a collection of records with links.")
    found = _BYTE.search(str(error))
    return UnreadablePage(f"The page is broken JSON: {position(data, int(found[1]))}." if found else "The page is broken JSON: it ends too early.")


def _refuse_other_encodings(data: bytes) -> None:
    """Refuse data that is not UTF-8, since raw parts are copied without a check. Polars takes a tenth of the time of ``bytes.decode``.

    Raises:
        UnreadablePage: If it is not UTF-8.
    """
    if data.isascii():
        return
    try:
        pl.Series([data], dtype=pl.Binary).cast(pl.String)
    except pl.exceptions.PolarsError as error:
        raise UnreadablePage(f"The page is not utf-8: {position(data, _first_wrong_byte(data))}.") from error


def _first_wrong_byte(data: bytes) -> int:
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return error.start
    return len(data)


_Reader = Callable[[Sequence[Any]], list[Any]]


def _reader(column: Column, subset: Subset) -> _Reader:
    """Return a function that reads a column's values from decoded records."""
    match column.path:
        case ("id",):
            return lambda records: [record.id for record in records]
        case ("removal",):
            return lambda records: [None] * len(records)
        case ("derived", name):
            field = name.replace("-", "_")
            return lambda records: [_set(getattr(getattr(record, "derived", UNSET), field, UNSET)) for record in records]
        case ("subset", name):
            value = subset.values.get(name)
            return lambda records: [value] * len(records)
        case ("relationships", name):
            return _relationship_reader(name.replace("-", "_"), many=column.type is ColumnType.STRINGS)
        case ("attributes", *parents, name):
            return _attribute_reader([parent.replace("-", "_") for parent in parents], name.replace("-", "_"), column.type)
    raise ValueError(f"column {column.name} has an unknown path in the catalog: {column.path}")


def _set(value: Any) -> Any:
    return None if value is UNSET else value


def _relationship_reader(name: str, *, many: bool) -> _Reader:
    def ids(records: Sequence[Any]) -> list[Any]:
        """Return the ids of a to-many relationship of each record; None without data."""
        references = (getattr(record.relationships, name).data for record in records)
        return [[item.id for item in data] if isinstance(data, list) else None for data in references]

    def id_or_none(records: Sequence[Any]) -> list[Any]:
        """Return the id of a to-one relationship of each record; None without data."""
        relationships = (getattr(record.relationships, name) for record in records)
        return [one.data.id if one is not None and one.data is not None else None for one in relationships]

    return ids if many else id_or_none


def _attribute_reader(parents: Sequence[str], name: str, column_type: ColumnType) -> _Reader:
    def holders(records: Sequence[Any]) -> list[Any]:
        """Return the object of each record that has the attribute; None if it is missing."""
        found = [record.attributes for record in records]
        for parent in parents:
            found = [getattr(one, parent, None) if one is not None and one is not UNSET else None for one in found]
        return found

    def raw(records: Sequence[Any]) -> list[Any]:
        """Return the attribute's JSON as Klaviyo sent it."""
        values = (getattr(one, name, UNSET) for one in holders(records))
        return [None if value is UNSET else bytes(value) for value in values]

    def plain(records: Sequence[Any]) -> list[Any]:
        """Return the attribute's decoded value."""
        values = (getattr(one, name, None) for one in holders(records))
        return [None if value is UNSET else value for value in values]

    return raw if column_type is ColumnType.JSON else plain

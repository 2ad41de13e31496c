"""A page: bytes to a typed frame, and cutting it by a record's own time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import MAXYEAR, MINYEAR, UTC, datetime
from typing import Any

import msgspec
import polars as pl
from msgspec import UNSET

from klaviyo_assets.catalog.model import Column, ColumnType, Division, ResourceType
from klaviyo_assets.frames.records import RecordDecoder
from klaviyo_assets.frames.schema import EXTRA, INSTANT, SYNCED_AT, dtype
from klaviyo_assets.frames.surrogates import escape_lone_surrogates

_ISO = "%Y-%m-%dT%H:%M:%S%.f%:z"


@dataclass(frozen=True)
class Page:
    """A decoded page.

    Attributes:
        frame: Its records; the columns of the catalogue and ``_extra``.
        next_url: ``links.next``; None on the last page.
    """

    frame: pl.DataFrame
    next_url: str | None

    @property
    def count(self) -> int:
        """Records on the page."""
        return self.frame.height

    def bounds(self, field: str) -> tuple[datetime, datetime] | None:
        """Return the least and the greatest value of a time column, or None if there is none."""
        values = self.frame[field].drop_nulls()
        if values.is_empty():
            return None
        return _instant(values.min()), _instant(values.max())

    def within(self, field: str, start: datetime | None, end: datetime | None) -> pl.DataFrame:
        """Return the records whose time lies in ``[start, end)``; None is no bound. A record without a time is kept."""
        time = pl.col(field)
        frame = self.frame
        if start is not None:
            frame = frame.filter(time.is_null() | (time >= start))
        if end is not None:
            frame = frame.filter(time.is_null() | (time < end))
        return frame

    def stamped(self, synced_at: datetime) -> "Page":
        """Return the page with the ``_synced_at`` column set."""
        return Page(self.frame.with_columns(pl.lit(synced_at, dtype=INSTANT).alias(SYNCED_AT)), self.next_url)


class PageDecoder:
    """Decodes pages of one resource type and division.

    Strict first; a record that does not fit (an attribute that is new, a value of another type) is decoded tolerantly, and what does not fit goes to
    ``_extra``. Customer-defined JSON is copied byte for byte.

    Args:
        entry: The resource type.
        division: Gives the values of the columns that only the division knows.

    Example:
        >>> page = PageDecoder(CATALOG["events"]).page(body)
        >>> page.frame["event_properties"].dtype
        String
    """

    def __init__(self, entry: ResourceType, division: Division | None = None) -> None:
        self._entry = entry
        self._division = division or Division()
        self._records = RecordDecoder(entry)
        self._readers = [(column, _reader(column, self._division)) for column in entry.columns]

    def page(self, data: bytes) -> Page:
        """Decode a collection document.

        Raises:
            ValueError: If it is not UTF-8, not JSON, or not a collection document.
        """
        records, next_url = self._repaired(self._records.document, data)
        return Page(self._frame(records), next_url)

    def single(self, data: bytes) -> Page:
        """Decode a document that holds one resource object, as a page of one."""
        return Page(self._frame([self._repaired(self._records.single, data)]), None)

    def _repaired(self, decode: Callable[[bytes], Any], data: bytes) -> Any:
        data.decode()  # raw parts are copied unseen, so bytes that are no UTF-8 must be refused here
        try:
            return decode(data)
        except msgspec.DecodeError:
            repaired = escape_lone_surrogates(data)
            if repaired == data:
                raise
            return decode(repaired)
        except RecursionError as error:
            raise ValueError("JSON nested more deeply than can be read") from error

    def _frame(self, records: Sequence[Any]) -> pl.DataFrame:
        extras = [bytes(record.extra) if record.extra is not None else None for record in records]
        columns: dict[str, pl.Series] = {}
        for column, read in self._readers:
            values = read(records)
            if column.type is ColumnType.TIMESTAMP:
                columns[column.name] = _instants(column, values, extras)
            elif column.type is ColumnType.JSON:
                columns[column.name] = pl.Series(column.name, values, dtype=pl.Binary).cast(pl.String)
            else:
                columns[column.name] = pl.Series(column.name, values, dtype=dtype(column.type), strict=True)
        columns[EXTRA] = pl.Series(EXTRA, extras, dtype=pl.Binary).cast(pl.String)
        return pl.DataFrame(columns)


_Reader = Callable[[Sequence[Any]], list[Any]]


def _reader(column: Column, division: Division) -> _Reader:
    """Return a function that takes a column's values out of decoded records."""
    match column.path:
        case ("id",):
            return lambda records: [record.id for record in records]
        case ("division", name):
            value = division.values.get(name)
            return lambda records: [value] * len(records)
        case ("relationships", name):
            return _relationship_reader(name.replace("-", "_"), many=column.type is ColumnType.STRINGS)
        case ("attributes", *parents, name):
            return _attribute_reader([parent.replace("-", "_") for parent in parents], name.replace("-", "_"), column.type)
    raise ValueError(f"the catalogue gives column {column.name} a path that is not known: {column.path}")


def _relationship_reader(name: str, *, many: bool) -> _Reader:
    def ids(records: Sequence[Any]) -> list[Any]:
        references = (getattr(record.relationships, name).data for record in records)
        return [[item.id for item in data] if isinstance(data, list) else None for data in references]

    def id_or_none(records: Sequence[Any]) -> list[Any]:
        relationships = (getattr(record.relationships, name) for record in records)
        return [one.data.id if one is not None and one.data is not None else None for one in relationships]

    return ids if many else id_or_none


def _attribute_reader(parents: Sequence[str], name: str, column_type: ColumnType) -> _Reader:
    def holders(records: Sequence[Any]) -> list[Any]:
        found = [record.attributes for record in records]
        for parent in parents:
            found = [getattr(one, parent, None) if one is not None and one is not UNSET else None for one in found]
        return found

    def raw(records: Sequence[Any]) -> list[Any]:
        values = (getattr(one, name, UNSET) for one in holders(records))
        return [None if value is UNSET else bytes(value) for value in values]

    def plain(records: Sequence[Any]) -> list[Any]:
        values = (getattr(one, name, None) for one in holders(records))
        return [None if value is UNSET else value for value in values]

    return raw if column_type is ColumnType.JSON else plain


def _instants(column: Column, texts: list[str | None], extras: list[bytes | None]) -> pl.Series:
    """Parse instants; the usual form in one go, others one by one, and what is no instant goes to ``_extra``."""
    raw = pl.Series(column.name, texts, dtype=pl.String)
    parsed = raw.str.to_datetime(_ISO, time_unit="us", time_zone="UTC", strict=False)
    parsed = parsed.set(~parsed.dt.year().is_between(MINYEAR, MAXYEAR), None)  # Python's dates end there
    odd = (raw.is_not_null() & parsed.is_null()).arg_true()
    for index in odd.to_list():
        text = raw[index]
        value = _parse_instant(text)
        if value is None:
            extras[index] = _with_extra(extras[index], column.path[1:], text)
        else:
            parsed[index] = value
    return parsed


def _parse_instant(text: str) -> datetime | None:
    """Parse the other forms of ISO 8601 that have been seen (``Z``, a space for the T, no offset, which means UTC)."""
    try:
        value = datetime.fromisoformat(text)
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def _with_extra(extra: bytes | None, path: Sequence[str], value: str) -> bytes:
    members: dict[str, Any] = msgspec.json.decode(extra, type=dict[str, msgspec.Raw]) if extra else {}
    node = members
    for part in path[:-1]:
        inner = node.get(part)
        node[part] = msgspec.json.decode(inner, type=dict[str, msgspec.Raw]) if isinstance(inner, msgspec.Raw) else (inner or {})
        node = node[part]
    node[path[-1]] = value
    return msgspec.json.encode(members)


def _instant(value: object) -> datetime:
    assert isinstance(value, datetime)
    return value

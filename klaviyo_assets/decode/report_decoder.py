"""Decodes a report: its rows become resource objects, which the page decoder of the resource type then decodes like those of a collection.

A report is one resource object (OpenAPI ``PostCampaignValuesResponseDTO``, ``PostFlowSeriesResponseDTO``). Its ``results`` have ``groupings``, which
identify a row, and ``statistics``: numbers, or in a series arrays of numbers, one for each of ``date_times``. A series gives a row per day.
Recorded series have days such as ``2026-08-28T00:00:00+00:00`` although the account is in Copenhagen: the date is the account's, the offset means
nothing.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import islice
from typing import Any

import msgspec
from msgspec import Raw

from klaviyo_assets.catalog.report_columns import GROUPINGS, STATISTICS, WINDOW, groupings_of
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.decode.malformed import UnreadablePage
from klaviyo_assets.decode.page import Page

_ROWS_AT_ONCE = 2_000
"""Rows that are written as one document. A series of 60 days has 60 rows for each result."""

_NULL, _EMPTY_TEXT = b"null", Raw(b'""')

Row = dict[str, Any]


class _Attributes(msgspec.Struct):
    results: list[dict[str, Raw]]
    date_times: list[str] | None = None


class _Data(msgspec.Struct):
    attributes: _Attributes


class _Document(msgspec.Struct):
    data: _Data
    links: Raw = Raw(b"{}")


@dataclass(frozen=True)
class ReportDecoder:
    """Decodes the pages of one request for a report.

    Args:
        entry: The resource type.
        decode: Decodes a collection document: the page decoder's method for the rows' subset.
        day: Column with the day of each row of a series; None for a report that is not a series.
        first: First day of the requested window.
        last: Last day of the requested window; rows of other days belong to other requests.
        window_values: Values of the columns under ``window`` that all rows have.

    Example:
        >>> decode = PageDecoder(entry, subset).linked_page
        >>> ReportDecoder(entry, decode, None, first, last, {"window_start": "2026-01-01"}).page(body).count
        412
    """

    entry: ResourceType
    decode: Callable[[bytes], Page]
    day: str | None
    first: date
    last: date
    window_values: Mapping[str, str]

    def page(self, data: bytes) -> Page:
        """Decode a response.

        Raises:
            ValueError: If it is not a report, or a series lacks values.
        """
        try:
            return self._decoded(data)
        except msgspec.DecodeError as error:  # a ValueError in newer versions of msgspec only
            raise UnreadablePage("The response is not a report.") from error

    def _decoded(self, data: bytes) -> Page:
        document = msgspec.json.decode(data, type=_Document)
        attributes = document.data.attributes
        days = self._days(attributes.date_times)
        rows = (row for result in attributes.results for row in self._rows(result, days))
        pages = [self._page(list(islice(rows, _ROWS_AT_ONCE)), document.links)]
        while part := list(islice(rows, _ROWS_AT_ONCE)):
            pages.append(self._page(part, document.links))
        return replace(
            pages[0],
            records=[record for page in pages for record in page.records],
            size=len(data),
            tolerant=sum(page.tolerant for page in pages),
        )

    def _page(self, rows: Sequence[Row], links: Raw) -> Page:
        return self.decode(msgspec.json.encode({"data": rows, "links": links}))

    def _days(self, date_times: list[str] | None) -> list[str] | None:
        """Return the days of a series; None for a report that is not one."""
        if self.day is None:
            return None
        if date_times is None:
            raise UnreadablePage("The series has no date_times.")
        return [date.fromisoformat(text[: len("2026-01-31")]).isoformat() for text in date_times]

    def _rows(self, result: Mapping[str, Raw], days: list[str] | None) -> Iterator[Row]:
        """Yield the rows of one result."""
        others = {name: raw for name, raw in result.items() if name not in (GROUPINGS, STATISTICS)}
        groupings, statistics = self._groupings(result), result.get(STATISTICS, Raw(b"{}"))
        if days is None:
            yield self._row(groupings, statistics, others, self.window_values)
            return
        series = msgspec.json.decode(statistics, type=dict[str, list[Raw]])
        if any(len(values) != len(days) for values in series.values()):
            raise UnreadablePage("A series has not one value for each of its date_times.")
        for number, day in enumerate(days):
            if self.first <= date.fromisoformat(day) <= self.last:
                of_day = {name: values[number] for name, values in series.items()}
                yield self._row(groupings, of_day, others, {str(self.day): day})

    def _groupings(self, result: Mapping[str, Raw]) -> dict[str, Raw]:
        """Return the groupings; those of the key that are null or missing are empty, since a key has no nulls."""
        found = msgspec.json.decode(result.get(GROUPINGS, Raw(b"{}")), type=dict[str, Raw])
        return found | {name: _EMPTY_TEXT for name in groupings_of(self.entry) if bytes(found.get(name, Raw(_NULL))) == _NULL}

    def _row(self, groupings: Mapping[str, Raw], statistics: object, others: Mapping[str, Raw], window: Mapping[str, str]) -> Row:
        identity = msgspec.json.encode([*sorted(groupings.items()), *window.values()]).decode()
        return {"id": identity, "attributes": {**others, GROUPINGS: groupings, STATISTICS: statistics, WINDOW: window}}

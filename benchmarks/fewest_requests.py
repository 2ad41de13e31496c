"""The fewest requests with which a client can read a resource type correctly by itself, from what the database holds after a sync.

Nothing here looks at the requests that a sync has made. Pages are counted full, and a client is assumed to know its scopes and its account.
"By itself" means without the responses for another type, except for types that have no endpoint of their own for many records.
"""

import math
from dataclasses import dataclass
from datetime import datetime

from duckdb import DuckDBPyConnection

from klaviyo_assets.catalog.replication import Incremental, NewestFirst, PerParent, Report, ReportWindows
from klaviyo_assets.catalog.resource_type import Parent, ResourceType

_DAYS_OF_A_REPORT = 60
"""Klaviyo returns at most this many days of a daily report in one response."""

_SEGMENTS_OF_A_REPORT = 100
"""A report of segments is filtered by at most this many ids."""

_CHANGING_YEARS = 2
"""This year and the last one: messages that were sent at its end are still opened."""

_JOINS_AND_COUNT = 2
"""Requests that show who has joined a group, and whether anyone has left it."""


@dataclass(frozen=True)
class FewestRequests:
    """Counts for each resource type.

    Args:
        connection: The database, with the schema of the tables in use.
        began: When the sync began.
    """

    connection: DuckDBPyConnection
    began: datetime

    def first(self, entry: ResourceType) -> str:
        """Return the number for a first read: full pages, at least one for each parent if each has pages of its own."""
        return self._shared_or(entry, self._windows(entry, report) if (report := entry.replication.report) else self._complete(entry))

    def next_day(self, entry: ResourceType) -> str:
        """Return the number for an update.

        Changed rows need full pages, at least one request that shows that there are none. A collection of few pages is read completely: only that
        shows which records were deleted. The children of parents that are unchanged since yesterday need no request if a type has a ``max_age``.
        """
        return self._shared_or(entry, self._update(entry))

    def _shared_or(self, entry: ResourceType, number: int) -> str:
        return f"0, with {entry.host.entry.name}" if entry.host is not None else f"{number:,}"

    def _update(self, entry: ResourceType) -> int:
        replication = entry.replication
        if replication.report:
            return self._changing_windows(entry, replication.report)
        if isinstance(replication, Incremental | NewestFirst):
            return max(1, self._pages(entry, self._written("rows_inserted + rows_updated", entry)))
        if replication.count_check is not None:
            return self._members(entry)
        if replication.groups is not None:
            final = ", ".join(f"'{value}'" for value in replication.groups.final)
            return max(
                1, self._pages(entry, self._count(f"FROM {entry.name} WHERE _deleted_at IS NULL AND {replication.groups.state} NOT IN ({final})"))
            )
        if isinstance(replication, PerParent) and replication.max_age is not None:
            shown = "rows_inserted + rows_updated" if replication.changed_with is not None else "rows_inserted"
            return self._written(shown, entry.required_parent.entry)
        return self._complete(entry)

    def _written(self, columns: str, entry: ResourceType) -> int:
        """Count the rows that the syncs of a type have written."""
        return self._number_of(f"SELECT sum({columns}) FROM _syncs WHERE resource_type = ? AND started_at >= ?", entry.name, self.began)

    def _complete(self, entry: ResourceType) -> int:
        if entry.parent is None or "{id}" not in entry.endpoint.path:
            return max(1, self._pages(entry, self._count(f"FROM {entry.name} WHERE _deleted_at IS NULL")))
        return self._pages_of_parents(entry, entry.parent, f"FROM {entry.name} WHERE _deleted_at IS NULL GROUP BY {entry.parent.column}")

    def _members(self, entry: ResourceType) -> int:
        """Count what the members of each group need: their pages if these are few, else one request for those who joined and one for the count.

        A larger group that a member has left needs its pages instead. A merge of profiles can put an early join under another id without a change of
        the count, so a group with a merged or deleted profile needs them too.
        """
        parent = entry.required_parent
        sizes = self.connection.execute(
            f"SELECT count(*) FILTER (removed_at IS NULL AND _deleted_at IS NULL), coalesce(bool_or(removed_at >= ? OR _deleted_at >= ?), false) "
            f"FROM {entry.name} JOIN (SELECT id FROM {parent.type_name} WHERE _deleted_at IS NULL) AS parents ON id = {parent.column} GROUP BY id",
            [self.began, self.began],
        ).fetchall()
        empty = self._count(f"FROM {parent.type_name} WHERE _deleted_at IS NULL") - len(sizes)
        return empty + sum(self._of_group(max(1, self._pages(entry, size)), has_left) for size, has_left in sizes)

    @staticmethod
    def _of_group(pages: int, has_left: bool) -> int:
        return pages if has_left else min(pages, _JOINS_AND_COUNT)

    def _pages_of_parents(self, entry: ResourceType, parent: Parent, grouped: str) -> int:
        """Count the pages of each parent; one without children needs a page too."""
        sizes = self._sizes(grouped)
        empty = max(0, self._count(f"FROM {parent.type_name} WHERE _deleted_at IS NULL") - len(sizes))
        return empty + sum(self._pages(entry, size) for size in sizes)

    def _windows(self, entry: ResourceType, report: Report) -> int:
        """Count the requests for all past windows of a report."""
        if report.windows is ReportWindows.OBSERVED:
            return 1
        if report.windows is ReportWindows.YEARS:
            return self._number_of(f"SELECT count(DISTINCT {report.field}) FROM {entry.name}")
        days = self._number_of(f"SELECT date_diff('day', min({report.field}), max({report.field})) + 1 FROM {entry.name}")
        return math.ceil(days / _DAYS_OF_A_REPORT) * self._parts(report)

    def _changing_windows(self, entry: ResourceType, report: Report) -> int:
        """Count the requests for the windows with numbers that still change."""
        return min(_CHANGING_YEARS, self._windows(entry, report)) if report.windows is ReportWindows.YEARS else self._parts(report)

    def _parts(self, report: Report) -> int:
        """Count the requests of one window: segments are requested by their ids."""
        return math.ceil(self._count("FROM segments WHERE _deleted_at IS NULL") / _SEGMENTS_OF_A_REPORT) if report.ids_filter else 1

    def _pages(self, entry: ResourceType, rows: int) -> int:
        return math.ceil(rows / int(entry.page_parameters.get("page[size]", "1000")))

    def _sizes(self, rows: str) -> list[int]:
        return [int(found) for (found,) in self.connection.execute(f"SELECT count(*) {rows}").fetchall()]

    def _count(self, rows: str) -> int:
        return self._number_of(f"SELECT count(*) {rows}")

    def _number_of(self, sql: str, *parameters: object) -> int:
        ((number,),) = self.connection.execute(sql, list(parameters)).fetchall()
        return int(number or 0)

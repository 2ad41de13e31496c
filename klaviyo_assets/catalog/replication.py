"""How a resource type is replicated, as data. The behavior of each kind is a strategy (:mod:`klaviyo_assets.extract.strategies`)."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from klaviyo_assets.catalog.parent_groups import ParentGroups


class Replication:
    """Base of all kinds, with the properties that other steps need.

    A custom kind derives from this class and implements :class:`~klaviyo_assets.extract.strategies.strategy.Strategy` itself.
    """

    @property
    def is_complete_read(self) -> bool:
        """True if each sync reads the complete type; no coverage is stored."""
        return False

    @property
    def reads_children(self) -> bool | None:
        """True if it reads the children of each parent, False if it cannot; None if that is up to its strategy."""
        return None

    @property
    def reads_a_host(self) -> bool:
        """True if it takes its records from the responses of another type."""
        return False

    @property
    def cursor_fields(self) -> tuple[str, ...]:
        """Time columns that syncs use as cursors; field rules must not change them."""
        return ()

    @property
    def order(self) -> str | None:
        """Field by which complete reads are sorted if the endpoint cannot sort by ``id``; None for the endpoint's own order."""
        return None

    @property
    def sorted_by(self) -> tuple[str, ...]:
        """Fields that the endpoint must sort by."""
        return ()

    @property
    def filtered_by(self) -> tuple[str, ...]:
        """Fields that the endpoint must filter by a lower bound."""
        return ()

    @property
    def range_field(self) -> str | None:
        """Immutable time field that mode ``range`` reads by; None if the type has no ranges."""
        return None

    @property
    def start_date_field(self) -> str | None:
        """Time field that the user's start date applies to; None if it does not apply."""
        return None

    @property
    def report(self) -> "Report | None":
        """The report that the rows come from; None if they are records of a collection."""
        return None

    @property
    def count_check(self) -> "CountCheck | None":
        """How deletions are found without reading everything; None if they are found otherwise."""
        return None

    @property
    def parent_change_column(self) -> str | None:
        """Time column of the parent that says when its children may have changed; None if that does not matter."""
        return None

    @property
    def groups(self) -> "ParentGroups | None":
        """How the children of several parents are read by one request; None if each parent is read by itself."""
        return None

    def lookback_ages_of(self, field: str) -> tuple[timedelta, ...]:
        """Return the ages at which windows of a time field are read again, ascending."""
        return ()

    def problems(self) -> Iterator[str]:
        """Yield what is wrong with its own fields, and what to do."""
        yield from ()


@dataclass(frozen=True)
class FullTable(Replication):
    """Read every subset at each sync; look up missing ids, then mark these rows as deleted.

    Attributes:
        order: Field to sort by, if the endpoint cannot sort by ``id``; each subset is then read in both orders, because cursors may not hold the id.
            It must not change: a record that moves during a read could be missed. None for the endpoint's own order.
    """

    order: str | None = None

    @property
    def is_complete_read(self) -> bool:
        """True."""
        return True

    @property
    def reads_children(self) -> bool:
        """False."""
        return False

    @property
    def sorted_by(self) -> tuple[str, ...]:
        """The given order."""
        return (self.order,) if self.order else ()


@dataclass(frozen=True)
class Incremental(Replication):
    """Read the unread windows of a time field, in concurrent slices.

    Attributes:
        field: The time field used as the cursor.
        lookback_ages: Ages at which a window is read again for late records, ascending.
        backfill_field: Immutable field by which the first sync reads the history; None if ``field`` itself is immutable.
        future_dated: True if records can be dated in the future; each sync reads them, and coverage never includes them.
        honors_start_date: True if the user's start date limits the history.
        secondary_cursors: Times in a JSON column, for changes that may not update ``field``;
            the endpoint filters and sorts by them.
    """

    field: str
    lookback_ages: tuple[timedelta, ...]
    backfill_field: str | None = None
    future_dated: bool = False
    honors_start_date: bool = False
    secondary_cursors: tuple[str, ...] = ()

    @property
    def reads_children(self) -> bool:
        """False."""
        return False

    @property
    def sorted_by(self) -> tuple[str, ...]:
        """The cursor fields and the secondary cursors."""
        return (*self.cursor_fields, *self.secondary_cursors)

    @property
    def filtered_by(self) -> tuple[str, ...]:
        """The same fields as ``sorted_by``."""
        return self.sorted_by

    @property
    def cursor_fields(self) -> tuple[str, ...]:
        """The field and the backfill field."""
        return (self.field, self.backfill_field) if self.backfill_field else (self.field,)

    @property
    def range_field(self) -> str | None:
        """The immutable field."""
        return self.backfill_field or self.field

    @property
    def start_date_field(self) -> str | None:
        """The field, if the start date limits the history."""
        return self.field if self.honors_start_date else None

    def lookback_ages_of(self, field: str) -> tuple[timedelta, ...]:
        """Return the ages of the cursor field; a backfill field has none."""
        return self.lookback_ages if field == self.field else ()

    def problems(self) -> Iterator[str]:
        """Yield what is wrong with the lookback ages."""
        if list(self.lookback_ages) != sorted(self.lookback_ages):
            yield "lookback_ages of Incremental are not ascending. Sort them."
        if not self.lookback_ages and (self.backfill_field or self.secondary_cursors):
            yield "lookback_ages of Incremental are empty. Give at least one, such as (timedelta(hours=1),)."


@dataclass(frozen=True)
class NewestFirst(Replication):
    """Read the history by ``backfill_field`` once, then newest ``field`` first until past the last complete read.

    For an endpoint that sorts by a field but does not filter by it.

    Attributes:
        field: The time field to sort by, descending.
        backfill_field: The time field for the first read.
        margin: How far past the last complete read each sync reads.
    """

    field: str
    backfill_field: str
    margin: timedelta

    @property
    def reads_children(self) -> bool:
        """False."""
        return False

    @property
    def sorted_by(self) -> tuple[str, ...]:
        """The cursor fields."""
        return self.cursor_fields

    @property
    def cursor_fields(self) -> tuple[str, ...]:
        """Both fields."""
        return (self.field, self.backfill_field)

    @property
    def range_field(self) -> str | None:
        """The immutable field."""
        return self.backfill_field


@dataclass(frozen=True)
class Included(Replication):
    """Take the records from the responses of another type, which includes them. The resource type has a ``host``.

    A read is complete because the host's read is complete. Rows that it did not return are looked up with their hosts, then marked as deleted.
    """

    @property
    def is_complete_read(self) -> bool:
        """True."""
        return True

    @property
    def reads_children(self) -> bool:
        """False."""
        return False

    @property
    def reads_a_host(self) -> bool:
        """True."""
        return True


@dataclass(frozen=True)
class CountCheck:
    """Verifies with a count that the stored children of a parent match Klaviyo's.

    Once every child that joined its parent before some moment is stored, the stored children include all that the parent had at that moment. Then an
    equal count proves that none has left. Only if the counts differ, the children of that parent must be read again.

    The parent's module says two things about the count: the path ``("attributes", attribute)`` is ``unmapped``, since most responses lack it, and a
    ``ReducedLimit`` of its endpoint has the lower limit of requests for it, if Klaviyo has one.

    Attributes:
        attribute: Field of the parent with the number of its children: ``profile_count``. It is requested by the parent's id, as an additional field.
        removed_column: Column of ``removal(…)``, which is set when a child is found to have left a parent that still exists.
        records: Name of the type of the children's own records: ``profiles`` for the members of a list. A child whose record is marked as deleted
            there has left every parent.
        paused_while: Boolean column of the parent: while it is true, the count is about to change, so nothing is verified.
        active_while: Boolean column of the parent: while it is false, Klaviyo does not change the children, so they are rarely counted.
    """

    attribute: str
    removed_column: str
    records: str | None = None
    paused_while: str | None = None
    active_while: str | None = None


@dataclass(frozen=True)
class PerParent(Replication):
    """Read the children of each parent. The resource type has a ``parent``.

    Without a ``field``, the children of a parent are read completely, by one cursor chain. With one, the first sync reads them in time windows, and
    later ones only read new windows; ``count_check`` says how removed children are found then.

    Attributes:
        field: Time field by which the endpoint sorts and filters the children, such as the time when they joined the parent; None if there is none.
        lookback: How far before the last read each sync reads again, for children that become visible late.
        count_check: How removed children are found; required with a ``field``.
        changed_with: Time column of the parent: its children are read again only if it has changed since they were read, or after ``max_age``.
        max_age: Age after which the children of a parent are read again in any case; None to read them at each sync.
        grouped: How the children of several parents are read by one request; None to read each parent by itself.

    Example:
        >>> PerParent("joined_group_at", count_check=CountCheck("profile_count", "removed_at"))
    """

    field: str | None = None
    lookback: timedelta = timedelta(hours=24)
    count_check: CountCheck | None = None
    changed_with: str | None = None
    max_age: timedelta | None = None
    grouped: ParentGroups | None = None

    @property
    def groups(self) -> ParentGroups | None:
        """The same as ``grouped``."""
        return self.grouped

    @property
    def reads_children(self) -> bool:
        """True."""
        return True

    @property
    def parent_change_column(self) -> str | None:
        """The same as ``changed_with``."""
        return self.changed_with

    @property
    def cursor_fields(self) -> tuple[str, ...]:
        """The field, if there is one."""
        return (self.field,) if self.field is not None else ()

    @property
    def sorted_by(self) -> tuple[str, ...]:
        """The cursor fields."""
        return self.cursor_fields

    @property
    def filtered_by(self) -> tuple[str, ...]:
        """The cursor fields."""
        return self.cursor_fields

    def lookback_ages_of(self, field: str) -> tuple[timedelta, ...]:
        """Return the lookback of the field."""
        return (self.lookback,) if field == self.field else ()

    def problems(self) -> Iterator[str]:
        """Yield what is missing for reads by windows."""
        if (self.field is None) != (self.count_check is None):
            yield "PerParent has a field without a count_check, or the other way round. Give both, such as count_check=CountCheck(…), or none."
        if self.changed_with is not None and self.max_age is None:
            yield "changed_with of PerParent needs max_age, since a child may change without its parent. Give one, such as timedelta(days=7)."
        if self.field is not None and self.max_age is not None:
            yield "max_age of PerParent is for complete reads, not for those with a field. Leave it out."
        if self.grouped is not None and (self.field is not None or self.changed_with is not None or self.max_age is not None):
            yield "grouped of PerParent takes neither a field, nor changed_with, nor max_age. Leave them out."


class ReportWindows(StrEnum):
    """The fixed windows that a report is read in. Their days are days of the account's time zone, as on Klaviyo's own screens."""

    YEARS = "years"
    """Calendar years of send dates: one row per grouping and year."""
    DAYS = "days"
    """At most 60 days per request, the longest daily series (OpenAPI ``interval``): one row per grouping and day."""
    OBSERVED = "observed"
    """The sends of the last 30 days, once a day: one row per grouping and day on which it was read."""


_NEVER_FINAL = timedelta(days=36_500)
"""A lookback age that no window ever reaches, so coverage keeps the time of each read, which decides when to read the window again."""


@dataclass(frozen=True)
class Report(Replication):
    """Ask for a report (POST) in fixed windows; read windows again while their numbers change.

    The columns define the request: those under ``attributes.statistics`` are its statistics, those under ``attributes.groupings`` its ``group_by``.

    Attributes:
        windows: The fixed windows.
        field: Column with the first day of the row's window, its day, or the day on which it was read.
        has_group_by: True if the request names its groupings; False if the report has only one.
        by_conversion_metric: True if the request needs a conversion metric; the report is then read for each of the selected metrics.
        ids_filter: Field of the filter ``any(…)`` in which the request names the ids of ``ResourceType.named_in_filter``, in groups; empty if the
            report covers all.
        not_before: The report has no data before this date; None if unknown.
        final_after: Age at which a day no longer changes and is not read again; None if every window is read again monthly.
    """

    windows: ReportWindows
    field: str
    has_group_by: bool = True
    by_conversion_metric: bool = False
    ids_filter: str = ""
    not_before: date | None = None
    final_after: timedelta | None = None

    @property
    def reads_children(self) -> bool:
        """False."""
        return False

    @property
    def report(self) -> "Report":
        """Itself."""
        return self

    def lookback_ages_of(self, field: str) -> tuple[timedelta, ...]:
        """Return the age at which a day is settled."""
        return (self.final_after if self.final_after is not None else _NEVER_FINAL,)

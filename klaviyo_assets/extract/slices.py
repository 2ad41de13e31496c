"""Slices: the parts of a resource type, each read by one cursor chain. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from dataclasses import field as dataclass_field
from datetime import date, datetime
from typing import Self

from klaviyo_assets.catalog.resource_type import Subset
from klaviyo_assets.extract.chain_position import Position
from klaviyo_assets.state.child_parts import ChildPart
from klaviyo_assets.state.coverage import BEGINNING, CoverageRow

WindowKey = tuple[str, str, str]
"""Subset, field and parent of a row of the coverage; the parent is empty if there is none."""


class SliceBase:
    """Defaults of the properties that only some kinds of slice have."""

    @property
    def bounds(self) -> tuple[datetime | None, datetime | None]:
        """Start and end of the times of its records; None for no bound."""
        return None, None

    @property
    def continues_at(self) -> Position | None:
        """Where it continues the chain of an interrupted sync; None if it starts a chain."""
        return None

    @property
    def measured_column(self) -> str | None:
        """Time column whose range is measured while it is read, to divide it where its records are; None if it is not divided."""
        return None

    @property
    def complete_from(self) -> datetime | None:
        """The time from which on all has been read while only it is left; None if that is not known."""
        return None

    @property
    def whole_parts(self) -> tuple[tuple[str, ChildPart], ...]:
        """The parents and parts that it reads from the beginning, if it reads the children of several parents."""
        return ()

    @property
    def continued(self) -> Iterator[tuple[str, datetime]]:
        """The parents of a chain that an earlier sync began, and when."""
        yield from ()

    def from_the_beginning(self) -> Self:
        """Return the slice that reads all, with no position to continue at."""
        return self

    def by_parent(self) -> "Sequence[ParentGroupSlice]":
        """Return a slice for each parent, if it reads the children of several; else nothing."""
        return ()

    @property
    def window_key(self) -> WindowKey | None:
        """What identifies the coverage of its window; None if it does not read a window."""
        return None

    def overlaps(self, row: CoverageRow) -> bool:
        """Return whether its window and a row of the coverage with its :attr:`window_key` have a part in common."""
        return False


@dataclass(frozen=True)
class SubsetSlice(SliceBase):
    """A subset that is read completely by one cursor chain.

    Attributes:
        subset: The subset.
        descending: True to read it in the opposite order.
    """

    subset: Subset
    descending: bool = False

    @property
    def name(self) -> str:
        """Name for logs: that of the subset, and the order."""
        return f"{self.subset.name}, last first" if self.descending else self.subset.name

    @property
    def parent_id(self) -> None:
        """None: its records have no parent."""

    @property
    def whole_parent(self) -> None:
        """None: its records have no parent."""


@dataclass(frozen=True)
class ParentSlice(SliceBase):
    """The children of one parent, read completely by one cursor chain.

    Attributes:
        subset: The subset.
        parent_id: Id of the parent.
        field: Column with the parent's id; coverage is recorded for it.
        covers_to: The parent's children up to this time are covered once the slice is read.
    """

    subset: Subset
    parent_id: str
    field: str
    covers_to: datetime

    @property
    def name(self) -> str:
        """Name for logs, such as ``list_id Y6nRLr``."""
        prefix = "" if self.subset.name == Subset().name else f"{self.subset.name} "
        return f"{prefix}{self.field} {self.parent_id}"

    @property
    def whole_parent(self) -> str:
        """The parent: all of its children are read."""
        return self.parent_id


@dataclass(frozen=True)
class ParentGroupSlice(SliceBase):
    """A part of the children of some parents, read by one cursor chain.

    Attributes:
        subset: The subset.
        parents: Ids of the parents, at least one.
        field: Column with the parent's id; coverage is recorded for it.
        covers_to: The part is covered up to this time once the slice is read.
        cut_by: Time column by which it is divided if it is long.
        part: Which of their children it reads.
        position: Where it continues the chain of an interrupted sync; None if it reads its part from the beginning.
        since: When that sync started; None if it reads its part from the beginning.
    """

    subset: Subset
    parents: tuple[str, ...]
    field: str
    covers_to: datetime
    cut_by: str
    part: ChildPart
    position: Position | None = None
    since: datetime | None = None

    @property
    def name(self) -> str:
        """Name for logs, such as ``coupon_id 10OFF and 3 more: UNASSIGNED from … to …``."""
        more = f" and {len(self.parents) - 1} more" if len(self.parents) > 1 else ""
        pages = f", after {self.position.pages} pages" if self.position is not None else ""
        return f"{self.field} {self.parents[0]}{more}: {self.part.name}{pages}"

    def from_the_beginning(self) -> Self:
        """Return the slice that reads the whole part."""
        return replace(self, position=None, since=None)

    @property
    def continues_at(self) -> Position | None:
        """The same as ``position``."""
        return self.position

    @property
    def measured_column(self) -> str:
        """The same as ``cut_by``."""
        return self.cut_by

    @property
    def whole_parts(self) -> tuple[tuple[str, ChildPart], ...]:
        """Its parents and its part, unless it continues a chain."""
        return tuple((id_, self.part) for id_ in self.parents) if self.position is None else ()

    @property
    def continued(self) -> Iterator[tuple[str, datetime]]:
        """Its parents, if it continues a chain."""
        if self.since is not None:
            yield from ((id_, self.since) for id_ in self.parents)

    def by_parent(self) -> "Sequence[ParentGroupSlice]":
        """Return a slice for each of its parents, if there are several."""
        whole = self.from_the_beginning()
        return [replace(whole, parents=(id_,)) for id_ in self.parents] if len(self.parents) > 1 else ()

    @property
    def parent_id(self) -> str | None:
        """The parent, if it reads the children of only one."""
        return self.parents[0] if len(self.parents) == 1 else None

    @property
    def whole_parent(self) -> None:
        """None: it may read only a part of the children."""


@dataclass(frozen=True)
class Slice(SliceBase):
    """A time window of a resource type that is read by one cursor chain.

    Attributes:
        subset: The subset that it reads.
        field: Time field by which it is sorted and bounded.
        start: Earlier records are dropped; ``BEGINNING`` for no bound.
        end: Records from here on are dropped; None for no bound.
        covers_to: ``[start, covers_to)`` is covered once it is read. The newest slice has no end: it also reads later records, including those dated
            in the future, which are stored but never covered.
        descending: True if it is read newest first.
        field_is_nested: True if the field is inside a JSON column, so records cannot be dropped by it.
        parent_id: Id of the parent whose children it reads; None for a type without parents.
    """

    subset: Subset
    field: str
    start: datetime
    end: datetime | None
    covers_to: datetime
    descending: bool = False
    field_is_nested: bool = False
    parent_id: str | None = None

    @property
    def name(self) -> str:
        """Name for logs, such as ``datetime from 2026-01-01 00:00:00 to …``."""
        start, end = (bound.replace(tzinfo=None).isoformat(" ", "seconds") if bound else "…" for bound in self.bounds)
        prefix = "" if self.subset.name == Subset().name else f"{self.subset.name} "
        parent = "" if self.parent_id is None else f"{self.parent_id}: "
        return f"{parent}{prefix}{self.field} from {start} to {end}"

    @property
    def whole_parent(self) -> str | None:
        """Id of the parent of which it reads all children; None if it reads a part of them, or the type has no parents."""
        return self.parent_id if self.start == BEGINNING and self.end is None else None

    @property
    def bounds(self) -> tuple[datetime | None, datetime | None]:
        """Start and end; the newest slice has no end, since it also contains all records that are dated later than it covers."""
        return self.start if self.start != BEGINNING else None, self.end

    @property
    def complete_from(self) -> datetime | None:
        """Where the covered window ends; None for the newest slice, which has no end."""
        return self.covers_to if self.end is not None else None

    @property
    def window_key(self) -> WindowKey:
        """What identifies the coverage of its window."""
        return self.subset.name, self.field, self.parent_id or ""

    def overlaps(self, row: CoverageRow) -> bool:
        """Return whether its window and a row of the coverage with its :attr:`window_key` have a part in common."""
        return self.start < row.end and row.start < self.covers_to

    def cut_at(self, border: datetime) -> tuple["Slice", "Slice"]:
        """Return the slices before a border and from it on; together they read and cover exactly what this one does."""
        below = replace(self, end=border, covers_to=min(border, self.covers_to))
        return below, replace(self, start=border)


@dataclass(frozen=True)
class ReportSlice(SliceBase):
    """A window of a report, read by one request (and its further pages, if there are any).

    Attributes:
        subset: The subset: its values are those that the request fixes, such as the conversion metric.
        field: Column with the window's first day, or its days; coverage is recorded for it.
        start: When the window begins.
        covers_to: The window is covered up to here once the slice is read.
        first: First day of the window, in the account's time zone.
        last: Last day of the window.
        body: Attributes of the request.
        window_values: Values of the columns under ``window`` that all rows have; empty if each row has its own day.
        ids: Ids that the request's filter names; empty if it has no such filter.
        ids_column: Column with these ids.
    """

    subset: Subset
    field: str
    start: datetime
    covers_to: datetime
    first: date
    last: date
    body: Mapping[str, object] = dataclass_field(hash=False, default_factory=dict)
    window_values: Mapping[str, str] = dataclass_field(hash=False, default_factory=dict)
    ids: tuple[str, ...] = ()
    ids_column: str = ""

    @property
    def name(self) -> str:
        """Name for logs, such as ``2026-01-01 to 2026-12-31, 100 ids``."""
        prefix = "" if self.subset.name == Subset().name else f"{self.subset.name} "
        return f"{prefix}{self.first} to {self.last}{f', {len(self.ids)} ids' if self.ids else ''}"

    @property
    def window_key(self) -> WindowKey:
        """What identifies the coverage of its window."""
        return self.subset.name, self.field, ""

    def overlaps(self, row: CoverageRow) -> bool:
        """Return whether its window and a row of the coverage with its :attr:`window_key` have a part in common."""
        return self.start < row.end and row.start < self.covers_to

    @property
    def parent_id(self) -> None:
        """None: its rows have no parent."""

    @property
    def whole_parent(self) -> None:
        """None: its rows have no parent."""


AnySlice = Slice | SubsetSlice | ParentSlice | ParentGroupSlice | ReportSlice

_MAX_NAMES = 20
"""Maximum number of slices to name in a list for users; a child type has one per parent, possibly thousands."""


def shorten_names(names: Sequence[str]) -> list[str]:
    """Shorten a list of slice names for users: the first names, then how many more there are.

    Example:
        >>> shorten_names(["list_id Y6nRLr", "list_id Xa2bCd"])
        ['list_id Y6nRLr', 'list_id Xa2bCd']
    """
    more = len(names) - _MAX_NAMES
    return [*names[:_MAX_NAMES], *([f"and {more:,} more"] if more > 0 else [])]

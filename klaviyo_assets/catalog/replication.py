"""How a resource type is replicated. Data; the behaviour of each kind is a strategy (:mod:`klaviyo_assets.extract.strategies`)."""

from dataclasses import dataclass
from datetime import timedelta


class Replication:
    """Base of all kinds: what other steps need to know of one.

    A kind from outside of the package derives from this class and implements :class:`~klaviyo_assets.extract.strategies.base.Strategy` itself.
    """

    @property
    def is_complete_read(self) -> bool:
        """True if each sync reads the complete type, so that no coverage is kept."""
        return False

    @property
    def cursor_fields(self) -> tuple[str, ...]:
        """Time columns that syncs go by; field rules must leave them alone."""
        return ()

    @property
    def range_field(self) -> str | None:
        """Time field that mode ``range`` reads by, one that does not move; None if the type has no ranges."""
        return None

    @property
    def start_date_field(self) -> str | None:
        """Time field that the user's start date applies to; None if it does not apply."""
        return None

    def lookback_ages_of(self, field: str) -> tuple[timedelta, ...]:
        """Return the ages at which windows of a time field are read once more, ascending."""
        return ()


@dataclass(frozen=True)
class FullTable(Replication):
    """Read every subset at each sync; ids that are gone are looked up, then marked deleted."""

    @property
    def is_complete_read(self) -> bool:
        """True."""
        return True


@dataclass(frozen=True)
class Incremental(Replication):
    """Read the windows of a time field that have not been read yet, in slices that are read concurrently.

    Attributes:
        field: The time field to follow.
        lookback_ages: Ages at which a window is read once more, ascending, for what arrives late.
        backfill_field: A field that does not move, by which the first sync reads the history; None if ``field`` itself does not move.
        future_dated: True if records may be dated in the future; they are read at each sync and never covered.
        honours_start_date: True if the user's start date cuts the history.
        secondary_cursors: Times inside of a JSON column, by which changes are found that need not move ``field``;
            the endpoint filters and sorts by them.
    """

    field: str
    lookback_ages: tuple[timedelta, ...]
    backfill_field: str | None = None
    future_dated: bool = False
    honours_start_date: bool = False
    secondary_cursors: tuple[str, ...] = ()

    @property
    def cursor_fields(self) -> tuple[str, ...]:
        """The field, and the one of the backfill."""
        return (self.field, self.backfill_field) if self.backfill_field else (self.field,)

    @property
    def range_field(self) -> str | None:
        """The field that does not move."""
        return self.backfill_field or self.field

    @property
    def start_date_field(self) -> str | None:
        """The field, where the start date cuts the history."""
        return self.field if self.honours_start_date else None

    def lookback_ages_of(self, field: str) -> tuple[timedelta, ...]:
        """Return the ages of the followed field; a backfill field has none."""
        return self.lookback_ages if field == self.field else ()


@dataclass(frozen=True)
class NewestFirst(Replication):
    """Read the history by ``backfill_field`` once, then newest ``field`` first, down to below the last complete read.

    For an endpoint that sorts by a field but does not filter by it.

    Attributes:
        field: The time field to walk along, descending.
        backfill_field: The time field for the first read.
        margin: How far below the last complete read each sync goes.
    """

    field: str
    backfill_field: str
    margin: timedelta

    @property
    def cursor_fields(self) -> tuple[str, ...]:
        """Both fields."""
        return (self.field, self.backfill_field)

    @property
    def range_field(self) -> str | None:
        """The field that does not move."""
        return self.backfill_field


@dataclass(frozen=True)
class PerParent(Replication):
    """Read the children of each parent completely, one cursor chain per parent. The resource type has a ``parent``."""

"""How a resource type is replicated: read whole at each sync, by time windows, or newest first."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class FullTable:
    """Read every division at each sync; ids that are gone are looked up, then marked deleted."""


@dataclass(frozen=True)
class Incremental:
    """Read the windows of a time field that have not been read yet, in slices side by side.

    Attributes:
        field: The time field to follow.
        lookback_ages: Ages at which a span is read once more, ascending, for what arrives late.
        backfill_field: A field that does not move, by which the first read sweeps the history; None if ``field`` itself does not move.
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


@dataclass(frozen=True)
class NewestFirst:
    """Sweep the history by ``backfill_field`` once, then walk newest ``field`` first, down to below the last complete read.

    For an endpoint that sorts by a field but does not filter by it.

    Attributes:
        field: The time field to walk along, descending.
        backfill_field: The time field for the first read.
        margin: How far below the last complete read the walk goes.
    """

    field: str
    backfill_field: str
    margin: timedelta


@dataclass(frozen=True)
class PerParent:
    """Read the children of each parent completely, one cursor chain per parent. The resource type has a ``parent``."""


Replication = FullTable | Incremental | NewestFirst

"""What may happen in the life of an account: plain data, so that a life can be generated, shrunk, printed and lived again."""

from collections.abc import Mapping
from dataclasses import dataclass, field

MINUTE, HOUR, DAY = 60, 3_600, 86_400
YEAR = 365 * DAY


@dataclass(frozen=True)
class Wait:
    """Time passes.

    Attributes:
        seconds: How much.
    """

    seconds: int


@dataclass(frozen=True)
class Event:
    """Events of one second arrive.

    Attributes:
        ago: Seconds that have passed since they took place; less than zero for events that are dated ahead.
        count: How many.
    """

    ago: int = 0
    count: int = 1


@dataclass(frozen=True)
class Add:
    """New records, all of one second.

    Attributes:
        count: How many.
    """

    count: int = 1


@dataclass(frozen=True)
class Change:
    """Records change, all in one second.

    Attributes:
        which: Number of the first record.
        moves: Whether the time of its last change moves, where it has one.
        count: How many, from that one on.
    """

    which: int
    moves: bool = True
    count: int = 1


@dataclass(frozen=True)
class Attribution:
    """The attribution of an event arrives, which Klaviyo promises within three hours.

    Attributes:
        which: Number of the event, among those that are not older than that.
    """

    which: int


@dataclass(frozen=True)
class Suppress:
    """A profile's consent to e-mail changes without a trace in its ``updated``.

    Attributes:
        which: Number of the profile.
        from_list: True if it unsubscribes from a list, False if it is suppressed altogether.
        lifted: True if that is taken back, of which Klaviyo leaves no time.
    """

    which: int
    from_list: bool = False
    lifted: bool = False


@dataclass(frozen=True)
class Archive:
    """A campaign or flow is archived."""

    which: int


@dataclass(frozen=True)
class Delete:
    """A record is deleted."""

    which: int


@dataclass(frozen=True)
class Merge:
    """A profile is merged into another one."""

    source: int
    destination: int


@dataclass(frozen=True)
class Break:
    """What stops a sync.

    Attributes:
        kind: ``refuse``: no answer any more from a request on; ``kill``: the process dies as it opens the database once more.
        after: Requests, or openings, that still succeed.
    """

    kind: str
    after: int


Happening = Wait | Event | Add | Change | Attribution | Suppress | Archive | Delete | Merge


@dataclass(frozen=True)
class Sync:
    """A sync.

    Attributes:
        mode: ``incremental``, ``full``, ``range`` or ``repair``.
        since: For ``range``: its start, in seconds before now.
        until: For ``range``: its end, in seconds before now.
        edges: For ``range``: numbers of records whose own times are its start and its end instead, to the microsecond; None for neither.
        page_size: Records of a page.
        workers: Requests under way at once.
        rows_per_file: Rows of a staged file.
        rows_per_load: Rows of a load.
        tick: Seconds that pass with each request.
        broken: What stops it.
        meanwhile: What happens while it reads, each before the request of a number.
    """

    mode: str = "incremental"
    since: float = 0
    until: float = 0
    edges: tuple[int | None, int | None] = (None, None)
    page_size: int = 3
    workers: int = 1
    rows_per_file: int = 20_000
    rows_per_load: int = 500_000
    tick: int = 0
    broken: Break | None = None
    meanwhile: tuple[tuple[int, Happening], ...] = ()


Step = Happening | Sync


@dataclass(frozen=True)
class Life:
    """A life.

    Attributes:
        name: The resource type that is followed.
        steps: What happens, one after the other.
        records: Records that are there at its beginning.
        history_days: Days before, over which they are spread.
        seed: Of the sandbox's account.
        repaired: True if it ends with an audit and a repair, which events have, rather than with a read of everything.
        switches: What Klaviyo leaves undocumented, in the position that is not the sandbox's usual one.
    """

    name: str
    steps: tuple[Step, ...]
    records: int = 0
    history_days: int = 2
    seed: int = 0
    repaired: bool = False
    switches: frozenset[str] = field(default_factory=frozenset)


SWITCHES = {
    "archived_by_default": True,
    "all_reviews_by_default": True,
    "strict_includes_bound": True,
    "ignore_profiles_upper_bound": True,
    "archiving_moves_updated": False,
    "attributions_without_include": True,
    "events_move_updated": True,
}
"""The sandbox's switches, in the position that is not its usual one."""

SWITCHES_OF: Mapping[str, tuple[str, ...]] = {
    "events": ("attributions_without_include", "strict_includes_bound"),
    "profiles": ("events_move_updated", "ignore_profiles_upper_bound", "strict_includes_bound"),
    "reviews": ("all_reviews_by_default", "strict_includes_bound"),
    "campaigns": ("archived_by_default", "archiving_moves_updated"),
    "flows": ("archived_by_default", "archiving_moves_updated"),
}
"""The switches that a type can meet."""

"""Actions, syncs and scenarios as plain data that can be generated, shrunk, printed and run again."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.catalog.resource_type import ResourceType

MINUTE, HOUR, DAY = 60, 3_600, 86_400
YEAR = 365 * DAY


@dataclass(frozen=True)
class Wait:
    """Time passes.

    Attributes:
        seconds: How long.
    """

    seconds: int


@dataclass(frozen=True)
class Event:
    """Events arrive, all with the same timestamp.

    Attributes:
        ago: Age of the events in seconds; negative for events dated in the future.
        count: Number of records.
    """

    ago: int = 0
    count: int = 1


@dataclass(frozen=True)
class Add:
    """New records, all created in the same second.

    Attributes:
        count: Number of records.
    """

    count: int = 1


@dataclass(frozen=True)
class Change:
    """Records change, all in the same second.

    Attributes:
        which: Index of the first record.
        moves: Whether their ``updated`` moves, if they have one.
        count: How many, from that one on.
    """

    which: int
    moves: bool = True
    count: int = 1


@dataclass(frozen=True)
class Attribution:
    """The attribution of an event arrives; Klaviyo promises it within three hours.

    Attributes:
        which: Index of the event, among those younger than that.
    """

    which: int


@dataclass(frozen=True)
class Suppress:
    """A profile's email consent changes without moving its ``updated``.

    Attributes:
        which: Index of the profile.
        from_list: True if it unsubscribes from a list, False if it is suppressed globally.
        lifted: True to remove the suppression; Klaviyo records no timestamp of that.
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
    """A profile is merged into another."""

    source: int
    destination: int


@dataclass(frozen=True)
class Join:
    """Records join a parent, such as profiles that join a list.

    Attributes:
        parent: Index of the parent.
        count: Number of records.
    """

    parent: int
    count: int = 1


@dataclass(frozen=True)
class OfProfile:
    """An action on the profiles that are children of the parents: a deleted profile leaves every list.

    Attributes:
        action: What happens to the profiles.
    """

    action: Add | Delete


@dataclass(frozen=True)
class OfNamed:
    """An action on the records that those of the type under test belong to: a deleted tag group takes its tags along.

    Attributes:
        action: What happens to them.
    """

    action: Add | Delete


@dataclass(frozen=True)
class OfParent:
    """An action on the parents of the type under test, such as on lists for list members.

    Attributes:
        action: What happens to the parents.
    """

    action: Add | Change | Delete


@dataclass(frozen=True)
class OfHost:
    """An action on the types with the responses that fill the table under test, such as on campaigns for their messages.

    Attributes:
        action: What happens to them.
    """

    action: Add | Change | Archive | Delete


@dataclass(frozen=True)
class Rename:
    """A message of a campaign gets another name, which reports of the campaign show.

    Attributes:
        which: Index of the message.
    """

    which: int


@dataclass(frozen=True)
class Reorder:
    """The actions of a flow change their order.

    Attributes:
        which: Index of the flow.
    """

    which: int


@dataclass(frozen=True)
class Tag:
    """The tags of a record change; nothing else of it does.

    Attributes:
        which: Index of the record.
        count: Number of tags that it has then.
    """

    which: int
    count: int


@dataclass(frozen=True)
class Interruption:
    """Interrupts a sync.

    Attributes:
        kind: ``refuse``: the connection fails from some request on; ``kill``: the process dies when it next opens the database.
        after: Number of requests or database connections that still succeed.
    """

    kind: str
    after: int


Action = (
    Wait
    | Event
    | Add
    | Change
    | Attribution
    | Suppress
    | Archive
    | Delete
    | Merge
    | Join
    | OfProfile
    | OfNamed
    | OfParent
    | OfHost
    | Rename
    | Reorder
    | Tag
)


@dataclass(frozen=True)
class MetricChoice:
    """Which metrics' events a sync reads.

    Attributes:
        which: Indexes of the chosen metrics.
        excluded: True to read the events of all metrics but these, False to read only those of these.
    """

    which: tuple[int, ...]
    excluded: bool

    def ids(self, metrics: Collection[str]) -> tuple[str, ...]:
        """Return the chosen ones of the account's metrics, given by id."""
        ordered = sorted(metrics)
        return tuple(sorted({ordered[number % len(ordered)] for number in self.which}))

    def selects(self, metrics: Collection[str], metric: str | None) -> bool:
        """Return whether events of a metric are read; an event without one belongs to none."""
        return (metric in self.ids(metrics)) != self.excluded


@dataclass(frozen=True)
class Sync:
    """A sync.

    Attributes:
        mode: ``incremental``, ``full``, ``range`` or ``repair``.
        since: For ``range``: its start, in seconds before now.
        until: For ``range``: its end, in seconds before now.
        edges: For ``range``: indexes of the records that give the exact start and end timestamps instead; None to keep ``since`` or ``until``.
        page_size: Records per page.
        workers: Concurrent requests.
        rows_per_file: Rows per staged file.
        rows_per_load: Rows per load.
        tick: Seconds that pass during each request.
        interruption: What interrupts it.
        meanwhile: Actions during the sync, each with the number of the request that it precedes.
        of_parents: True to sync the parent type instead of the type under test.
        few: Children of a parent up to which they are read completely instead of counted.
        metrics: The metrics whose events it reads; None for all.
        with_host: True to sync the host too, with the type taking its records from the host's responses.
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
    interruption: Interruption | None = None
    meanwhile: tuple[tuple[int, Action], ...] = ()
    of_parents: bool = False
    few: int = 2_000
    metrics: MetricChoice | None = None
    with_host: bool = False


Step = Action | Sync


@dataclass(frozen=True)
class Scenario:
    """The history of an account, with syncs.

    Attributes:
        name: The resource type under test.
        steps: Actions and syncs, in order.
        records: Number of records at the start; of a child type, the maximum per parent.
        history_days: Days before the start over which those records are spread.
        seed: Seed of the sandbox's account.
        with_repair: True if it ends with an audit and a repair (events only) instead of a full sync.
        metrics: Number of metrics, for events.
        switches: Undocumented Klaviyo behaviors to set to the sandbox's non-default position.
    """

    name: str
    steps: tuple[Step, ...]
    records: int = 0
    history_days: int = 2
    seed: int = 0
    with_repair: bool = False
    metrics: int = 2
    switches: frozenset[str] = field(default_factory=frozenset)


SWITCHES = {
    "truncated_includes": True,
    "archived_by_default": True,
    "all_reviews_by_default": True,
    "strict_includes_bound": True,
    "ignore_profiles_upper_bound": True,
    "archiving_moves_updated": False,
    "attributions_without_include": True,
    "max_included": 1,
    "events_move_updated": True,
}
"""The sandbox's switches in their non-default positions."""

SWITCHES_OF: Mapping[str, tuple[str, ...]] = {
    "events": ("attributions_without_include", "max_included", "strict_includes_bound"),
    "profiles": ("events_move_updated", "ignore_profiles_upper_bound", "strict_includes_bound"),
    "reviews": ("all_reviews_by_default", "strict_includes_bound"),
    "campaigns": ("archived_by_default", "archiving_moves_updated"),
    "flows": ("archived_by_default", "archiving_moves_updated"),
    "campaign_messages": ("truncated_includes", "archived_by_default"),
    "flow_actions": ("truncated_includes", "archived_by_default"),
    "flow_messages": ("truncated_includes", "archived_by_default"),
}
"""The switches that affect each type."""


def shared_type(entry: ResourceType) -> ResourceType | None:
    """Return the type whose records the children are: profiles for the members of a list, items for those of a category; None without one."""
    if entry.parent is None:
        return None
    return next((one for one in CATALOG.values() if one.parent is None and one.jsonapi_type == entry.jsonapi_type), None)

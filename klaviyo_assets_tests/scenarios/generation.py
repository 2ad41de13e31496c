"""Hypothesis strategies for scenarios. A scenario is a list of steps: hypothesis shrinks a failing one to the few steps that matter."""

from dataclasses import replace

from hypothesis import strategies as st

from klaviyo_assets.catalog import CATALOG
from klaviyo_assets_tests.accounts import COLLECTIONS
from klaviyo_assets_tests.scenarios.actions import named_by
from klaviyo_assets_tests.scenarios.scenario import (
    DAY,
    HOUR,
    MINUTE,
    SWITCHES_OF,
    YEAR,
    Action,
    Add,
    Archive,
    Attribution,
    Change,
    Delete,
    Event,
    Interruption,
    Join,
    Merge,
    MetricChoice,
    OfHost,
    OfNamed,
    OfParent,
    OfProfile,
    Rename,
    Reorder,
    Scenario,
    Step,
    Suppress,
    Sync,
    Tag,
    Wait,
)

FULL_TABLE = tuple(name for name, entry in CATALOG.items() if entry.replication.is_complete_read)
REPORTS = tuple(name for name, entry in CATALOG.items() if entry.replication.report is not None)
CHILD_TYPES = tuple(name for name, entry in CATALOG.items() if entry.parent is not None)
_WEIGHTED = ("events",) * 7 + ("profiles",) * 6 + ("reviews",) * 2 + CHILD_TYPES * 2 + tuple(COLLECTIONS)

# Around every boundary: the lag of ten seconds, the lookback ages, and slices of a day and of 30 days.
_WAITS = (1, 0, 2, 9, 10, 11, 60, 3_590, HOUR - 1, HOUR, HOUR + 1, HOUR + 10, 6 * HOUR, DAY - 1, DAY, DAY + 10, 3 * DAY, 7 * DAY, 16 * DAY, 30 * DAY)
_LONG_AGO = (60 * YEAR, 2000 * YEAR)
_AGES = (
    *_LONG_AGO,
    0,
    1,
    9,
    10,
    11,
    60,
    30 * MINUTE,
    HOUR,
    HOUR + 10,
    5 * HOUR,
    DAY,
    DAY + 10,
    2 * DAY,
    6 * DAY,
    16 * DAY,
    17 * DAY,
    40 * DAY,
    2 * YEAR,
    60 * YEAR,
    2000 * YEAR,
)
_FUTURE = (-1, -10, -HOUR, -DAY, -YEAR, -7000 * YEAR)
_COUNTS = (1, 1, 2, 3, 8)
_SEVERAL = (*(8, 5, 12) * 5, 300)
_MANY = (*_COUNTS * 6, 40, 150)
"""Counts of records in the same second, rarely hundreds."""

_which = st.integers(0, 30)
_waits = st.sampled_from(_WAITS).map(Wait)
_changes = st.builds(Change, _which, st.sampled_from((True, True, False)), st.sampled_from(_MANY))
_attributions = st.builds(Attribution, _which)
_consents = st.builds(Suppress, _which, st.booleans(), st.sampled_from((False, False, False, True)))
_deletes = st.builds(Delete, _which)
_merges = st.builds(Merge, _which, _which)
_adds = st.builds(Add, st.sampled_from(_MANY))
_several_events = st.builds(Event, st.sampled_from((2 * DAY, 40 * DAY, HOUR, 0)), st.sampled_from(_SEVERAL))
_imports = st.builds(Event, st.sampled_from((18 * DAY, 25 * DAY, 40 * DAY, 100 * DAY, 2 * YEAR)), st.sampled_from(_MANY))
_events = st.builds(Event, st.sampled_from((*_AGES, *_FUTURE)), st.sampled_from(_COUNTS))


_joins = st.builds(Join, _which, st.sampled_from((1, 1, 2, 5)))
_of_profiles = st.builds(OfProfile, st.one_of(st.builds(Add, st.sampled_from((1, 3))), _deletes))
_of_named = st.builds(OfNamed, st.one_of(st.builds(Add), _deletes))
_of_parents = st.builds(OfParent, st.one_of(st.builds(Add), st.builds(Change, _which)))
_few_adds = st.builds(Add, st.sampled_from((1, 2, 5)))
_few_changes = st.builds(Change, _which, st.sampled_from((True, True, False)), st.sampled_from((1, 3)))
_of_hosts = st.builds(OfHost, st.one_of(st.builds(Add), st.builds(Change, _which), st.builds(Archive, _which), _deletes))
_tags = st.builds(Tag, _which, st.sampled_from((0, 1, 3)))
_parent_deletions = st.builds(OfParent, _deletes)


def _actions(name: str) -> st.SearchStrategy[Action]:
    """Return a strategy for the actions that a type allows between two syncs."""
    entry = CATALOG[name]
    match name:
        case _ if (subject := entry.access_shown_by) is not None:
            renames = [st.builds(Rename, _which)] if subject.name == "campaigns" else []
            return st.one_of(_waits, st.builds(Wait, st.sampled_from((DAY, 2 * DAY, 40 * DAY))), _changes, _deletes, st.builds(Add), *renames)
        case "events":
            return st.one_of(_events, _waits, _several_events, _attributions, _changes, _deletes, _merges, _several_events, _attributions)
        case "profiles":
            return st.one_of(_adds, _waits, _changes, _deletes, _merges, _events, _changes, _consents, _consents)
        case _ if entry.parent is not None:
            again = st.builds(Change, _which)
            return st.one_of(_joins, st.builds(Join, _which), _waits, again, _deletes, _of_parents, _parent_deletions, _merges, _of_profiles)
        case _ if entry.host is not None:
            reorders = st.builds(Reorder, _which) if entry.host.entry.name == "flows" else _changes
            return st.one_of(_few_adds, _waits, _few_changes, _deletes, _of_hosts, _of_hosts, reorders)
        case _ if entry.fixed_records:
            return st.one_of(_changes, _waits)
        case _ if (named := named_by(entry)) is not None:
            merges = [_merges] if named.name == "profiles" else []
            return st.one_of(_adds, _waits, _changes, _deletes, _of_named, _of_named, *merges)
        case _ if "archived" in entry.endpoint.filters:
            return st.one_of(_adds, _waits, _changes, _deletes, st.builds(Archive, _which), _tags)
        case _ if "tags" in entry.endpoint.includes:
            return st.one_of(_adds, _waits, _changes, _deletes, _tags)
        case _:
            return st.one_of(_adds, _waits, _changes, _deletes, _changes)


_OTHER_MODES = dict.fromkeys(FULL_TABLE, ()) | dict.fromkeys((*CHILD_TYPES, *REPORTS), ("full",))
"""Modes besides incremental, of the types that do not have all of them."""


def _between(name: str, action: st.SearchStrategy[Action]) -> st.SearchStrategy[Step]:
    """Return a strategy for what lies between two syncs of a type: actions, and of a child type also syncs of the parents."""
    if CATALOG[name].parent is None:
        return action
    # Several strategies, since hypothesis chooses each with the same probability.
    return st.one_of(action, *(_syncs(name).map(lambda one: replace(one, of_parents=True)) for _ in range(3)))


_metric_choices = st.one_of(
    st.none(), st.builds(MetricChoice, st.tuples(_which), st.booleans()), st.builds(MetricChoice, st.tuples(_which, _which), st.just(True))
)


def _syncs(name: str, *, with_selection: bool = False) -> st.SearchStrategy[Sync]:
    refused = st.builds(Interruption, st.just("refuse"), st.integers(3, 10))
    killed = st.builds(Interruption, st.just("kill"), st.integers(0, 5))
    interruptions = st.one_of(st.none(), refused, killed)
    quick = _actions(name).filter(lambda step: not isinstance(step, Wait) or step.seconds <= HOUR)
    return st.builds(
        Sync,
        mode=st.sampled_from(("incremental",) * 6 + _OTHER_MODES.get(name, ("full", "range"))),
        since=st.sampled_from((3 * DAY, 60, HOUR, DAY, 8 * DAY, 20 * DAY, 3 * YEAR)),
        until=st.sampled_from((0, 1, 10, 30)),
        edges=st.tuples(st.one_of(_which, st.none()), st.one_of(st.none(), _which)),
        page_size=st.sampled_from((3, 1, 2, 5, 7, 100)),
        workers=st.sampled_from((1, 2, 5)),
        rows_per_file=st.sampled_from((20_000, 20_000, 4, 15)),
        rows_per_load=st.sampled_from((500_000, 500_000, 5, 20)),
        tick=st.sampled_from((0, 0, 1, 7)),
        interruption=interruptions,
        meanwhile=st.lists(st.tuples(st.integers(2, 12), quick), max_size=3).map(tuple),
        metrics=_metric_choices if with_selection else st.none(),
        with_host=st.booleans() if CATALOG[name].host is not None else st.just(False),
    )


def _counted(step: Step) -> Step:
    """Return a step of a history in which even small parents are counted. Merges are left out: a swap of two children leaves the count the same."""
    if isinstance(step, Sync):
        meanwhile = tuple((number, _without_merge(action)) for number, action in step.meanwhile)
        return replace(step, few=0, meanwhile=meanwhile)
    return _without_merge(step)


def _without_merge(action: Action) -> Action:
    return OfProfile(Delete(action.source)) if isinstance(action, Merge) else action


@st.composite
def scenarios(
    draw: st.DrawFn,
    names: tuple[str, ...] = _WEIGHTED,
    syncs: tuple[int, int] = (2, 5),
    *,
    starts_interrupted: bool = False,
    with_repair: bool = False,
    with_selection: bool = False,
) -> Scenario:
    """Generate scenarios of the named types; a repeated name is chosen more often.

    Args:
        draw: Hypothesis's draw function.
        names: Resource types.
        syncs: Minimum and maximum number of syncs per scenario.
        starts_interrupted: True if the first sync is interrupted after a few pages.
        with_repair: True for scenarios with imports of old events that end with an audit and a repair (events only).
        with_selection: True for scenarios in which the syncs select different metrics (events only).
    """
    name = draw(st.sampled_from(names))
    # Each chapter is a few actions and then a sync: without a sync a scenario proves nothing.
    # An audit sends requests for each year since the oldest event: thousands of years would take minutes.
    action = st.one_of(_actions(name).filter(lambda one: getattr(one, "ago", 0) <= 2 * YEAR), _imports) if with_repair else _actions(name)
    actions, sync = st.lists(_between(name, action), max_size=3 if name not in CHILD_TYPES else 5), _syncs(name, with_selection=with_selection)
    minimum, maximum = syncs
    chapters = draw(st.lists(st.tuples(actions, sync), min_size=minimum, max_size=maximum))
    if starts_interrupted:
        first = Sync(page_size=2, rows_per_file=4, rows_per_load=5, interruption=Interruption("refuse", draw(st.integers(4, 10))))
        chapters.insert(0, ([], first))
    steps = tuple(step for actions_before, sync_ in chapters for step in (*actions_before, sync_))
    counted = CATALOG[name].replication.count_check is not None and draw(st.booleans())
    return Scenario(
        name=name,
        steps=tuple(_counted(step) for step in steps) if counted else steps,
        records=draw(st.sampled_from((12, 25) if starts_interrupted else (0, 4, 12, 25))),
        history_days=draw(st.sampled_from((1, 40, 200))),
        seed=draw(st.integers(0, 3)),
        with_repair=with_repair,
        metrics=4 if with_selection else 2,
        switches=frozenset(switch for switch in SWITCHES_OF.get(name, ()) if draw(st.booleans())),
    )

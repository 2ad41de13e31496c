"""PerParent by groups: the children of several parents by one cursor chain, and those of a large parent by several."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise

from klaviyo_assets.catalog.replication import PerParent
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.extract.slices import ParentGroupSlice
from klaviyo_assets.extract.strategies.strategy import Completion, PlanContext
from klaviyo_assets.extract.sync_options import SyncMode
from klaviyo_assets.state.child_parts import END, ChildPart
from klaviyo_assets.state.coverage import BEGINNING, CoverageRow, TimeWindow
from klaviyo_assets.state.parent_facts import ROWS_PER_PART

RESUMED_WITHIN = timedelta(hours=12)
"""How long what an interrupted sync has read counts as read."""

_MOST_PARENTS = 50
"""Parents that one request names."""

_MOST_CHARACTERS = 3_000
"""Characters of their ids, since the length of a URL is limited."""

_GROUPS_OF_UNKNOWN = 100
"""Groups that parents of unknown size are divided into, if there are so many: a killed read loses those that are being read."""


@dataclass(frozen=True)
class ParentGroupsStrategy:
    """Reads the children that are not in a final state, of all parents; and all children of the parents that are due.

    A parent is due if its children have never been read completely, or too long ago. What an interrupted sync has read is not read again.
    """

    replication: PerParent

    def history_field(self, context: PlanContext) -> str | None:
        """Return None: nothing is read by time."""
        return None

    def plan(self, context: PlanContext, oldest: datetime | None) -> Sequence[ParentGroupSlice]:
        """Return the slices: first those of parents that are due, the longest unread ones first."""
        due, done = due_parents(context), dict[str, list[ChildPart]]()
        for row, part in read_before(context):
            done.setdefault(row.parent, []).append(part)
        continued = [*_continued(context, due)]
        for slice_ in continued:
            for id_ in slice_.parents:
                done.setdefault(id_, []).append(slice_.part)
        slices = [*continued, *slices_of(context, due, None, done)]
        for state in live_states(context.entry):
            slices += slices_of(context, [id_ for id_ in context.parents if id_ not in due], state, done)
        return slices

    def completion(self, mode: SyncMode) -> Completion:
        """Return ``COMPARE_PER_PARENT``."""
        return Completion.COMPARE_PER_PARENT


def live_states(entry: ResourceType) -> tuple[str, ...]:
    """Return the states of children that may still change."""
    groups = entry.required_groups
    states = next(column.values for column in entry.columns if column.name == groups.state)
    return tuple(state for state in states if state not in groups.final)


def due_parents(context: PlanContext) -> dict[str, None]:
    """Return the parents of which all children are read, as an ordered set: those that never were, then the longest unread ones."""
    entry = context.entry
    read_at = {row.parent: row.read_at for row in context.trusted if row.subset == entry.subsets[0].name}
    due = [id_ for id_ in context.parents if id_ not in read_at or context.now - read_at[id_] >= entry.required_groups.complete_after]
    return dict.fromkeys(sorted(due, key=lambda id_: (read_at.get(id_, BEGINNING), id_)))


def read_before(context: PlanContext) -> Iterator[tuple[CoverageRow, ChildPart]]:
    """Yield what an interrupted sync has read recently: rows of the coverage, and their parts."""
    whole = context.entry.subsets[0].name
    for row in context.trusted:
        part = ChildPart.parse(row.subset) if row.subset != whole and context.now - row.read_at <= RESUMED_WITHIN else None
        if part is not None:
            yield row, part


def _continued(context: PlanContext, due: Mapping[str, None]) -> Iterator[ParentGroupSlice]:
    """Yield slices that continue recent chains of interrupted syncs, if this sync would read the same."""
    for chain in context.unfinished:
        is_due = chain.part.state is None
        if context.now - chain.since <= RESUMED_WITHIN and all(id_ in context.parents and (id_ in due) == is_due for id_ in chain.parents):
            yield replace(_slice(context, chain.parents, chain.part), position=chain.position, since=chain.since)


def slices_of(
    context: PlanContext, parents: Iterable[str], state: str | None, done: Mapping[str, Sequence[ChildPart]] | None = None
) -> Iterator[ParentGroupSlice]:
    """Yield slices that read the children of some parents in one state; small parents together, large ones in parts of a known size.

    Args:
        context: The facts that planning needs.
        parents: Ids of the parents.
        state: Their children's state; None for all children.
        done: Parts that have been read.
    """
    ids, small = [*parents], list[str]()
    unknown = sum(not context.facts_of(id_).stored(None).rows for id_ in ids)
    guess = min(ROWS_PER_PART, ROWS_PER_PART * _GROUPS_OF_UNKNOWN // max(unknown, 1))
    sizes = {id_: context.facts_of(id_).stored(state).rows if context.facts_of(id_).stored(None).rows else guess for id_ in ids}
    for id_ in ids:
        before = (done or {}).get(id_, ())
        if not before and sizes[id_] <= ROWS_PER_PART:
            small.append(id_)
            continue
        for window in _windows(context.facts_of(id_).stored(state).borders):
            yield from (_slice(context, (id_,), part) for part in ChildPart(state, window).without(before))
    yield from (_slice(context, group, ChildPart(state)) for group in _packed(small, sizes))


def _slice(context: PlanContext, parents: Sequence[str], part: ChildPart) -> ParentGroupSlice:
    entry = context.entry
    return ParentGroupSlice(entry.subsets[0], tuple(parents), entry.required_parent.column, context.top, entry.required_groups.cut_by, part)


def _windows(borders: Sequence[datetime]) -> list[TimeWindow]:
    times = [BEGINNING, *borders, END]
    return [TimeWindow(start, end) for start, end in pairwise(times)]


def _packed(parents: Sequence[str], sizes: Mapping[str, int]) -> Iterator[list[str]]:
    """Yield groups of parents with few enough children for one chain, in their order."""
    group: list[str] = []
    rows = characters = 0
    for id_ in parents:
        is_full = len(group) == _MOST_PARENTS or rows + sizes[id_] > ROWS_PER_PART or characters + len(id_) > _MOST_CHARACTERS
        if group and is_full:
            yield group
            group, rows, characters = [], 0, 0
        group.append(id_)
        rows, characters = rows + sizes[id_], characters + len(id_)
    if group:
        yield group

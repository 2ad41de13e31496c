"""Decides which parents' children are verified by a sync, and how: by a count, or by reading them completely. Pure.

A count costs one request of an endpoint with 15 per minute, a page of children one of an endpoint with 750 per minute. So small parents are read
completely, and large ones are counted; only if a count differs are the children read. How often depends on how fast children leave.
"""

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from klaviyo_assets.extract.strategies.strategy import PlanContext
from klaviyo_assets.extract.sync_options import SyncMode
from klaviyo_assets.state.coverage import BEGINNING, CoverageRow, TimeWindow, windows_to_read
from klaviyo_assets.state.parent_facts import RECENT, ParentFacts

SHORTEST, USUAL, LONGEST = timedelta(hours=12), timedelta(days=1), timedelta(days=7)
"""Bounds of the time between two verifications, and the time as long as it is not known how fast children leave."""

MAX_AGE_WHILE_PAUSED = 2 * LONGEST
"""Age of a verification after which a parent is verified even if its count is about to change."""

_OUTDATED_SHARE = 0.01
"""The next verification is due when this share of the children has probably left."""

LARGE = 100_000
"""Children; a parent with more is verified once a day at most, because reading it again takes a thousand requests."""

FEW = 2_000
"""Children; a parent with no more is read completely (20 requests at 750 per minute) instead of counted (one at 15 per minute)."""

MAX_AGE_OF_COMPLETE_READ = timedelta(days=30)
"""Age of a complete read after which a parent is read completely again: an equal count does not show that one child was replaced by another."""

_COUNTS_PER_MINUTE, _SHARE_OF_TIME, _LEAST_COUNTS = 15, 0.05, 15
"""Counts take at most this share of the time since the last sync, so frequent syncs stay short."""


@dataclass(frozen=True)
class Windows:
    """What is covered of one parent's children.

    Attributes:
        left: Windows that are left to read, ascending.
        read_at: When the oldest part was read; None if nothing was.
        verified_at: When the stored children were last verified; None if they were not, or were found different since.
    """

    left: tuple[TimeWindow, ...]
    read_at: datetime | None
    verified_at: datetime | None

    @property
    def history_is_covered(self) -> bool:
        """True if all windows but the newest one have been read."""
        return len(self.left) == 1 and self.left[0].start > BEGINNING


def child_windows(context: PlanContext) -> dict[str, Windows]:
    """Return what is covered of each parent's children."""
    parent, replication = context.entry.required_parent, context.entry.replication
    (field,) = replication.cursor_fields
    rows: dict[str, list[CoverageRow]] = {}
    for row in context.trusted:
        rows.setdefault(row.parent, []).append(row)
    found = {}
    for id_ in context.parents:
        own = rows.get(id_, [])
        joined = [row for row in own if row.field == field]
        left = tuple(windows_to_read(TimeWindow(BEGINNING, context.top), joined, replication.lookback_ages_of(field), context.now))
        read_at = min((row.read_at for row in joined), default=None)
        verified_at = max((row.read_at for row in own if row.field == parent.column), default=None)
        windows = Windows(left, read_at, verified_at)
        found[id_] = Windows(left, read_at, read_at) if verified_at is None and _is_first_read(windows, context.facts_of(id_)) else windows
    return found


def _is_first_read(windows: Windows, facts: ParentFacts) -> bool:
    """Return whether all stored children come from the reads that are covered: then no row can be left over from before."""
    return windows.history_is_covered and windows.read_at is not None and (facts.oldest is None or facts.oldest >= windows.read_at)


def interval(facts: ParentFacts, since_complete_read: timedelta) -> timedelta:
    """Return the time between two verifications of a parent, from its size and how many children have left it recently.

    Args:
        facts: The parent.
        since_complete_read: Age of its last complete read.
    """
    if facts.is_frozen:
        return LONGEST
    if not facts.removed:
        return LONGEST if since_complete_read >= RECENT else USUAL
    shortest = USUAL if facts.rows > LARGE else SHORTEST
    return min(max(facts.rows * _OUTDATED_SHARE / facts.removed * RECENT, shortest), LONGEST)


def due(context: PlanContext, windows: dict[str, Windows]) -> list[str]:
    """Return the parents that this sync should verify, the most overdue first; those that are still read for the first time are not among them."""
    found: dict[str, timedelta] = {}
    for id_, one in windows.items():
        facts = context.facts_of(id_)
        if not one.history_is_covered or one.read_at is None:
            continue
        if facts.is_paused and context.now - (one.verified_at or one.read_at) < MAX_AGE_WHILE_PAUSED:
            continue
        if one.verified_at is None or facts.outdated:
            found[id_] = timedelta.max
        elif (late := context.now - one.verified_at - interval(facts, context.now - one.read_at) * _stagger_factor(id_)) >= timedelta():
            found[id_] = late
    return sorted(found, key=lambda id_: (found[id_], id_), reverse=True)


def _stagger_factor(id_: str) -> float:
    """Return which part of the interval counts for a parent, from a half to all of it: so parents that were read together are not due together."""
    return 0.5 + zlib.crc32(id_.encode()) / 2**33


def read_completely(context: PlanContext, windows: dict[str, Windows]) -> set[str]:
    """Return the parents of which all children are read.

    These are the parents that were never read, and of those that are due the small ones and those without a complete read for long.
    """
    never = {id_ for id_, one in windows.items() if one.left and one.left == (TimeWindow(BEGINNING, context.top),)}
    if context.options.mode is SyncMode.full:
        return never
    return never | {id_ for id_ in due(context, windows) if _is_small(context, id_) or _is_old(context, windows[id_])}


def _is_small(context: PlanContext, id_: str) -> bool:
    return context.facts_of(id_).rows <= FEW


def _is_old(context: PlanContext, windows: Windows) -> bool:
    return windows.read_at is not None and context.now - windows.read_at >= MAX_AGE_OF_COMPLETE_READ


def to_count(context: PlanContext) -> list[str]:
    """Return the parents that Klaviyo is asked to count, the most overdue first; as many as the time since the last sync allows."""
    windows = child_windows(context)
    complete = read_completely(context, windows)
    counted = [id_ for id_ in due(context, windows) if id_ not in complete]
    return counted[: _most_counts(context.now, context.trusted)]


def _most_counts(now: datetime, covered: Iterable[CoverageRow]) -> int:
    last = max((row.read_at for row in covered), default=now)
    return max(_LEAST_COUNTS, int((now - last) / timedelta(minutes=1) * _COUNTS_PER_MINUTE * _SHARE_OF_TIME))


def first_read_first(ids: Iterable[str], windows: dict[str, Windows]) -> Sequence[str]:
    """Return parents in the order in which they are read: unread ones first, then those that were read the longest time ago."""
    return sorted(ids, key=lambda id_: (windows[id_].read_at or BEGINNING, id_))

"""The protocol of strategies, and the facts that planning needs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Protocol, runtime_checkable

from klaviyo_assets.catalog.catalog_errors import MissingTrait
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.extract.chain_position import UnfinishedChain
from klaviyo_assets.extract.metric_selection import EVERY_METRIC, MetricSelection
from klaviyo_assets.extract.report_facts import ReportFacts
from klaviyo_assets.extract.slices import AnySlice
from klaviyo_assets.extract.sync_options import SyncMode, SyncOptions
from klaviyo_assets.state.coverage import CoverageRow
from klaviyo_assets.state.parent_facts import ParentFacts

LAG = timedelta(seconds=10)
"""How long before the server's time coverage ends: the newest records may not be visible yet, and the API rejects a bound in the future."""


class Completion(Enum):
    """How a sync ends, and how it treats rows that it did not return."""

    COVERAGE = auto()
    """Rows are loaded while pages arrive, and the coverage records which windows have been read. Nothing is compared."""
    COMPARE_ALL = auto()
    """Everything is read and loaded at the end. Missing ids are looked up once more; those that no longer exist are marked as deleted."""
    COMPARE_INCLUDED = auto()
    """Like ``COMPARE_ALL``, but missing records are looked up with their hosts, which know whether they still have them."""
    COMPARE_WINDOW = auto()
    """Like ``COVERAGE``; then rows of the requested window that were not returned are marked as deleted."""
    COMPARE_PER_PARENT = auto()
    """Rows are loaded while pages arrive; then rows of the parents that were read are marked as deleted if they were not returned, and so are all
    rows of deleted parents."""
    COMPARE_REPORT = auto()
    """Rows are loaded while pages arrive; then rows of the windows that were read are marked as deleted if they were not returned."""
    SWAP = auto()
    """Rows are loaded into a new table, which replaces the old one together with the coverage. Rows that were not returned are kept and marked as
    deleted."""


@dataclass(frozen=True)
class PlanContext:
    """The facts that planning needs.

    Attributes:
        entry: The resource type.
        options: The options of the sync.
        covered: The type's rows of ``_coverage``.
        now: The server's clock at the start of the sync.
        fingerprint: Fingerprint of the current options and columns.
        selection: The metrics that are selected.
        report: What a report needs to know about the account; None for other types.
        parents: Ids of the parents to read: those in the parent's table that are not deleted and are selected; empty for a type without parents.
        facts: What the database knows about each of them and its children.
        unfinished: Chains of interrupted syncs that can be continued; what they have read before is stored.
    """

    entry: ResourceType
    options: SyncOptions
    covered: Sequence[CoverageRow]
    now: datetime
    fingerprint: str
    parents: Sequence[str] = ()
    selection: MetricSelection = EVERY_METRIC
    report: ReportFacts | None = None
    facts: Mapping[str, ParentFacts] = field(default_factory=dict)
    unfinished: Sequence[UnfinishedChain] = ()

    def facts_of(self, parent_id: str) -> ParentFacts:
        """Return what the database knows about a parent and its children."""
        return self.facts.get(parent_id, ParentFacts())

    @property
    def required_report(self) -> ReportFacts:
        """What a report needs to know about the account, for strategies of reports.

        Raises:
            MissingTrait: If the resource type is not a report.
        """
        if self.report is None:
            raise MissingTrait(self.entry.name, "report")
        return self.report

    @property
    def top(self) -> datetime:
        """The time at which coverage ends."""
        return self.now - LAG

    @property
    def trusted(self) -> list[CoverageRow]:
        """Coverage that counts: none in a full read; otherwise the rows with the current fingerprint, or all if others are accepted."""
        if self.options.mode is SyncMode.full:
            return []
        return [row for row in self.covered if self.options.accept_changed_options or row.fingerprint == self.fingerprint]


@runtime_checkable
class Strategy(Protocol):
    """Decides what to read for one kind of replication. Pure: a strategy does no I/O."""

    def history_field(self, context: PlanContext) -> str | None:
        """Return the time field of a history whose beginning is unknown; None if there is none.

        The time of its oldest record is then fetched and passed to :meth:`plan`, so that it can cut the history into slices.
        """
        ...

    def plan(self, context: PlanContext, oldest: datetime | None) -> Sequence[AnySlice]:
        """Return the slices to read, the most urgent first.

        Args:
            context: The facts that planning needs.
            oldest: Time of the oldest record along :meth:`history_field`; None if it is not known.

        Raises:
            InvalidRange: If the requested range cannot be read.
        """
        ...

    def completion(self, mode: SyncMode) -> Completion:
        """Return how a sync of this mode ends."""
        ...

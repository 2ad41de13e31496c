"""What the end of a sync of a child type marks as deleted, and which parents it records as verified.

A child is marked if its parent is gone, if a complete read of its parent did not return it, or if it was looked up by id and not found. Of a parent
whose stored children are as many as Klaviyo counts, only the rows are marked whose own record, such as a member's profile, is marked as deleted.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from klaviyo_assets.load.children.child_rows import CompleteRead
from klaviyo_assets.load.children.group_rows import GroupRead, GroupRows
from klaviyo_assets.load.deletions.deletions import Deletions, Key
from klaviyo_assets.state.coverage import CoverageRow
from klaviyo_assets.state.coverage_store import CoverageStore


@dataclass(frozen=True)
class ChildDeletions:
    """What a sync of a child type has read and found.

    Attributes:
        column: Column that has the parent's id.
        live: Ids of all parents that exist.
        complete: Complete reads of parents.
        counted: Parents whose count equals their stored children.
        verified: Coverage of the parents whose children are verified.
        parts: What was read of parents that are read in groups; rows of it that were not returned are marked.
        gone: Keys of rows that were looked up and do not exist any more.
        whole: Name of the subset of complete reads: the coverage of parts of them is deleted. None to keep the coverage.
    """

    column: str
    live: Collection[str]
    complete: Sequence[CompleteRead] = ()
    counted: Sequence[str] = ()
    verified: Sequence[CoverageRow] = ()
    parts: Sequence[GroupRead] = ()
    gone: Sequence[Key] = ()
    whole: str | None = None

    def mark(self, deletions: Deletions, coverage: CoverageStore, at: datetime) -> int:
        """Mark rows that no longer exist in Klaviyo, delete the coverage of deleted parents, and return the number of marked rows."""
        gone = sorted(deletions.live_values(self.column) - {*self.live})
        marked = deletions.mark_of_parents(self.column, gone, at)
        coverage.keep_parents(deletions.tables.entry.name, self.live)
        for one in self.complete:
            marked += deletions.mark_missing_of_parents(self.column, sorted({*one.parents} & {*self.live}), one.files, at)
        for part in self.parts:
            marked += GroupRows(deletions.connection, deletions.tables).mark_missing(part, at)
        marked += deletions.mark(self.gone, at)
        if self.whole is not None:
            coverage.keep_subset(deletions.tables.entry.name, self.whole)
        return marked + deletions.mark_outdated(self.column, sorted(self.counted), at)

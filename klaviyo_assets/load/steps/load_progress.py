"""What the committed transactions of a sync have changed so far."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from klaviyo_assets.load.rows.row_counts import RowCounts
from klaviyo_assets.state.table_fingerprint import TableState


@dataclass
class LoadProgress:
    """What a sync has changed so far, and the state in which its last commit has left the table.

    Attributes:
        counts: Rows that were changed so far.
        row_count: Rows that are not marked as deleted, counted at the start and at the end of the sync.
        data_version: Changes only if rows have changed; set at the end of the sync.
        rewritten: Stored rows that were rewritten for changed field rules or computed columns.
        all_periods_recorded: Whether every period is recorded as changed.
        table_state: State of the table at the last commit; None if it is not known.
        notes: Messages for the user.
    """

    counts: RowCounts = field(default_factory=RowCounts)
    row_count: int = 0
    data_version: str = ""
    rewritten: int = 0
    all_periods_recorded: bool = False
    table_state: TableState | None = None
    notes: list[str] = field(default_factory=list)

    @contextmanager
    def restored_on_error(self) -> Iterator[None]:
        """Restore what a transaction has changed here if it or its commit fails."""
        counts, notes = RowCounts(**vars(self.counts)), [*self.notes]
        rewritten, all_recorded, state = self.rewritten, self.all_periods_recorded, self.table_state
        try:
            yield
        except BaseException:
            self.counts, self.notes = counts, notes
            self.rewritten, self.all_periods_recorded, self.table_state = rewritten, all_recorded, state
            raise

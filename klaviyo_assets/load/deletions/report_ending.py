"""The end of a sync of a report: which rows are marked."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from klaviyo_assets.load.deletions.deletions import Deletions
from klaviyo_assets.load.deletions.report_window import ReportWindow
from klaviyo_assets.state.coverage_store import CoverageStore


@dataclass(frozen=True)
class ReportEnding:
    """What a sync of a report has read and found.

    Attributes:
        windows: Windows that were read as a whole.
        files: Staged files with the keys that were returned.
        deleted: Ids of deleted records, such as segments, that the filter of the report named before: no report returns their rows any more.
    """

    windows: Sequence[ReportWindow]
    files: Sequence[Path]
    deleted: Sequence[str] = ()

    def mark(self, deletions: Deletions, coverage: CoverageStore, at: datetime) -> tuple[int, list[ReportWindow]]:
        """Mark rows that Klaviyo no longer reports, and remove the coverage of deleted records, so one that comes back is read completely.

        Args:
            deletions: Marks rows of the table.
            coverage: The coverage.
            at: When the read began.

        Returns:
            The number of marked rows, and the windows for which the read returned nothing although the table has rows; none of these is marked.
        """
        marked, empty = 0, []
        for window in self.windows:
            if (some := deletions.mark_missing_of_report(window, self.files, at)) is None:
                empty.append(window)
            else:
                marked += some
        entry = deletions.tables.entry
        if self.deleted and (report := entry.replication.report) is not None:
            marked += deletions.mark_of_parents(report.ids_filter, self.deleted, at)
            coverage.clear_parents(entry.name, report.field, self.deleted)
        return marked, empty

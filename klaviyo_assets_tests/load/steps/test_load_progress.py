"""What a sync counts is what it has committed: a transaction that fails leaves no trace in it."""

import copy
from datetime import UTC, datetime

import pytest

from klaviyo_assets.load.rows.row_counts import RowCounts
from klaviyo_assets.load.steps.load_progress import LoadProgress
from klaviyo_assets.state.table_fingerprint import TableState

BEFORE = LoadProgress(RowCounts(1, 2, 3), rewritten=4, table_state=TableState(5, datetime(2026, 1, 1, tzinfo=UTC)), notes=["first"])


def change(progress: LoadProgress, error: BaseException | None = None) -> None:
    """Change everything that a transaction may change, in place where the transactions do so; then raise an error, if there is one."""
    progress.counts.inserted += 10
    progress.counts.updated += 10
    progress.counts.deleted += 10
    progress.rewritten += 10
    progress.all_periods_recorded = True
    progress.table_state = TableState(50, datetime(2026, 1, 2, tzinfo=UTC))
    progress.notes.append("second")
    if error is not None:
        raise error


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failed_transaction_restores_everything(error: type[BaseException]) -> None:
    progress = copy.deepcopy(BEFORE)
    with pytest.raises(error), progress.restored_on_error():
        change(progress, error())
    assert progress == BEFORE


def test_new_counts_of_a_failed_transaction_are_dropped() -> None:
    progress = copy.deepcopy(BEFORE)

    def compare() -> None:
        progress.counts = RowCounts(7, 7, 7)
        raise ValueError("failed")

    with pytest.raises(ValueError, match="failed"), progress.restored_on_error():
        compare()
    assert progress == BEFORE


def test_what_a_transaction_has_committed_is_kept() -> None:
    progress = copy.deepcopy(BEFORE)
    with progress.restored_on_error():
        change(progress)
    assert progress.counts == RowCounts(11, 12, 13)
    assert (progress.rewritten, progress.all_periods_recorded, progress.notes) == (14, True, ["first", "second"])

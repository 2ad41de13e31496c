"""A full-table type is loaded in one transaction, or in several if its rows are too wide."""

from collections.abc import Callable

import pytest
from polars.testing import assert_frame_equal

from klaviyo_assets.load.loader import Loader
from klaviyo_assets.load.steps.read_comparison import ReadComparison
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.staging import manifest, staging
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import in_small_pages, query, sync, table, truth

pytestmark = pytest.mark.long

NewAccount = Callable[..., SandboxProcess]


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of files in each transaction."""
    found: list[int] = []
    load, finish = Loader.load, ReadComparison.finish_whole

    def counted_load(self, batch, row, *, rebuilt=False):  # type: ignore[no-untyped-def]
        found.append(len(batch.files))
        load(self, batch, row, rebuilt=rebuilt)

    def counted_finish(self, batch, *others):  # type: ignore[no-untyped-def]
        found.append(len(batch.files))
        finish(self, batch, *others)

    monkeypatch.setattr(Loader, "load", counted_load)
    monkeypatch.setattr(ReadComparison, "finish_whole", counted_finish)
    return found


@pytest.mark.parametrize("are_wide", [False, True])
def test_wide_rows_are_loaded_in_parts_and_the_last_part_marks_deleted_rows(
    are_wide: bool, loads: list[int], new_account: NewAccount, warehouse: LocalFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "ROWS_PER_FILE", 10)
    if are_wide:
        monkeypatch.setattr(staging, "WIDE", 1)
        monkeypatch.setattr(manifest, "WIDE_BYTES_PER_LOAD", 1)
    sandbox = new_account(lists=40)
    entry = in_small_pages("lists", 10)

    report = sync(entry, sandbox, warehouse)
    assert loads == ([1, 1, 1, 1] if are_wide else [4])
    assert (report.row.rows_inserted, report.row.outcome) == (40, "succeeded")
    assert_frame_equal(table(warehouse, "lists"), truth(sandbox, "lists"))

    gone = str(query(warehouse, "SELECT min(id) FROM lists")[0][0])
    sandbox.change("delete", type="lists", id=gone)
    report = sync(entry, sandbox, warehouse)
    assert (report.row.rows_inserted, report.row.rows_updated, report.row.rows_deleted) == (0, 0, 1)
    assert table(warehouse, "lists", deleted=True)["id"].to_list() == [gone]

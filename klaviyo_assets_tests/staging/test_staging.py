"""Staging: each page is loaded once, and nothing counts as covered before it is written."""

from datetime import datetime
from pathlib import Path

import msgspec
import polars as pl
import pytest

from klaviyo_assets.catalog import EVENTS
from klaviyo_assets.catalog.resource_type import Subset
from klaviyo_assets.decode import PageDecoder
from klaviyo_assets.extract.slices import Slice, SubsetSlice
from klaviyo_assets.staging import staging as staging_module
from klaviyo_assets.staging.staging import Staging
from klaviyo_assets.state.coverage import CoverageRow
from klaviyo_assets_tests.staging.staged import READ_AT, at, covered_windows, ids, manifest, page, staged, window_slice, written_batch

# --- the content of a batch


def test_a_finished_slice_is_covered_to_its_end(folder: Path) -> None:
    one, other = window_slice(1, 4), window_slice(4, 8, newest=True)
    staging = staged(folder, one, other)
    staging.add_page(one, page(1, 2), at(2))
    staging.finish_slice(one)
    staging.add_page(other, page(3), None)

    batch = written_batch(staging)

    assert ids(batch) == [1, 2, 3]
    assert batch.covered == (CoverageRow("all", "datetime", at(1), at(4), READ_AT, "fingerprint"),)
    assert batch.rows == staging.rows_unloaded == 3


def test_rows_are_sorted_and_rows_with_equal_values_keep_their_order(folder: Path) -> None:
    """Of two versions of a row that were read at the same time, the later one in the file counts."""
    records = [{"id": str(number), "relationships": {"metric": {"data": {"id": "BA"[number % 2]}}}} for number in range(100)]
    staging = Staging(folder, manifest(), sorted_by=("metric_id", "datetime"))
    staging.add_lookup(PageDecoder(EVENTS).page(msgspec.json.encode({"data": records})).stamped(READ_AT))

    (file,) = written_batch(staging).files

    assert [int(id_) for id_ in pl.read_parquet(file)["id"]] == [*range(1, 100, 2), *range(0, 100, 2)]


def test_pages_count_only_once_they_are_written(folder: Path) -> None:
    one = window_slice(1, 4)
    staging = staged(folder, one)
    staging.add_page(one, page(1), at(2))
    staging.finish_slice(one)

    assert (staging.batch().files, staging.batch().covered, staging.rows_unloaded) == ((), (), 0)


@pytest.mark.parametrize(("read_up_to", "covered"), [(None, []), (1, []), (3, [(at(1), at(3))]), (4, [(at(1), at(4))]), (30, [(at(1), at(4))])])
def test_an_unfinished_slice_is_covered_up_to_read_up_to(folder: Path, read_up_to: int | None, covered: list[tuple[datetime, datetime]]) -> None:
    """Up to the last record, excluded, since more records may have the same time; never after the end of the slice."""
    one = window_slice(1, 4, newest=True)
    staging = staged(folder, one)
    staging.add_page(one, page(1, 2), at(read_up_to) if read_up_to else None)

    assert covered_windows(written_batch(staging)) == covered


def test_pages_out_of_order_remove_the_coverage(folder: Path) -> None:
    one = window_slice(1, 4)
    staging = staged(folder, one)
    staging.add_page(one, page(1), at(3))
    staging.add_page(one, page(2), None)

    batch = written_batch(staging)

    assert (ids(batch), covered_windows(batch)) == ([1, 2], [])


def test_the_newest_slice_is_never_covered_after_the_start_of_the_sync(folder: Path) -> None:
    newest = window_slice(1, 4, newest=True)
    staging = staged(folder, newest)
    staging.add_page(newest, page(1), at(28))
    staging.finish_slice(newest)

    assert covered_windows(written_batch(staging)) == [(at(1), at(4))]


def test_a_slice_without_records_is_covered_without_files(folder: Path) -> None:
    one = window_slice(1, 4)
    staging = staged(folder, one)
    staging.add_page(one, page(), None)
    staging.finish_slice(one)

    batch = written_batch(staging)

    assert (batch.files, batch.rows, covered_windows(batch)) == ((), 0, [(at(1), at(4))])


def test_a_fully_read_subset_stages_only_rows(folder: Path) -> None:
    slice_ = SubsetSlice(Subset("live"))
    staging = staged(folder, slice_)
    staging.add_page(slice_, page(1), None)
    staging.finish_slice(slice_)

    batch = written_batch(staging)

    assert (ids(batch), batch.covered) == ([1], ())


def test_a_newest_first_slice_is_covered_only_once_it_is_finished(folder: Path) -> None:
    slice_ = Slice(Subset(), "updated", at(1), None, at(4), descending=True)
    staging = staged(folder, slice_)
    staging.add_page(slice_, page(1), None)
    assert covered_windows(written_batch(staging)) == []

    staging.finish_slice(slice_)

    assert covered_windows(written_batch(staging)) == [(at(1), at(4))]


def test_looked_up_records_are_loaded_too(folder: Path) -> None:
    live, archived = SubsetSlice(Subset("live")), SubsetSlice(Subset("archived"))
    staging = staged(folder, live, archived)
    staging.add_page(archived, page(1), None)
    staging.add_lookup(page(2))

    assert ids(written_batch(staging)) == [1, 2]


# --- loading during reading


def test_pages_added_during_a_load_are_not_lost_and_not_counted_as_loaded(folder: Path) -> None:
    one, other = window_slice(1, 4), window_slice(4, 8)
    staging = staged(folder, one, other)
    staging.add_page(one, page(1), at(2))
    staging.add_page(other, page(2), at(5))
    first = written_batch(staging)

    staging.add_page(one, page(3), at(3))
    staging.finish_slice(one)
    staging.add_page(other, page(4), at(6))
    staging.write()
    staging.loaded(first)

    assert staging.rows_unloaded == 2
    second = staging.batch()
    assert (ids(second), second.rows, covered_windows(second)) == ([3, 4], 2, [(at(1), at(4)), (at(4), at(6))])
    staging.loaded(second)
    third = staging.batch()
    assert (third.files, third.covered, third.rows, staging.rows_unloaded) == ((), (), 0, 0)


def test_pages_in_memory_during_a_load_are_in_the_next_batch(folder: Path) -> None:
    one = window_slice(1, 4)
    staging = staged(folder, one)
    staging.add_page(one, page(1), at(2))
    first = written_batch(staging)
    staging.add_page(one, page(2), at(3))
    staging.finish_slice(one)
    staging.loaded(first)
    assert staging.batch().files == ()

    second = written_batch(staging)

    assert (ids(second), covered_windows(second)) == ([2], [(at(1), at(4))])


def test_a_slice_without_progress_since_the_last_load_adds_no_coverage(folder: Path) -> None:
    one, other = window_slice(1, 4), window_slice(4, 8)
    staging = staged(folder, one, other)
    staging.add_page(one, page(1), at(2))
    staging.loaded(written_batch(staging))
    staging.add_page(other, page(2), at(5))

    assert covered_windows(written_batch(staging)) == [(at(4), at(5))]


def test_loaded_files_are_deleted_and_others_are_not(folder: Path) -> None:
    one = window_slice(1, 4)
    staging = staged(folder, one)
    staging.add_page(one, page(1), at(2))
    deleted = written_batch(staging)
    staging.add_page(one, page(2), at(3))
    staging.write()
    staging.loaded(deleted)

    assert ids(staging.batch()) == [2]
    assert not any(file.exists() for file in deleted.files)


# --- bounded memory


def test_pages_fill_a_file_by_rows_or_bytes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging_module, "ROWS_PER_FILE", 10)
    one, other = window_slice(1, 4), window_slice(4, 8)
    staging = staged(folder, one, other)
    assert staging.files_in_memory == 0
    staging.add_page(one, page(*range(3)), at(2))
    staging.add_page(other, page(*range(10, 14)), at(5))
    assert staging.files_in_memory == 0.7

    monkeypatch.setattr(staging_module, "BYTES_PER_FILE", 100)
    assert staging.files_in_memory > 1

    staging.write()
    assert (staging.files_in_memory, staging.rows_unloaded) == (0, 7)


def test_one_file_has_the_pages_of_all_slices(folder: Path) -> None:
    one, other = window_slice(1, 4), window_slice(4, 8)
    staging = staged(folder, one, other)
    staging.add_page(one, page(1), at(2))
    staging.add_page(other, page(2), at(5))
    staging.add_page(one, page(3), at(3))

    batch = written_batch(staging)

    assert (len(batch.files), ids(batch), covered_windows(batch)) == (1, [1, 2, 3], [(at(1), at(3)), (at(4), at(5))])


def test_the_pages_of_a_failed_write_are_in_the_next_batch(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = window_slice(1, 4)
    staging = staged(folder, one)
    staging.add_page(one, page(1), at(2))
    with monkeypatch.context() as broken:
        broken.setattr(staging_module, "_write_parquet", fail_with_full_disk)
        with pytest.raises(OSError, match="No space left"):
            staging.write()
    assert (staging.batch().files, staging.batch().covered) == ((), ())
    staging.add_page(one, page(2), at(3))

    batch = written_batch(staging)

    assert (ids(batch), covered_windows(batch)) == ([1, 2], [(at(1), at(3))])


def fail_with_full_disk(frame: pl.DataFrame, path: Path) -> None:
    raise OSError(28, "No space left on device")


# --- a slice that is split while it is read


def test_a_split_slice_covers_only_its_own_part(folder: Path) -> None:
    one = window_slice(1, 8, newest=True)
    staging = staged(folder, one)
    staging.add_page(one, page(1), at(2))
    _, above = one.cut_at(at(5))
    staging.truncate(staging.slice_ids[id(one)], at(5))
    upper = staging.open(above)
    staging.finish_slice(one)
    staging.add(upper, page(2), at(6))

    assert covered_windows(written_batch(staging)) == [(at(1), at(5)), (at(5), at(6))]
    staging.finish(upper)
    assert covered_windows(written_batch(staging)) == [(at(1), at(5)), (at(5), at(8))]


def test_a_split_between_a_batch_and_its_load_loses_nothing(folder: Path) -> None:
    one = window_slice(1, 8)
    staging = staged(folder, one)
    staging.add_page(one, page(1), at(2))
    first = written_batch(staging)
    _, above = one.cut_at(at(5))
    staging.truncate(staging.slice_ids[id(one)], at(5))
    upper = staging.open(above)
    staging.add(upper, page(2), None)
    staging.finish(upper)
    staging.finish_slice(one)

    staging.loaded(first)

    assert covered_windows(written_batch(staging)) == [(at(1), at(5)), (at(5), at(8))]

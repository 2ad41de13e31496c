"""Staging: what is written is loaded once, and nothing counts as covered before it is written."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import polars as pl
import pytest

from klaviyo_assets.catalog import EVENTS
from klaviyo_assets.catalog.resource_type import Subset
from klaviyo_assets.decode import Page, PageDecoder
from klaviyo_assets.extract.slices import Slice, SubsetSlice
from klaviyo_assets.load.batch import Batch
from klaviyo_assets.staging import staging as staging_module
from klaviyo_assets.staging.manifest import Manifest, new_manifest
from klaviyo_assets.staging.staging import Staging, leftovers
from klaviyo_assets.state.coverage import CoverageRow

READ_AT = datetime(2026, 3, 10, 12, tzinfo=UTC)


def at(day: int) -> datetime:
    return datetime(2026, 3, day, tzinfo=UTC)


def part(start: int, end: int, *, newest: bool = False) -> Slice:
    return Slice(Subset(), "datetime", start=at(start), end=None if newest else at(end), covers_to=at(end))


def page(*ids: int) -> Page:
    records = [{"id": str(id_), "attributes": {}} for id_ in ids]
    return PageDecoder(EVENTS).page(msgspec.json.encode({"data": records})).stamped(READ_AT)


def manifest(sync_id: str = "s1") -> Manifest:
    return new_manifest(sync_id=sync_id, resource_type="events", account_id="ABC123", fingerprint="mark", read_at=READ_AT, resumable=True)


class Sync(Staging):
    """Staging whose parts are named by their slices."""

    def __init__(self, folder: Path, *slices: Slice) -> None:
        super().__init__(folder, manifest())
        self.part_of = {id(one): self.open(one) for one in slices}

    def took(self, slice_: Slice, page: Page, read_up_to: datetime | None) -> None:
        self.add(self.part_of[id(slice_)], page, read_up_to)

    def finished(self, slice_: Slice) -> None:
        self.finish(self.part_of[id(slice_)])


def staged(folder: Path, *slices: Slice) -> Sync:
    return Sync(folder, *slices)


def ids(batch: Batch) -> list[int]:
    return sorted(int(id_) for file in batch.files for id_ in pl.read_parquet(file)["id"].to_list())


def spans(batch: Batch) -> list[tuple[datetime, datetime]]:
    return [(row.start, row.end) for row in batch.covered]


def flushed(staging: Staging) -> Batch:
    staging.write()
    return staging.batch()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "events" / "20260310T120000-s1"


# --- what a batch holds


def test_a_finished_slice_is_covered_to_its_end(folder: Path) -> None:
    one, other = part(1, 4), part(4, 8, newest=True)
    staging = staged(folder, one, other)
    staging.took(one, page(1, 2), at(2))
    staging.finished(one)
    staging.took(other, page(3), None)

    batch = flushed(staging)

    assert ids(batch) == [1, 2, 3]
    assert batch.covered == (CoverageRow("all", "datetime", at(1), at(4), READ_AT, "mark"),)
    assert batch.rows == staging.rows_unloaded == 3


def test_nothing_counts_before_it_is_written(folder: Path) -> None:
    one = part(1, 4)
    staging = staged(folder, one)
    staging.took(one, page(1), at(2))
    staging.finished(one)

    assert (staging.batch().files, staging.batch().covered, staging.rows_unloaded) == ((), (), 0)


@pytest.mark.parametrize(("read_up_to", "covered"), [(None, []), (1, []), (3, [(at(1), at(3))]), (4, [(at(1), at(4))]), (30, [(at(1), at(4))])])
def test_a_slice_that_is_not_finished_is_covered_as_far_as_it_is_sure(
    folder: Path, read_up_to: int | None, covered: list[tuple[datetime, datetime]]
) -> None:
    """Up to the last record, which itself may have others of the same time behind it; never beyond what the slice covers."""
    one = part(1, 4, newest=True)
    staging = staged(folder, one)
    staging.took(one, page(1, 2), at(read_up_to) if read_up_to else None)

    assert spans(flushed(staging)) == covered


def test_pages_out_of_order_take_the_promise_back(folder: Path) -> None:
    one = part(1, 4)
    staging = staged(folder, one)
    staging.took(one, page(1), at(3))
    staging.took(one, page(2), None)

    batch = flushed(staging)

    assert (ids(batch), spans(batch)) == ([1, 2], [])


def test_the_newest_slice_is_never_covered_beyond_the_start_of_the_sync(folder: Path) -> None:
    newest = part(1, 4, newest=True)
    staging = staged(folder, newest)
    staging.took(newest, page(1), at(28))
    staging.finished(newest)

    assert spans(flushed(staging)) == [(at(1), at(4))]


def test_a_slice_without_records_is_covered_without_files(folder: Path) -> None:
    one = part(1, 4)
    staging = staged(folder, one)
    staging.took(one, page(), None)
    staging.finished(one)

    batch = flushed(staging)

    assert (batch.files, batch.rows, spans(batch)) == ((), 0, [(at(1), at(4))])


def test_a_fully_read_subset_stages_only_rows(folder: Path) -> None:
    slice_ = SubsetSlice(Subset("live"))
    staging = staged(folder, slice_)
    staging.took(slice_, page(1), None)
    staging.finished(slice_)

    batch = flushed(staging)

    assert (ids(batch), batch.covered) == ([1], ())


def test_a_walk_newest_first_is_covered_only_when_it_is_done(folder: Path) -> None:
    walk = Slice(Subset(), "updated", at(1), None, at(4), descending=True)
    staging = staged(folder, walk)
    staging.took(walk, page(1), None)
    assert spans(flushed(staging)) == []

    staging.finished(walk)

    assert spans(flushed(staging)) == [(at(1), at(4))]


def test_records_that_were_looked_up_are_loaded_too(folder: Path) -> None:
    live, archived = SubsetSlice(Subset("live")), SubsetSlice(Subset("archived"))
    staging = staged(folder, live, archived)
    staging.took(archived, page(1), None)
    staging.add_lookup(page(2))

    assert ids(flushed(staging)) == [1, 2]


# --- loading while reading goes on


def test_what_is_added_during_a_load_is_neither_lost_nor_taken_for_loaded(folder: Path) -> None:
    one, other = part(1, 4), part(4, 8)
    staging = staged(folder, one, other)
    staging.took(one, page(1), at(2))
    staging.took(other, page(2), at(5))
    first = flushed(staging)

    staging.took(one, page(3), at(3))
    staging.finished(one)
    staging.took(other, page(4), at(6))
    staging.write()
    staging.loaded(first)

    assert staging.rows_unloaded == 2
    second = staging.batch()
    assert (ids(second), second.rows, spans(second)) == ([3, 4], 2, [(at(1), at(4)), (at(4), at(6))])
    staging.loaded(second)
    third = staging.batch()
    assert (third.files, third.covered, third.rows, staging.rows_unloaded) == ((), (), 0, 0)


def test_what_is_still_in_memory_during_a_load_comes_with_the_next(folder: Path) -> None:
    one = part(1, 4)
    staging = staged(folder, one)
    staging.took(one, page(1), at(2))
    first = flushed(staging)
    staging.took(one, page(2), at(3))
    staging.finished(one)
    staging.loaded(first)
    assert staging.batch().files == ()

    second = flushed(staging)

    assert (ids(second), spans(second)) == ([2], [(at(1), at(4))])


def test_a_slice_that_has_not_moved_since_the_last_load_brings_no_coverage(folder: Path) -> None:
    one, other = part(1, 4), part(4, 8)
    staging = staged(folder, one, other)
    staging.took(one, page(1), at(2))
    staging.loaded(flushed(staging))
    staging.took(other, page(2), at(5))

    assert spans(flushed(staging)) == [(at(4), at(5))]


def test_loaded_files_are_deleted_and_others_are_not(folder: Path) -> None:
    one = part(1, 4)
    staging = staged(folder, one)
    staging.took(one, page(1), at(2))
    deleted = flushed(staging)
    staging.took(one, page(2), at(3))
    staging.write()
    staging.loaded(deleted)

    assert ids(staging.batch()) == [2]
    assert not any(file.exists() for file in deleted.files)


# --- bounded memory


def test_pages_are_worth_a_file_by_their_rows_or_their_bytes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging_module, "ROWS_PER_FILE", 10)
    one, other = part(1, 4), part(4, 8)
    staging = staged(folder, one, other)
    assert staging.worth_a_file == 0
    staging.took(one, page(*range(3)), at(2))
    staging.took(other, page(*range(10, 14)), at(5))
    assert staging.worth_a_file == 0.7

    monkeypatch.setattr(staging_module, "BYTES_PER_FILE", 100)
    assert staging.worth_a_file > 1

    staging.write()
    assert (staging.worth_a_file, staging.rows_unloaded) == (0, 7)


def test_one_file_holds_what_came_of_all_slices(folder: Path) -> None:
    one, other = part(1, 4), part(4, 8)
    staging = staged(folder, one, other)
    staging.took(one, page(1), at(2))
    staging.took(other, page(2), at(5))
    staging.took(one, page(3), at(3))

    batch = flushed(staging)

    assert (len(batch.files), ids(batch), spans(batch)) == (1, [1, 2, 3], [(at(1), at(3)), (at(4), at(5))])


def test_what_a_failed_write_held_comes_with_the_next(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = part(1, 4)
    staging = staged(folder, one)
    staging.took(one, page(1), at(2))
    with monkeypatch.context() as broken:
        broken.setattr(staging_module, "_write_parquet", full_disk)
        with pytest.raises(OSError, match="No space left"):
            staging.write()
    assert (staging.batch().files, staging.batch().covered) == ((), ())
    staging.took(one, page(2), at(3))

    batch = flushed(staging)

    assert (ids(batch), spans(batch)) == ([1, 2], [(at(1), at(3))])


def full_disk(frame: pl.DataFrame, path: Path) -> None:
    raise OSError(28, "No space left on device")


# --- a slice that is cut while it is read


def test_a_slice_that_was_cut_covers_what_it_kept(folder: Path) -> None:
    one = part(1, 8, newest=True)
    staging = staged(folder, one)
    staging.took(one, page(1), at(2))
    _, above = one.cut_at(at(5))
    staging.truncate(staging.part_of[id(one)], at(5))
    upper = staging.open(above)
    staging.finished(one)
    staging.add(upper, page(2), at(6))

    assert spans(flushed(staging)) == [(at(1), at(5)), (at(5), at(6))]
    staging.finish(upper)
    assert spans(flushed(staging)) == [(at(1), at(5)), (at(5), at(8))]


def test_a_cut_between_a_batch_and_its_load_loses_nothing(folder: Path) -> None:
    one = part(1, 8)
    staging = staged(folder, one)
    staging.took(one, page(1), at(2))
    first = flushed(staging)
    _, above = one.cut_at(at(5))
    staging.truncate(staging.part_of[id(one)], at(5))
    upper = staging.open(above)
    staging.add(upper, page(2), None)
    staging.finish(upper)
    staging.finished(one)

    staging.loaded(first)

    assert spans(flushed(staging)) == [(at(1), at(5)), (at(5), at(8))]


# --- what a killed sync leaves behind


def test_what_a_sync_left_is_loaded_by_the_next(folder: Path) -> None:
    one, other = part(1, 4), part(4, 8)
    killed = staged(folder, one, other)
    killed.took(one, page(1), at(2))
    killed.finished(one)
    killed.took(other, page(2), at(5))
    killed.write()
    killed.took(other, page(3), at(6))

    (left,) = leftovers(folder.parent)

    batch = left.batch()
    assert left.manifest.sync_id == "s1"
    assert (ids(batch), spans(batch)) == ([1, 2], [(at(1), at(4)), (at(4), at(5))])
    assert {row.read_at for row in batch.covered} == {READ_AT}
    left.loaded(batch)
    assert [again.batch().files + again.batch().covered for again in leftovers(folder.parent)] == [()]
    left.remove()
    assert list(leftovers(folder.parent)) == []


def test_only_what_was_not_loaded_is_left(folder: Path) -> None:
    one = part(1, 4)
    killed = staged(folder, one)
    killed.took(one, page(1), at(2))
    killed.loaded(flushed(killed))
    killed.took(one, page(2), at(3))
    killed.write()

    (left,) = leftovers(folder.parent)

    assert (ids(left.batch()), spans(left.batch())) == ([2], [(at(1), at(3))])


def test_folders_come_oldest_first(tmp_path: Path) -> None:
    for hour in (3, 1, 2):
        Staging(tmp_path / f"20260310T0{hour}0000-x", manifest(f"s{hour}")).write()

    assert [left.manifest.sync_id for left in leftovers(tmp_path)] == ["s1", "s2", "s3"]


OLDER = msgspec.json.encode({**msgspec.to_builtins(manifest()), "format": 1})


@pytest.mark.parametrize("content", [None, b"", b"{", b'{"sync_id":1}', b"[]", OLDER])
def test_a_folder_without_a_readable_manifest_is_deleted(tmp_path: Path, content: bytes | None) -> None:
    broken = tmp_path / "20260310T000000-broken"
    broken.mkdir()
    (broken / "000001.parquet").write_bytes(b"rest")
    if content is not None:
        (broken / "manifest.json").write_bytes(content)
    Staging(tmp_path / "20260310T010000-good", manifest()).write()

    assert [left.manifest.sync_id for left in leftovers(tmp_path)] == ["s1"]
    assert not broken.exists()


def test_there_may_be_nothing_left(tmp_path: Path) -> None:
    assert list(leftovers(tmp_path / "never made")) == []


def test_half_written_files_are_not_taken_for_whole_ones(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = part(1, 4)
    staging = staged(folder, one)
    staging.took(one, page(1), at(2))
    staging.write()
    staging.took(one, page(2), at(3))
    staging.finished(one)

    def full(path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(staging_module, "_sync_to_disk", full)
    with pytest.raises(OSError, match="No space left"):
        staging.write()

    (left,) = leftovers(folder.parent)
    assert (ids(left.batch()), spans(left.batch())) == ([1], [(at(1), at(2))])


def test_a_manifest_is_the_old_one_or_the_new_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = part(1, 4)
    staging = staged(folder, one)
    staging.took(one, page(1), at(2))
    staging.write()
    staging.took(one, page(2), at(3))
    staging.finished(one)

    def full(path: Path) -> None:
        if path.suffix != ".tmp" or path.stem == "manifest":
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(staging_module, "_sync_to_disk", full)
    with pytest.raises(OSError, match="No space left"):
        staging.write()

    assert sorted(file.name for file in folder.glob("*.parquet")) == ["000001.parquet", "000002.parquet"]
    (left,) = leftovers(folder.parent)
    assert (ids(left.batch()), spans(left.batch())) == ([1], [(at(1), at(2))])


def test_a_folder_is_intact_when_all_its_files_can_be_read(folder: Path) -> None:
    one = part(1, 4)
    staging = staged(folder, one)
    assert staging.is_intact()
    staging.took(one, page(1), at(2))
    staging.write()

    (left,) = leftovers(folder.parent)

    assert left.is_intact()
    left.loaded(left.batch())
    assert left.is_intact(), "files that are loaded are not missed"


OLDER = msgspec.json.encode({**msgspec.to_builtins(manifest()), "format": 1})


@pytest.mark.parametrize("content", [None, b"", b"PAR1", b"rest of a file"], ids=["missing", "empty", "magic alone", "damaged"])
def test_a_folder_with_a_file_that_cannot_be_read_is_not_intact(folder: Path, content: bytes | None) -> None:
    one = part(1, 4)
    staging = staged(folder, one)
    staging.took(one, page(1), at(2))
    staging.write()
    file = folder / "000001.parquet"
    file.unlink()
    if content is not None:
        file.write_bytes(content)

    (left,) = leftovers(folder.parent)

    assert not left.is_intact()


def test_instants_survive_the_manifest_with_microseconds(folder: Path) -> None:
    one = part(1, 4)
    exact = at(2) + timedelta(microseconds=123_457)
    staging = staged(folder, one)
    staging.took(one, page(1), exact)
    staging.write()

    (left,) = leftovers(folder.parent)

    assert spans(left.batch()) == [(at(1), exact)]

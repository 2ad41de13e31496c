"""What an interrupted sync has staged: the next one loads it, and goes on where it stopped."""

from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from klaviyo_assets.catalog.resource_type import Subset
from klaviyo_assets.extract.chain_position import Position, UnfinishedChain
from klaviyo_assets.extract.slices import ParentGroupSlice
from klaviyo_assets.staging import staging as staging_module
from klaviyo_assets.staging.staging import Staging, leftovers
from klaviyo_assets.state.child_parts import ChildPart
from klaviyo_assets_tests.staging.staged import READ_AT, at, covered_windows, ids, manifest, page, staged, window_slice, written_batch

# --- leftovers of a killed sync


def test_the_next_sync_loads_the_leftovers_of_a_killed_one(folder: Path) -> None:
    one, other = window_slice(1, 4), window_slice(4, 8)
    killed = staged(folder, one, other)
    killed.add_page(one, page(1), at(2))
    killed.finish_slice(one)
    killed.add_page(other, page(2), at(5))
    killed.write()
    killed.add_page(other, page(3), at(6))

    (left,) = leftovers(folder.parent)

    batch = left.batch()
    assert left.manifest.sync_id == "s1"
    assert (ids(batch), covered_windows(batch)) == ([1, 2], [(at(1), at(4)), (at(4), at(5))])
    assert {row.read_at for row in batch.covered} == {READ_AT}
    left.loaded(batch)
    assert [again.batch().files + again.batch().covered for again in leftovers(folder.parent)] == [()]
    left.remove()
    assert list(leftovers(folder.parent)) == []


def test_only_files_that_were_not_loaded_are_left(folder: Path) -> None:
    one = window_slice(1, 4)
    killed = staged(folder, one)
    killed.add_page(one, page(1), at(2))
    killed.loaded(written_batch(killed))
    killed.add_page(one, page(2), at(3))
    killed.write()

    (left,) = leftovers(folder.parent)

    assert (ids(left.batch()), covered_windows(left.batch())) == ([2], [(at(1), at(3))])


def test_leftovers_are_sorted_oldest_first(tmp_path: Path) -> None:
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


def test_there_may_be_no_leftovers(tmp_path: Path) -> None:
    assert list(leftovers(tmp_path / "never created")) == []


def test_partially_written_files_are_ignored(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = window_slice(1, 4)
    staging = staged(folder, one)
    staging.add_page(one, page(1), at(2))
    staging.write()
    staging.add_page(one, page(2), at(3))
    staging.finish_slice(one)

    def fail(path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(staging_module, "_sync_to_disk", fail)
    with pytest.raises(OSError, match="No space left"):
        staging.write()

    (left,) = leftovers(folder.parent)
    assert (ids(left.batch()), covered_windows(left.batch())) == ([1], [(at(1), at(2))])


def test_a_failed_write_leaves_the_previous_manifest(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = window_slice(1, 4)
    staging = staged(folder, one)
    staging.add_page(one, page(1), at(2))
    staging.write()
    staging.add_page(one, page(2), at(3))
    staging.finish_slice(one)

    def fail(path: Path) -> None:
        if path.suffix != ".tmp" or path.stem == "manifest":
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(staging_module, "_sync_to_disk", fail)
    with pytest.raises(OSError, match="No space left"):
        staging.write()

    assert sorted(file.name for file in folder.glob("*.parquet")) == ["000001.parquet", "000002.parquet"]
    (left,) = leftovers(folder.parent)
    assert (ids(left.batch()), covered_windows(left.batch())) == ([1], [(at(1), at(2))])


def test_a_folder_with_unchanged_files_is_intact(folder: Path) -> None:
    one = window_slice(1, 4)
    staging = staged(folder, one)
    assert staging.is_intact()
    staging.add_page(one, page(1), at(2))
    staging.write()

    (left,) = leftovers(folder.parent)

    assert left.is_intact()
    left.loaded(left.batch())
    assert left.is_intact(), "files that were loaded need not exist"


OLDER = msgspec.json.encode({**msgspec.to_builtins(manifest()), "format": 1})


@pytest.mark.parametrize("content", [None, b"", b"PAR1", b"rest of a file"], ids=["missing", "empty", "magic number only", "damaged"])
def test_a_folder_with_a_damaged_file_is_not_intact(folder: Path, content: bytes | None) -> None:
    one = window_slice(1, 4)
    staging = staged(folder, one)
    staging.add_page(one, page(1), at(2))
    staging.write()
    file = folder / "000001.parquet"
    file.unlink()
    if content is not None:
        file.write_bytes(content)

    (left,) = leftovers(folder.parent)

    assert not left.is_intact()


def test_the_manifest_keeps_microseconds(folder: Path) -> None:
    one = window_slice(1, 4)
    exact = at(2) + timedelta(microseconds=123_457)
    staging = staged(folder, one)
    staging.add_page(one, page(1), exact)
    staging.write()

    (left,) = leftovers(folder.parent)

    assert covered_windows(left.batch()) == [(at(1), exact)]


# --- chains that the next sync continues


def test_a_chain_goes_on_after_the_last_page_that_was_written(folder: Path) -> None:
    staging = Staging(folder, manifest())
    slices = [staging.open(ParentGroupSlice(Subset(), (name,), "coupon_id", READ_AT, "expires_at", ChildPart())) for name in ("A", "B", "C", "D")]
    for slice_id in slices:
        staging.add(slice_id, page(slice_id), None, Position(f"after {slice_id}", 1))
    staging.finish(slices[1])
    staging.give_up(slices[2])
    staging.write()
    staging.add(slices[0], page(9), None, Position("not written", 2))

    (left,) = leftovers(folder.parent)

    assert [*left.manifest.unfinished()] == [
        UnfinishedChain(("A",), ChildPart(), Position("after 0", 1), READ_AT),
        UnfinishedChain(("D",), ChildPart(), Position("after 3", 1), READ_AT),
    ]


def test_a_continued_chain_keeps_its_position_and_time_until_its_next_page(folder: Path) -> None:
    staging, position = Staging(folder, manifest()), Position("far", 40)
    slice_ = ParentGroupSlice(Subset(), ("A", "B"), "coupon_id", READ_AT, "expires_at", ChildPart("USED"), position, since=at(1))
    slice_id = staging.open(slice_)
    staging.write()

    (left,) = leftovers(folder.parent)

    assert [*left.manifest.unfinished()] == [UnfinishedChain(("A", "B"), ChildPart("USED"), position, at(1))]
    staging.finish(slice_id)
    staging.write()
    assert {row.read_at for row in staging.batch().covered} == {at(1)}

"""Keys of staged files are kept until the end of a read, and a range keeps nothing else."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from klaviyo_assets.extract.sync_options import SyncMode, SyncOptions
from klaviyo_assets.load.steps.read_comparison import ReadComparison
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.staging.seen_keys import keep_columns
from klaviyo_assets.state.coverage import TimeWindow
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import in_small_pages, sync, table


def test_columns_of_several_files_are_copied_into_one(tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.parquet" for number in range(2)]
    for number, file in enumerate(files):
        pl.DataFrame({"id": [str(number)], "datetime": [number], "other": ["x" * 100]}).write_parquet(file)

    (kept,) = keep_columns(files, ("id", "datetime"))

    assert pl.read_parquet(kept).sort("id").to_dict(as_series=False) == {"id": ["0", "1"], "datetime": [0, 1]}
    assert kept.stat().st_mode & 0o077 == 0
    assert keep_columns([], ("id",)) == []


@pytest.mark.slow
def test_a_range_keeps_only_the_keys_of_loaded_rows(
    new_account: Callable[..., SandboxProcess], warehouse: LocalFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = new_account(profiles=400)
    sync("profiles", sandbox, warehouse)
    gone = table(warehouse, "profiles")["id"][0]
    sandbox.change("delete", type="profiles", id=gone)
    monkeypatch.setattr("klaviyo_assets.staging.background_writer._SECONDS_PER_FILE", 0)
    monkeypatch.setattr("klaviyo_assets.staging.background_writer._SECONDS_PER_LOAD", 0)
    remaining: list[list[str]] = []

    def mark_missing(self: ReadComparison, field: str, window: TimeWindow, files: list[Path]) -> bool:
        remaining.append(sorted(path.name for path in files[0].parent.glob("*.parquet")))
        assert all(pl.read_parquet_schema(file).names() == ["id", "created"] for file in files)
        return original(self, field, window, files)

    original = ReadComparison.mark_missing
    monkeypatch.setattr(ReadComparison, "mark_missing", mark_missing)
    window = TimeWindow(sandbox.now() - timedelta(days=4000), sandbox.now())
    report = sync(in_small_pages("profiles"), sandbox, warehouse, SyncOptions(mode=SyncMode.range, window=window))

    (names,) = remaining
    assert names
    assert all(name.startswith("keys-") for name in names)
    assert report.row.rows_deleted == 1
    assert table(warehouse, "profiles", deleted=True)["id"].to_list() == [gone]

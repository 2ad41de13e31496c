"""Writing and loading in parallel with fetching: in order, bounded, and lost pages are never covered."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import polars as pl
import pytest

from klaviyo_assets.catalog import EVENTS
from klaviyo_assets.catalog.resource_type import Subset
from klaviyo_assets.decode import Page, PageDecoder
from klaviyo_assets.extract.page_sink import SliceId
from klaviyo_assets.extract.slices import Slice
from klaviyo_assets.load.batch import Batch
from klaviyo_assets.staging import background_writer
from klaviyo_assets.staging import staging as staging_module
from klaviyo_assets.staging.background_writer import BackgroundWriter
from klaviyo_assets.staging.manifest import new_manifest
from klaviyo_assets.staging.staging import Staging

START = datetime(2026, 3, 1, tzinfo=UTC)
DECODER = PageDecoder(EVENTS)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging_module, "ROWS_PER_FILE", 10)
    monkeypatch.setattr(background_writer, "ROWS_PER_LOAD", 30)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(background_writer, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


class Sync:
    """Staging with one slice that receives pages in order."""

    def __init__(self, folder: Path, load: Callable[[Batch], Awaitable[None]] | None = None) -> None:
        attributes = {"sync_id": "s", "resource_type": "events", "account_id": "a", "fingerprint": "f"}
        self.staging = Staging(folder / "s", new_manifest(**attributes, read_at=START + timedelta(days=9), resumable=True))
        self.slice_id: SliceId = self.staging.open(Slice(Subset(), "datetime", START, START + timedelta(days=8), START + timedelta(days=8)))
        self.loads: list[Batch] = []
        self.loaded_ids: list[str] = []
        self.writer = BackgroundWriter(self.staging, load or self.load)
        self.rows = 0

    async def load(self, batch: Batch) -> None:
        self.loads.append(batch)
        self.loaded_ids += [id_ for file in batch.files for id_ in pl.read_parquet(file)["id"]]
        await asyncio.sleep(0)

    async def page(self, rows: int = 5) -> None:
        times = [START + timedelta(seconds=self.rows + number) for number in range(rows)]
        self.rows += rows
        self.staging.add(self.slice_id, page_of(times), times[-1])
        await self.writer.after_page()

    async def pages(self, count: int) -> None:
        for _ in range(count):
            await self.page()
            await asyncio.sleep(0.01)

    @property
    def files(self) -> list[Path]:
        return sorted(self.staging.folder.glob("*.parquet"))


def page_of(times: list[datetime]) -> Page:
    data = [{"id": time.isoformat(), "attributes": {"datetime": time.isoformat()}} for time in times]
    return DECODER.page(msgspec.json.encode({"data": data, "links": {"next": "/more"}})).stamped(START)


def run(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(main, 30))


def test_pages_are_written_and_loaded_exactly_once(tmp_path: Path) -> None:
    sync = Sync(tmp_path)

    async def main() -> None:
        for _ in range(41):
            await sync.page()
        await sync.writer.finish()

    run(main())

    assert len(sync.loaded_ids) == len(set(sync.loaded_ids)) == sync.rows
    assert len(sync.loads) > 2
    ends = [row.end for batch in sync.loads for row in batch.covered]
    assert ends == sorted(ends)
    assert sync.staging.rows_unloaded == 0


def test_few_pages_are_written_after_a_second_and_loaded_after_a_while(tmp_path: Path, clock: SimpleNamespace) -> None:
    sync = Sync(tmp_path)

    async def main() -> None:
        await sync.page(1)
        assert sync.files == []
        clock.now += 1
        await sync.page(1)
        await sync.writer.settle()
        assert len(sync.files) == 1
        assert sync.loads == []
        clock.now += 30
        await sync.page(1)
        await sync.writer.settle()
        assert len(sync.loads) == 1

    run(main())


def test_staged_rows_are_loaded_early_if_few_more_are_expected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing runs in parallel with the last load, so it should be small."""
    monkeypatch.setattr(background_writer, "ROWS_PER_LOAD", 1000)
    monkeypatch.setattr(background_writer, "_MIN_ROWS_EARLY", 20)
    sync = Sync(tmp_path)
    sync.writer.rows_expected = lambda: 200 - sync.rows

    async def main() -> None:
        for _ in range(40):
            await sync.page()
            await sync.writer.settle()  # a load takes no longer than a page
        await sync.writer.finish()

    run(main())

    assert len(sync.loaded_ids) == len(set(sync.loaded_ids)) == 200
    sizes = [batch.rows for batch in sync.loads]
    assert 90 <= sizes[0] <= 120
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] <= 40


def test_fetching_waits_for_a_slower_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sync, may_write = Sync(tmp_path), threading.Event()
    write = Staging.write

    def slowly(self: Staging) -> None:
        assert may_write.wait(20)
        write(self)

    monkeypatch.setattr(Staging, "write", slowly)

    async def main() -> None:
        async def fetch() -> None:
            for _ in range(20):
                await sync.page()

        fetching = asyncio.create_task(fetch())
        await asyncio.sleep(0.1)
        assert not fetching.done()
        assert sync.rows <= 35
        may_write.set()
        await fetching
        await sync.writer.finish()

    run(main())
    assert len(sync.loaded_ids) == sync.rows == 100


@pytest.mark.long
def test_fetching_waits_for_a_slower_database(tmp_path: Path) -> None:
    may_load = asyncio.Event()

    async def main() -> None:
        loads: list[Batch] = []

        async def slowly(batch: Batch) -> None:
            await may_load.wait()
            loads.append(batch)

        sync = Sync(tmp_path, slowly)

        async def fetch() -> None:
            for _ in range(100):
                await sync.page()
                await sync.writer.write()

        fetching = asyncio.create_task(fetch())
        await asyncio.sleep(0.5)
        assert not fetching.done()
        assert sync.staging.rows_unloaded <= 30 * background_writer._LOADS_ON_DISK + 5
        may_load.set()
        await fetching
        await sync.writer.finish()
        assert sum(batch.rows for batch in loads) == 500

    run(main())


def test_a_failed_write_raises_and_adds_no_coverage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sync = Sync(tmp_path)

    async def main() -> None:
        with monkeypatch.context() as broken:
            broken.setattr(staging_module, "_write_parquet", fail_with_full_disk)
            with pytest.raises(OSError, match="No space left"):
                await sync.pages(10)
        assert sync.staging.batch().covered == ()
        await sync.writer.stop_and_keep_files()

    run(main())

    batch = sync.staging.batch()
    assert batch.rows == sync.rows
    assert [row.end for row in batch.covered] == [START + timedelta(seconds=sync.rows - 1)]


def fail_with_full_disk(frame: pl.DataFrame, path: Path) -> None:
    raise OSError(28, "No space left on device")


def test_a_failed_load_raises_and_its_rows_stay_staged(tmp_path: Path) -> None:
    async def broken(batch: Batch) -> None:
        raise RuntimeError("no database")

    sync = Sync(tmp_path, broken)

    async def main() -> None:
        with pytest.raises(RuntimeError, match="no database"):
            await sync.pages(100)
        await sync.writer.stop_and_keep_files()

    run(main())

    assert sync.staging.batch().rows == sync.rows


def test_without_loads_before_the_end_files_are_kept(tmp_path: Path) -> None:
    sync = Sync(tmp_path)
    sync.writer.load = None

    async def main() -> None:
        for _ in range(20):
            await sync.page()
        await sync.writer.finish()

    run(main())

    assert sync.staging.batch().rows == 100


@pytest.mark.parametrize(("known", "rows"), [(0, 30), (200, 30), (800, 100), (10**9, background_writer.MAX_ROWS_PER_LOAD)])
def test_larger_tables_have_larger_loads(tmp_path: Path, known: int, rows: int) -> None:
    sync = Sync(tmp_path)
    sync.writer.rows_known = known

    assert sync.writer._rows_per_load == rows


def test_writes_continue_during_the_only_load(tmp_path: Path) -> None:
    may_load = asyncio.Event()

    async def main() -> None:
        loads: list[Batch] = []

        async def slowly(batch: Batch) -> None:
            loads.append(batch)
            await may_load.wait()

        sync = Sync(tmp_path, slowly)
        while not loads:
            await sync.pages(1)
        files = len(sync.files)
        while len(sync.files) < files + 2:
            await sync.pages(1)
        assert len(loads) == 1, "more rows are due, but a load is running"
        may_load.set()
        await sync.writer.finish()
        assert sum(batch.rows for batch in loads) == sync.rows
        names = [file.name for batch in loads for file in batch.files]
        assert len(names) == len(set(names))
        assert sync.files == []
        windows = [(row.start, row.end) for batch in loads for row in batch.covered]
        assert [start for start, _ in windows] == [START] * len(windows)
        assert windows == sorted(windows)

    run(main())


def test_an_error_of_the_last_write_or_load_is_raised_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(batch: Batch) -> None:
        raise RuntimeError("no database")

    sync, other = Sync(tmp_path / "disk"), Sync(tmp_path / "database", broken)

    async def main() -> None:
        with monkeypatch.context() as full:
            full.setattr(staging_module, "_write_parquet", fail_with_full_disk)
            await sync.page(3)
            with pytest.raises(OSError, match="No space left"):
                await sync.writer.finish()
            with pytest.raises(OSError, match="No space left"):
                await sync.writer.stop_and_keep_files()
        assert (sync.loads, sync.staging.batch().covered, sync.staging.batch().files) == ([], (), ())
        await other.page(3)
        with pytest.raises(RuntimeError, match="no database"):
            await other.writer.finish()

    run(main())
    assert sync.staging.files_in_memory == 0.3, "the pages are still there"
    assert (other.staging.batch().rows, len(other.staging.batch().covered)) == (3, 1)


def test_a_sync_cancelled_during_a_write_and_a_load_keeps_all_rows(tmp_path: Path) -> None:
    async def forever(batch: Batch) -> None:
        await asyncio.Event().wait()

    sync = Sync(tmp_path, forever)

    async def main() -> None:
        finishing = asyncio.create_task(sync.writer.finish())
        await sync.pages(10)
        await asyncio.sleep(0.05)
        finishing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await finishing
        if sync.writer._loading is not None:
            sync.writer._loading.cancel()
        await sync.writer.stop_and_keep_files()

    run(main())
    assert sync.staging.batch().rows == sync.rows

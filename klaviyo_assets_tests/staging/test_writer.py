"""Writing and loading beside the fetching: in order, bounded, and nothing is claimed that is lost."""

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
from klaviyo_assets.staging import staging as staging_module
from klaviyo_assets.staging import writer
from klaviyo_assets.staging.manifest import new_manifest
from klaviyo_assets.staging.staging import Staging
from klaviyo_assets.staging.writer import BackgroundWriter

START = datetime(2026, 3, 1, tzinfo=UTC)
DECODER = PageDecoder(EVENTS)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging_module, "ROWS_PER_FILE", 10)
    monkeypatch.setattr(writer, "ROWS_PER_LOAD", 30)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(writer, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


class Desk:
    """Staging with one slice, into which pages come in order."""

    def __init__(self, folder: Path, load: Callable[[Batch], Awaitable[None]] | None = None) -> None:
        facts = {"sync_id": "s", "resource_type": "events", "account_id": "a", "fingerprint": "f"}
        self.staging = Staging(folder / "s", new_manifest(**facts, read_at=START + timedelta(days=9), resumable=True))
        self.part: SliceId = self.staging.open(Slice(Subset(), "datetime", START, START + timedelta(days=8), START + timedelta(days=8)))
        self.loads: list[Batch] = []
        self.loaded_ids: list[str] = []
        self.behind = BackgroundWriter(self.staging, load or self.load)
        self.rows = 0

    async def load(self, batch: Batch) -> None:
        self.loads.append(batch)
        self.loaded_ids += [id_ for file in batch.files for id_ in pl.read_parquet(file)["id"]]
        await asyncio.sleep(0)

    async def page(self, rows: int = 5) -> None:
        times = [START + timedelta(seconds=self.rows + number) for number in range(rows)]
        self.rows += rows
        self.staging.add(self.part, page_of(times), times[-1])
        await self.behind.after_page()

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


def test_pages_are_written_and_loaded_and_nothing_twice(tmp_path: Path) -> None:
    desk = Desk(tmp_path)

    async def main() -> None:
        for _ in range(41):
            await desk.page()
        await desk.behind.finish()

    run(main())

    assert len(desk.loaded_ids) == len(set(desk.loaded_ids)) == desk.rows
    assert len(desk.loads) > 2
    ends = [row.end for batch in desk.loads for row in batch.covered]
    assert ends == sorted(ends)
    assert desk.staging.rows_unloaded == 0


def test_few_pages_are_written_after_a_second_and_loaded_after_a_while(tmp_path: Path, clock: SimpleNamespace) -> None:
    desk = Desk(tmp_path)

    async def main() -> None:
        await desk.page(1)
        assert desk.files == []
        clock.now += 1
        await desk.page(1)
        await desk.behind.settle()
        assert len(desk.files) == 1
        assert desk.loads == []
        clock.now += 30
        await desk.page(1)
        await desk.behind.settle()
        assert len(desk.loads) == 1

    run(main())


def test_what_waits_is_loaded_before_the_end_when_no_more_than_that_is_to_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind the last load nothing hides, so it had better be small."""
    monkeypatch.setattr(writer, "ROWS_PER_LOAD", 1000)
    monkeypatch.setattr(writer, "_LEAST_ROWS_AHEAD", 20)
    desk = Desk(tmp_path)
    desk.behind.rows_expected = lambda: 200 - desk.rows

    async def main() -> None:
        for _ in range(40):
            await desk.page()
            await desk.behind.settle()  # a load takes no longer than a page
        await desk.behind.finish()

    run(main())

    assert len(desk.loaded_ids) == len(set(desk.loaded_ids)) == 200
    sizes = [batch.rows for batch in desk.loads]
    assert 90 <= sizes[0] <= 120
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] <= 40


def test_fetching_waits_for_a_disk_that_is_slower(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk, may_write = Desk(tmp_path), threading.Event()
    write = Staging.write

    def slowly(self: Staging) -> None:
        assert may_write.wait(20)
        write(self)

    monkeypatch.setattr(Staging, "write", slowly)

    async def main() -> None:
        async def fetch() -> None:
            for _ in range(20):
                await desk.page()

        fetching = asyncio.create_task(fetch())
        await asyncio.sleep(0.1)
        assert not fetching.done()
        assert desk.rows <= 35
        may_write.set()
        await fetching
        await desk.behind.finish()

    run(main())
    assert len(desk.loaded_ids) == desk.rows == 100


def test_fetching_waits_for_a_database_that_is_slower(tmp_path: Path) -> None:
    may_load = asyncio.Event()

    async def main() -> None:
        loads: list[Batch] = []

        async def slowly(batch: Batch) -> None:
            await may_load.wait()
            loads.append(batch)

        desk = Desk(tmp_path, slowly)

        async def fetch() -> None:
            for _ in range(100):
                await desk.page()
                await desk.behind._write()

        fetching = asyncio.create_task(fetch())
        await asyncio.sleep(0.5)
        assert not fetching.done()
        assert desk.staging.rows_unloaded <= 30 * writer._LOADS_ON_DISK + 5
        may_load.set()
        await fetching
        await desk.behind.finish()
        assert sum(batch.rows for batch in loads) == 500

    run(main())


def test_an_error_of_a_write_surfaces_and_nothing_lost_is_claimed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(tmp_path)

    async def main() -> None:
        with monkeypatch.context() as broken:
            broken.setattr(staging_module, "_write_parquet", full_disk)
            with pytest.raises(OSError, match="No space left"):
                await desk.pages(10)
        assert desk.staging.batch().covered == ()
        await desk.behind.give_up()

    run(main())

    batch = desk.staging.batch()
    assert batch.rows == desk.rows
    assert [row.end for row in batch.covered] == [START + timedelta(seconds=desk.rows - 1)]


def full_disk(frame: pl.DataFrame, path: Path) -> None:
    raise OSError(28, "No space left on device")


def test_an_error_of_a_load_surfaces_and_its_rows_stay_staged(tmp_path: Path) -> None:
    async def broken(batch: Batch) -> None:
        raise RuntimeError("no database")

    desk = Desk(tmp_path, broken)

    async def main() -> None:
        with pytest.raises(RuntimeError, match="no database"):
            await desk.pages(100)
        await desk.behind.give_up()

    run(main())

    assert desk.staging.batch().rows == desk.rows


def test_where_nothing_is_loaded_before_the_end_files_are_kept(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.behind.load = None

    async def main() -> None:
        for _ in range(20):
            await desk.page()
        await desk.behind.finish()

    run(main())

    assert desk.staging.batch().rows == 100


@pytest.mark.parametrize(("known", "rows"), [(0, 30), (200, 30), (800, 100), (10**9, writer.MOST_ROWS_PER_LOAD)])
def test_the_bigger_the_table_the_bigger_the_loads(tmp_path: Path, known: int, rows: int) -> None:
    desk = Desk(tmp_path)
    desk.behind.rows_known = known

    assert desk.behind._rows_per_load == rows


def test_there_is_one_load_at_a_time_and_writes_go_on_beside_it(tmp_path: Path) -> None:
    may_load = asyncio.Event()

    async def main() -> None:
        loads: list[Batch] = []

        async def slowly(batch: Batch) -> None:
            loads.append(batch)
            await may_load.wait()

        desk = Desk(tmp_path, slowly)
        while not loads:
            await desk.pages(1)
        files = len(desk.files)
        while len(desk.files) < files + 2:
            await desk.pages(1)
        assert len(loads) == 1, "more rows are due, but a load is under way"
        may_load.set()
        await desk.behind.finish()
        assert sum(batch.rows for batch in loads) == desk.rows
        names = [file.name for batch in loads for file in batch.files]
        assert len(names) == len(set(names))
        assert desk.files == []
        spans = [(row.start, row.end) for batch in loads for row in batch.covered]
        assert [start for start, _ in spans] == [START] * len(spans)
        assert spans == sorted(spans)

    run(main())


def test_an_error_of_the_last_write_or_load_surfaces_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(batch: Batch) -> None:
        raise RuntimeError("no database")

    desk, other = Desk(tmp_path / "disk"), Desk(tmp_path / "database", broken)

    async def main() -> None:
        with monkeypatch.context() as full:
            full.setattr(staging_module, "_write_parquet", full_disk)
            await desk.page(3)
            with pytest.raises(OSError, match="No space left"):
                await desk.behind.finish()
            with pytest.raises(OSError, match="No space left"):
                await desk.behind.give_up()
        assert (desk.loads, desk.staging.batch().covered, desk.staging.batch().files) == ([], (), ())
        await other.page(3)
        with pytest.raises(RuntimeError, match="no database"):
            await other.behind.finish()

    run(main())
    assert desk.staging.worth_a_file == 0.3, "the pages are still there"
    assert (other.staging.batch().rows, len(other.staging.batch().covered)) == (3, 1)


def test_a_sync_that_is_cancelled_while_it_writes_and_loads_keeps_all(tmp_path: Path) -> None:
    async def for_ever(batch: Batch) -> None:
        await asyncio.Event().wait()

    desk = Desk(tmp_path, for_ever)

    async def main() -> None:
        finishing = asyncio.create_task(desk.behind.finish())
        await desk.pages(10)
        await asyncio.sleep(0.05)
        finishing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await finishing
        if desk.behind._loading is not None:
            desk.behind._loading.cancel()
        await desk.behind.give_up()

    run(main())
    assert desk.staging.batch().rows == desk.rows

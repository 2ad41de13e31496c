"""Loads of 100,000 staged rows, four fifths of them changed, into a table, with the transaction and checkpoint of a sync's load."""

import random
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import polars as pl
from dagster_duckdb import DuckDBResource

from benchmarks.measuring import folder
from benchmarks.table import table
from klaviyo_assets.catalog import EVENTS
from klaviyo_assets.decode import EXTRA, SYNCED_AT, frame_schema
from klaviyo_assets.load.batch import Batch
from klaviyo_assets.load.loader import Loader
from klaviyo_assets.state.sync_log import SyncLogEntry
from klaviyo_assets.warehouse.local_file import LocalFile
from klaviyo_assets.warehouse.tuning import CONNECTION_CONFIG

_BATCH = 100_000
_NEW = 20_000
_FILE = 20_000
_START = datetime(2026, 1, 1, tzinfo=UTC)
_ROUNDS = 3


def report(quick: bool) -> str:
    """Run it."""
    lines = []
    for size in (200_000, 500_000) if quick else (1_000_000, 10_000_000):
        with folder() as into:
            loader, row = _table(into, size)
            for ids in ("clustered", "random"):
                seconds = []
                for round_ in range(_ROUNDS):
                    batch = _batch(into, size, ids, round_)
                    began = time.perf_counter()
                    loader.load(batch, row)
                    seconds.append(time.perf_counter() - began)
                lines.append([size, ids, median(seconds), _BATCH / median(seconds)])
            began = time.perf_counter()
            loader.load(batch, row)
            lines.append([size, "the same rows once more", time.perf_counter() - began, _BATCH / (time.perf_counter() - began)])
    return table(["rows in the table", "ids", "seconds", "rows/s"], lines)


def _table(into: Path, size: int) -> tuple[Loader, SyncLogEntry]:
    warehouse = LocalFile(DuckDBResource(database=str(into / "klaviyo.duckdb"), connection_config=dict(CONNECTION_CONFIG)))
    loader, row = Loader(warehouse, EVENTS, "klaviyo"), SyncLogEntry("benchmark", "events", "ABC123", "incremental", _START, None)
    loader.begin(row)
    window = 1_000_000
    for first in range(0, size, window):
        files = _write(into / f"base-{first}", list(range(first, min(size, first + window))), _START)
        loader.load(Batch(files, ()), row)
        for file in files:
            file.unlink()
    return loader, row


def _batch(into: Path, size: int, ids: str, round_: int) -> Batch:
    known = _BATCH - _NEW
    first = (round_ + 1) * size // (_ROUNDS + 2)
    old = list(range(first, first + known)) if ids == "clustered" else random.Random(round_).sample(range(size), known)
    begin = 10 * size + _NEW * (2 * round_ + (ids == "random"))
    return Batch(_write(into / f"{ids}-{round_}", [*old, *range(begin, begin + _NEW)], _START + timedelta(days=round_ + 1)), ())


def _write(into: Path, numbers: list[int], synced_at: datetime) -> tuple[Path, ...]:
    """Write staged files. Ids look random; records that are close in time are close in the table."""
    into.mkdir()
    files = []
    for first in range(0, len(numbers), _FILE):
        chunk = numbers[first : first + _FILE]
        rows = {
            "id": [f"{number * 0x9E3779B97F5 + 7 & 0xFFFFFFFFFFF:011x}" for number in chunk],
            "datetime": [_START + timedelta(seconds=number) for number in chunk],
            "event_properties": [_POOL[number % len(_POOL)] % (number, f"{synced_at:%Y-%m-%d}") for number in chunk],
            "profile_id": [f"01RS4AYP8BGKT5ZN{number % 99_991:010d}" for number in chunk],
            SYNCED_AT: [synced_at] * len(chunk),
        }
        schema = frame_schema(EVENTS)
        names = (*(column.name for column in EVENTS.received_columns), EXTRA, SYNCED_AT)
        frame = pl.DataFrame({name: rows.get(name, [None] * len(chunk)) for name in names})
        files.append(into / f"{first:09d}.parquet")
        frame.cast({name: schema[name] for name in frame.columns}).write_parquet(files[-1], compression="zstd", compression_level=1)
    return tuple(files)


def _properties(rng: random.Random) -> str:
    """Return about a kilobyte of properties, with placeholders for a number and a date."""
    items = ",".join(
        f'{{"SKU":"sku-{rng.getrandbits(32):x}","ProductName":"Thing {rng.getrandbits(64):x}","Quantity":{rng.randint(1, 5)},'
        f'"URL":"https://shop.example/products/{rng.getrandbits(96):x}","Categories":["c{rng.randint(1, 40)}","c{rng.randint(1, 40)}"]}}'
        for _ in range(6)
    )
    return f'{{"$event_id":"%d","$value":{rng.random() * 200:.2f},"seen":"%s","Items":[{items}]}}'


_POOL = [_properties(random.Random(seed)) for seed in range(20_000)]
"""More than fits into a compressor's window."""

"""Loads rows that a test defines."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from klaviyo_assets.catalog import CATALOG, ResourceType
from klaviyo_assets.decode import frame_schema
from klaviyo_assets.load.batch import Batch
from klaviyo_assets.load.loader import Loader
from klaviyo_assets.state.sync_log import SyncLogEntry
from klaviyo_assets.warehouse.interface import Warehouse

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Loads:
    """Loads batches into one table, one after another."""

    def __init__(self, warehouse: Warehouse, folder: Path, type_: str | ResourceType) -> None:
        self.entry = CATALOG[type_] if isinstance(type_, str) else type_
        self.warehouse, self.folder, self.number = warehouse, folder, 0
        self.row = SyncLogEntry("a-sync", self.entry.name, "unknown", "incremental", NOON, None)
        Loader(warehouse, self.entry, "klaviyo").begin(self.row)

    def __call__(self, *files: Sequence[dict[str, Any]]) -> tuple[int, int]:
        loader = Loader(self.warehouse, self.entry, "klaviyo")
        loader.load(Batch(files=self.staged(*files), covered=()), self.row)
        return loader.progress.counts.inserted, loader.progress.counts.updated

    def staged(self, *files: Sequence[dict[str, Any]]) -> tuple[Path, ...]:
        """Write rows into files as staging does."""
        paths: list[Path] = []
        for records in files:
            self.number += 1
            paths.append(self.folder / f"{self.number}.parquet")
            schema = frame_schema(self.entry)
            pl.DataFrame([{"_synced_at": NOON} | record for record in records], schema=schema).write_parquet(paths[-1])
        return tuple(paths)


def after(minutes: int) -> datetime:
    return NOON + timedelta(minutes=minutes)

"""Staged pages of a sync, and what a batch of them contains."""

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import polars as pl

from klaviyo_assets.catalog import EVENTS
from klaviyo_assets.catalog.resource_type import Subset
from klaviyo_assets.decode import Page, PageDecoder
from klaviyo_assets.extract.slices import Slice
from klaviyo_assets.load.batch import Batch
from klaviyo_assets.staging.manifest import Manifest, new_manifest
from klaviyo_assets.staging.staging import Staging

READ_AT = datetime(2026, 3, 10, 12, tzinfo=UTC)


def at(day: int) -> datetime:
    return datetime(2026, 3, day, tzinfo=UTC)


def window_slice(start: int, end: int, *, newest: bool = False) -> Slice:
    return Slice(Subset(), "datetime", start=at(start), end=None if newest else at(end), covers_to=at(end))


def page(*ids: int) -> Page:
    records = [{"id": str(id_), "attributes": {}} for id_ in ids]
    return PageDecoder(EVENTS).page(msgspec.json.encode({"data": records})).stamped(READ_AT)


def manifest(sync_id: str = "s1") -> Manifest:
    return new_manifest(sync_id=sync_id, resource_type="events", account_id="ABC123", fingerprint="fingerprint", read_at=READ_AT, resumable=True)


class Sync(Staging):
    """Staging that finds the id of a slice by the slice object."""

    def __init__(self, folder: Path, *slices: Slice) -> None:
        super().__init__(folder, manifest())
        self.slice_ids = {id(one): self.open(one) for one in slices}

    def add_page(self, slice_: Slice, page: Page, read_up_to: datetime | None) -> None:
        self.add(self.slice_ids[id(slice_)], page, read_up_to)

    def finish_slice(self, slice_: Slice) -> None:
        self.finish(self.slice_ids[id(slice_)])


def staged(folder: Path, *slices: Slice) -> Sync:
    return Sync(folder, *slices)


def ids(batch: Batch) -> list[int]:
    return sorted(int(id_) for file in batch.files for id_ in pl.read_parquet(file)["id"].to_list())


def covered_windows(batch: Batch) -> list[tuple[datetime, datetime]]:
    return [(row.start, row.end) for row in batch.covered]


def written_batch(staging: Staging) -> Batch:
    staging.write()
    return staging.batch()

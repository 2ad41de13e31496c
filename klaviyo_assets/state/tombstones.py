"""The table ``_erased``: hashes of the ids of erased records, and a filter that excludes these records from staging."""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import ClassVar

import polars as pl

from klaviyo_assets.state.bookkeeping_store import BookkeepingStore
from klaviyo_assets.warehouse.ddl import INSTANT, Columns


class Tombstones(BookkeepingStore):
    """The erased records of a schema. The table is created with the first erasure."""

    NAME: ClassVar[str] = "_erased"
    DESCRIPTION: ClassVar[str] = "Records that were erased and are not stored again."
    # Never renamed: earlier versions would mistake the table for another program's instead of reporting a newer layout.
    COLUMNS: ClassVar[Columns] = {
        "record": ("VARCHAR", "SHA-256 of the id of a record (a profile, a review) that is not stored again."),
        "erased_at": (INSTANT, "When it was erased, on the clock of the machine that did it."),
    }

    def hashes(self) -> frozenset[str]:
        """Return the hashes of the ids that were erased; see :func:`id_hash`."""
        return frozenset(value for (value,) in self._rows(f"SELECT record FROM {self.table}")) if self.exists else frozenset()

    def add_ids(self, ids: Iterable[str]) -> None:
        """Record the ids of records that are erased."""
        self.add_hashes({id_hash(id_) for id_ in ids})

    def add_hashes(self, hashes: Iterable[str]) -> None:
        """Record the hashes of the ids of records that are erased."""
        self.prepare()
        now = datetime.now(UTC)
        for value in sorted({*hashes} - self.hashes()):
            self.connection.execute(f"INSERT INTO {self.table} (record, erased_at) VALUES (?, ?)", [value, now])


def id_hash(id_: str) -> str:
    """Return the stored hash of the id of an erased record. Ids are long and random, so the hash cannot be reversed."""
    return hashlib.sha256(id_.encode()).hexdigest()


def without_erased(frame: pl.DataFrame, subject_column: str | None, key: Sequence[str], hashes: frozenset[str]) -> pl.DataFrame:
    """Return a frame without the rows of people who were erased.

    Args:
        frame: Rows to be staged.
        subject_column: Column with the profile id; None if the record itself may be erased.
        key: Columns of the primary key.
        hashes: See :meth:`Tombstones.hashes`.
    """
    if not hashes:
        return frame
    ids = frame[subject_column] if subject_column is not None else frame.select(pl.concat_str(key, separator="/")).to_series()
    erased = [id_ for id_ in ids.unique().drop_nulls() if id_hash(id_) in hashes]
    return frame.filter(~ids.is_in(erased).fill_null(False)) if erased else frame

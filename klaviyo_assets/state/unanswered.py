"""The table ``_unanswered``: records that were requested by id for included resources, which Klaviyo did not include then either."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import ClassVar

from klaviyo_assets.state.bookkeeping_store import BookkeepingStore
from klaviyo_assets.state.tombstones import id_hash
from klaviyo_assets.warehouse.ddl import INSTANT, Columns

ASKED_AGAIN_AFTER = timedelta(days=7)
"""When such a record is requested again, unless a full read comes first."""


class Unanswered(BookkeepingStore):
    """The records of a schema that need not be requested at each sync. The table is created with the first such record."""

    NAME: ClassVar[str] = "_unanswered"
    DESCRIPTION: ClassVar[str] = "Records that name included resources which Klaviyo did not send, not even when they were requested by their id."
    COLUMNS: ClassVar[Columns] = {
        "resource_type": ("VARCHAR", "Table."),
        # A hash, so that an erased record leaves nothing here.
        "record": ("VARCHAR", "SHA-256 of the record's id."),
        "asked_at": (INSTANT, "When it was requested, on Klaviyo's clock."),
    }

    def recent(self, resource_type: str, now: datetime) -> frozenset[str]:
        """Return the hashes of the ids of records that were requested recently; see :func:`id_hash`."""
        if not self.exists:
            return frozenset()
        rows = self._rows(f"SELECT record FROM {self.table} WHERE resource_type = ? AND asked_at > ?", [resource_type, now - ASKED_AGAIN_AFTER])
        return frozenset(record for (record,) in rows)

    def note(self, resource_type: str, ids: Collection[str], now: datetime) -> None:
        """Record that Klaviyo did not return requested records, and forget those that are requested again anyway."""
        self.prepare()
        hashes = sorted({id_hash(id_) for id_ in ids})
        self.connection.execute(
            f"DELETE FROM {self.table} WHERE resource_type = ? AND (asked_at <= ? OR list_contains(?, record))",
            [resource_type, now - ASKED_AGAIN_AFTER, hashes],
        )
        self.connection.execute(f"INSERT INTO {self.table} (resource_type, record, asked_at) SELECT ?, unnest(?), ?", [resource_type, hashes, now])

"""Checks that a sync rewrites the rows whose content has changed, and no others.

``_synced_at`` shows when a row was last written. Values of volatile columns differ at each read, so they are no reason to write a row, but a row that
is written for another reason has those of the same response.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import NamedTuple

import msgspec

from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets_tests.scenarios.difference import Difference
from klaviyo_assets_tests.scenarios.history import History
from klaviyo_assets_tests.scenarios.promises import ObservedSync
from klaviyo_assets_tests.scenarios.rows import Row, parent_of, volatile_sql, volatile_values


class _Document(msgspec.Struct):
    data: msgspec.Raw


class Written(NamedTuple):
    """Values of a row that the library sets: when it was read, those of volatile columns, and when a child was found to have left its parent."""

    at: int
    volatile: list[str | None] | None
    removed_at: datetime | None


class Rewrites:
    """The rows that syncs have written.

    Args:
        entry: The resource type.
        history: The records' versions.

    Attributes:
        sql: Columns to select for :meth:`check`.
    """

    def __init__(self, entry: ResourceType, history: History) -> None:
        self._entry, self._history = entry, history
        self._is_volatile = any(column.volatile for column in entry.columns)
        check = entry.replication.count_check
        columns = "epoch_us(_synced_at)", volatile_sql(entry) if self._is_volatile else "NULL", check.removed_column if check is not None else "NULL"
        self.sql = ", ".join(columns)
        self._shown: dict[str, list[tuple[int, list[str | None]]]] = {}
        self._after_success = True
        self._before: Mapping[str, tuple[Row | None, int]] = {}

    def observe(self, body: bytes) -> None:
        """Note the volatile values in a response."""
        data = msgspec.json.decode(body, type=_Document).data if self._is_volatile else msgspec.Raw(b"{}")
        for raw in msgspec.json.decode(data, type=list[msgspec.Raw]) if bytes(data).startswith(b"[") else []:
            id_ = msgspec.json.decode(raw)["id"]
            if versions := self._history.versions.get(id_):
                values = [None if value is None else str(value) for value in volatile_values(self._entry, bytes(raw))]
                self._shown.setdefault(id_, []).append((len(versions) - 1, values))

    def check(self, held: Mapping[str, Row | None], written: Mapping[str, Written], sync: ObservedSync, live_parents: Collection[str]) -> None:
        """Check the rows after a sync.

        Args:
            held: The rows; None for those that are marked as deleted.
            written: What :attr:`sql` selects of each.
            sync: The sync.
            live_parents: Parents that exist, for a child type.

        Raises:
            Difference: If a row was rewritten without reason, has volatile values of another response, is of a metric that the sync does not read, or
                lacks the time when a child left its parent.
        """
        for id_, row in held.items():
            # What an interrupted sync has read is loaded by the next one, which may select other metrics.
            if self._after_success and not sync.reads(self._history, id_) and self._before.get(id_, (None,))[0] != row:
                raise Difference(f"{self._entry.name} {id_}: the row changed although its metric is not selected")
            at, volatile, removed_at = written[id_]
            if row is None:
                if self._entry.replication.count_check is not None and removed_at is None and parent_of(self._entry, id_) in live_parents:
                    raise Difference(f"{self._entry.name} {id_}: the child left a parent that exists, but has no time of that")
                continue
            before, before_at = self._before.get(id_, (None, None))
            versions = self._history.versions[id_]
            if before == row and before_at != at and self._history.index(id_, sync.began) == len(versions) - 1:
                raise Difference(f"{self._entry.name} {id_}: the row was rewritten although nothing of it had changed")
            if self._is_volatile and (before != row or before_at != at) and not self._has_shown(id_, row, volatile):
                raise Difference(f"{self._entry.name} {id_}: the volatile values {volatile} are not those that Klaviyo sent with the others")
        self._after_success = sync.succeeded
        self._before = {id_: (row, written[id_].at) for id_, row in held.items()}

    def _has_shown(self, id_: str, row: Row, volatile: list[str | None] | None) -> bool:
        return any(values == volatile and self._history.versions[id_][index].row == row for index, values in self._shown.get(id_, ()))

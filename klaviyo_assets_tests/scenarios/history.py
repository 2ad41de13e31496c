"""Every version of every record, recorded as the account changes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from klaviyo_assets.catalog.columns import ColumnType
from klaviyo_assets.catalog.replication import Incremental
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets_tests.scenarios.rows import Row, row_of, secondary_cursor_times


@dataclass(frozen=True)
class Version:
    """A version of a record.

    Attributes:
        since: Number of the snapshot that first shows it. Snapshots are numbered because several may fall within one second.
        at: The sandbox's time of that snapshot.
        row: The table row; None while the record does not exist.
        times: Its timestamps in microseconds, by column name or by the path of a secondary cursor.
    """

    since: int
    at: datetime
    row: Row | None
    times: Mapping[str, int | None]


class History:
    """The versions of all records of a resource type. The first version of each record is its absence.

    Args:
        entry: The resource type.
        began: The sandbox's time at the start.

    Attributes:
        secondary_cursors: Paths of the timestamps that reveal changes which leave the version column unchanged.
    """

    def __init__(self, entry: ResourceType, began: datetime) -> None:
        self.entry = entry
        self.secondary_cursors = entry.replication.secondary_cursors if isinstance(entry.replication, Incremental) else ()
        self.snapshot = 0
        self.versions: dict[str, list[Version]] = {}
        self._absent = Version(-1, began, None, {})
        self._raw: dict[str, bytes] = {}
        self._metric = next((position for position, column in enumerate(entry.columns) if column.name == "metric_id"), None)
        self._times = [(position, column.name) for position, column in enumerate(entry.columns) if column.type is ColumnType.TIMESTAMP]

    def record(self, records: Mapping[str, bytes], at: datetime) -> int:
        """Record the current state and return the number of this snapshot."""
        self.snapshot += 1
        for id_, raw in records.items():
            if self._raw.get(id_) != raw:
                row = row_of(self.entry, raw)
                times = {name: row[position] for position, name in self._times} | secondary_cursor_times(self.secondary_cursors, raw)
                version = Version(self.snapshot, at, row, times)
                self.versions.setdefault(id_, [self._absent]).append(version)
        for id_ in self._raw.keys() - records.keys():
            self.versions[id_].append(Version(self.snapshot, at, None, {}))
        self._raw = dict(records)
        return self.snapshot

    def index(self, id_: str, snapshot: int) -> int:
        """Return the index of the version that a record had at a snapshot."""
        versions = self.versions[id_]
        return next(number for number in reversed(range(len(versions))) if versions[number].since <= snapshot)

    def metric(self, id_: str) -> str | None:
        """Return the metric of an event, which never changes."""
        if self._metric is None:
            return None
        metric: str | None = next(version.row[self._metric] for version in reversed(self.versions[id_]) if version.row is not None)
        return metric

    def last_times(self, id_: str) -> Mapping[str, int | None]:
        """Return the timestamps of a record's last existing version."""
        return next((version.times for version in reversed(self.versions[id_]) if version.row is not None), {})

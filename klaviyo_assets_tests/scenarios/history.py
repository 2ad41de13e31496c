"""Every version that a record has had, noted as it came about."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from klaviyo_assets.catalog.columns import ColumnType
from klaviyo_assets.catalog.replication import Incremental
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets_tests.scenarios.rows import Row, row_of, watched_times


@dataclass(frozen=True)
class Version:
    """A record from one moment on.

    Attributes:
        since: Number of the moment; moments are counted, since many may fall into one second.
        at: The sandbox's clock then.
        row: Its row; None while there is no such record.
        times: Its instants, by column or by the path that is watched, in microseconds.
    """

    since: int
    at: datetime
    row: Row | None
    times: Mapping[str, int | None]


class History:
    """The versions of all records of a resource type; the first of each is that it is not there.

    Args:
        entry: The resource type.
        began: The sandbox's clock at the start.

    Attributes:
        watched: Times by which changes are found that leave the version's time as it is.
    """

    def __init__(self, entry: ResourceType, began: datetime) -> None:
        self.entry = entry
        self.secondary_cursors = entry.replication.secondary_cursors if isinstance(entry.replication, Incremental) else ()
        self.moment = 0
        self.versions: dict[str, list[Version]] = {}
        self._unborn = Version(-1, began, None, {})
        self._raw: dict[str, bytes] = {}
        self._times = [(place, column.name) for place, column in enumerate(entry.columns) if column.type is ColumnType.TIMESTAMP]

    def note(self, records: Mapping[str, bytes], at: datetime) -> int:
        """Note what there is now, and return the number of this moment."""
        self.moment += 1
        for id_, raw in records.items():
            if self._raw.get(id_) != raw:
                row = row_of(self.entry, raw)
                times = {name: row[place] for place, name in self._times} | watched_times(self.secondary_cursors, raw)
                version = Version(self.moment, at, row, times)
                self.versions.setdefault(id_, [self._unborn]).append(version)
        for id_ in self._raw.keys() - records.keys():
            self.versions[id_].append(Version(self.moment, at, None, {}))
        self._raw = dict(records)
        return self.moment

    def index(self, id_: str, moment: int) -> int:
        """Return the number of the version that a record had at a moment."""
        versions = self.versions[id_]
        return next(number for number in reversed(range(len(versions))) if versions[number].since <= moment)

    def last_times(self, id_: str) -> Mapping[str, int | None]:
        """Return the instants that a record had when it was last there."""
        return next((version.times for version in reversed(self.versions[id_]) if version.row is not None), {})

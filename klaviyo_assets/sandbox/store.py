"""The account's records: found by id, walked in any order, arriving in their time."""

import heapq
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Iterator

from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.sandbox.fields import Value, canonical
from klaviyo_assets.sandbox.records import Record

Position = tuple[int, Value, str]
"""A place in an order: 0 for null or 1, the value, then the id, so that no two records share a place."""


def position(record: Record, field: str) -> Position:
    """Return the place of a record in the order by a field; nulls come first, as in most databases' ascending order."""
    value = record.values.get(field)
    return (0, 0, record.id) if value is None else (1, value, record.id)


class Collection:
    """The records of one type.

    Args:
        entry: The type.
    """

    def __init__(self, entry: ResourceType) -> None:
        self.entry = entry
        self._records: dict[str, Record] = {}
        self._orders: dict[str, list[Position]] = {}

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[Record]:
        """All records, in the order of their ids."""
        return (self._records[id] for _, _, id in self._order("id"))

    def get(self, id: str) -> Record | None:
        """Return the record with this id, if there is one."""
        return self._records.get(id)

    def fill(self, records: Iterable[Record]) -> None:
        """Add many records at once, when nothing has been read yet."""
        self._records.update((record.id, record) for record in records)
        self._orders.clear()

    def put(self, record: Record) -> None:
        """Add a record, or replace the one with its id."""
        self.remove(record.id)
        self._records[record.id] = record
        for field, order in self._orders.items():
            insort(order, position(record, field))

    def remove(self, id: str) -> Record | None:
        """Remove a record and return it, if there is one."""
        record = self._records.pop(id, None)
        if record is not None:
            for field, order in self._orders.items():
                del order[bisect_left(order, position(record, field))]
        return record

    def walk(
        self, field: str, *, descending: bool, after: Position | None = None, low: Position | None = None, high: Position | None = None
    ) -> Iterator[Record]:
        """Walk the records in the order of a field, beyond a place and within bounds.

        Args:
            field: Field to order by.
            descending: Whether to walk from the greatest to the least.
            after: Place to begin behind, in the direction of the walk.
            low: Least place, itself included.
            high: Greatest place, itself included.
        """
        order = self._order(canonical(self.entry, field))
        start = bisect_left(order, low) if low is not None else 0
        stop = bisect_right(order, high) if high is not None else len(order)
        if after is not None and descending:
            stop = min(stop, bisect_left(order, after))
        elif after is not None:
            start = max(start, bisect_right(order, after))
        indexes = range(stop - 1, start - 1, -1) if descending else range(start, stop)
        return (self._records[order[index][2]] for index in indexes)

    def _order(self, field: str) -> list[Position]:
        if field not in self._orders:
            self._orders[field] = sorted(position(record, field) for record in self._records.values())
        return self._orders[field]


class Store:
    """Every collection of the account, and the records that are still on their way.

    Args:
        entries: The types.
        on_arrival: Called with the type's name, the record and the instant for each record that arrives late.
    """

    def __init__(self, entries: Iterable[ResourceType]) -> None:
        self.collections = {entry.name: Collection(entry) for entry in entries}
        self.on_arrival: Callable[[str, Record, int], None] = lambda name, record, instant: None
        self._coming: list[tuple[int, int, str, Record]] = []
        self._sent = 0

    def __getitem__(self, name: str) -> Collection:
        return self.collections[name]

    def send(self, name: str, record: Record, arrival: int) -> None:
        """Put a record on its way: it is there once the clock reaches its arrival."""
        self._sent += 1
        heapq.heappush(self._coming, (arrival, self._sent, name, record))

    def settle(self, now: int) -> None:
        """Let everything arrive that is due."""
        while self._coming and self._coming[0][0] <= now:
            arrival, _, name, record = heapq.heappop(self._coming)
            self[name].put(record)
            self.on_arrival(name, record, arrival)

    @property
    def coming(self) -> int:
        """How many records are still on their way."""
        return len(self._coming)

    def amend_coming(self, amend: Callable[[str, Record], Record | None]) -> None:
        """Replace records that are on their way; None drops one."""
        amended = [(arrival, number, name, amend(name, record)) for arrival, number, name, record in self._coming]
        self._coming = [(arrival, number, name, record) for arrival, number, name, record in amended if record is not None]
        heapq.heapify(self._coming)

"""The account's records: look-up by id, iteration in any order, and scheduled arrival."""

import heapq
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from klaviyo_assets.catalog import Catalog
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.sandbox.fields import Value, canonical
from klaviyo_assets.sandbox.records import Record, encode, joined

Position = tuple[int, Value, str]
"""A position in a sort order: 0 for null or 1, the value, then the id, which makes it unique."""


def position(record: Record, field: str) -> Position:
    """Return the position of a record in the order by a field; nulls come first."""
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
        """Iterate over all records in the order of their ids."""
        return (self._records[id] for _, _, id in self._order("id"))

    def get(self, id: str) -> Record | None:
        """Return the record with this id, if there is one."""
        return self._records.get(id)

    def fill(self, records: Iterable[Record]) -> None:
        """Add many records at once, before anything is read."""
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
        """Iterate over the records in the order of a field, within bounds.

        Args:
            field: Field to order by.
            descending: Whether to use descending order.
            after: Position to start after, in the direction of the iteration.
            low: Lowest position, inclusive.
            high: Highest position, inclusive.
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


class _Part(Collection):
    """The children of one parent, which are also in the collection of all children.

    Args:
        entry: The type.
        whole: The collection of all children.
    """

    def __init__(self, entry: ResourceType, whole: Collection) -> None:
        super().__init__(entry)
        self._whole = whole

    def put(self, record: Record) -> None:
        """Add a record to both, or replace the one with its id."""
        super().put(record)
        self._whole.put(record)

    def remove(self, id: str) -> Record | None:
        """Remove a record from both and return it, if there is one."""
        record = super().remove(id)
        if record is not None:
            self._whole.remove(id)
        return record


class Children:
    """The records of a child type: a collection per parent.

    Args:
        entry: The type.

    Attributes:
        whole: All of them, if the API has one collection of all children, which it filters by parents; else empty.
    """

    def __init__(self, entry: ResourceType) -> None:
        self.entry = entry
        self.whole = Collection(entry)
        self._of: dict[str, Collection] = {}

    def __len__(self) -> int:
        return sum(len(collection) for collection in self._of.values())

    def __iter__(self) -> Iterator[tuple[str, Record]]:
        """Iterate over all records with the ids of their parents, in the order of both ids."""
        return ((parent_id, record) for parent_id in sorted(self._of) for record in self._of[parent_id])

    def of(self, parent_id: str) -> Collection:
        """Return the children of one parent."""
        if parent_id not in self._of:
            is_filtered = self.entry.parent is not None and self.entry.parent.filter is not None
            self._of[parent_id] = _Part(self.entry, self.whole) if is_filtered else Collection(self.entry)
        return self._of[parent_id]

    def remove_parent(self, parent_id: str) -> None:
        """Remove the children of a deleted parent."""
        for record in self._of.pop(parent_id, ()):
            self.whole.remove(record.id)

    def replace_everywhere(self, id: str, other_id: str | None) -> None:
        """Remove a record from every parent and add ``other_id`` instead, if the parent does not have it yet."""
        for collection in self._of.values():
            record = collection.remove(id)
            if record is not None and other_id is not None and collection.get(other_id) is None:
                raw = record.raw.replace(b'"id":%b' % encode(id), b'"id":%b' % encode(other_id), 1)
                cut = record.cut + len(raw) - len(record.raw)
                collection.put(replace(record, id=other_id, raw=raw, cut=cut, values={**record.values, "id": other_id}))


class Store:
    """Every collection of the account, and the records that are scheduled to arrive.

    Args:
        catalog: The types.

    Attributes:
        collections: The records of types without a parent, by type.
        children: The records of child types, by type.
        deleted: The deleted records of types without a parent, by type: reports still count what they have sent.
        on_arrival: Called with the type's name, the record and the instant when a scheduled record arrives.
    """

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.collections = {entry.name: Collection(entry) for entry in catalog.values() if entry.parent is None and entry.replication.report is None}
        self.children = {entry.name: Children(entry) for entry in catalog.values() if entry.parent is not None}
        for entry in catalog.values():
            if entry.records_of is not None and entry.records_of.name in self.collections:
                self.collections[entry.name] = self.collections[entry.records_of.name]
        self._by_jsonapi_type = {collection.entry.jsonapi_type: collection for collection in self.collections.values()}
        self.deleted: dict[str, dict[str, Record]] = {}
        self.on_arrival: Callable[[str, Record, int], None] = lambda name, record, instant: None
        self._scheduled: list[tuple[int, int, str, Record]] = []
        self._sequence = 0

    def __getitem__(self, name: str) -> Collection:
        return self.collections[name]

    def with_deleted(self, name: str) -> Iterator[Record]:
        """Iterate over the records of a type, then over the deleted ones."""
        yield from self[name]
        yield from self.deleted.get(name, {}).values()

    def count_of_children(self, entry: ResourceType, attribute: str, id: str) -> int | None:
        """Return the number of children of a record, if an additional field such as ``profile_count`` has it; None otherwise."""
        for children in self.children.values():
            parent, check = children.entry.parent, children.entry.replication.count_check
            if parent is not None and parent.type_name == entry.name and check is not None and check.attribute == attribute:
                return sum(self.whole(children.entry, record) is not None for record in children.of(id))
        return None

    def of_jsonapi_type(self, type_name: str) -> Collection | None:
        """Return the collection of the records with this ``type`` member, if there is one."""
        return self._by_jsonapi_type.get(type_name)

    def shared_with(self, entry: ResourceType) -> Collection | None:
        """Return the collection that also contains the records of a child type, such as the profiles of a list; None if there is none."""
        return None if entry.parent is None else self.of_jsonapi_type(entry.jsonapi_type)

    def records_of(self, entry: ResourceType, parent_id: str | None = None) -> Collection:
        """Return the records of a type, or of one parent; shared records hold only the parent's additional attributes."""
        if parent_id is not None:
            return self.children[entry.name].of(parent_id)
        return self.collections[entry.name] if entry.parent is None else self.children[entry.name].whole

    def ids_of(self, name: str) -> list[str]:
        """Return the ids of a type's records; the id of a child of several parents once."""
        if name in self.collections:
            return [record.id for record in self.collections[name]]
        return list(dict.fromkeys(record.id for _, record in self.children[name]))

    def has(self, name: str, id: str) -> bool:
        """Return whether a type has a record with this id, with whatever parent."""
        if name in self.collections:
            return self.collections[name].get(id) is not None
        return any(record.id == id for _, record in self.children[name])

    def whole(self, entry: ResourceType, record: Record) -> Record | None:
        """Return a record as the API returns it at its type's endpoint; None if the shared record has been deleted."""
        shared = self.shared_with(entry)
        if shared is None:
            return record
        found = shared.get(record.id)
        return None if found is None else joined(found, record)

    def counts(self) -> dict[str, int]:
        """Return the number of records by type."""
        return {name: len(found) for name, found in (self.collections | self.children).items()}

    def schedule(self, name: str, record: Record, arrival: int) -> None:
        """Schedule a record: it arrives when the clock reaches ``arrival``."""
        self._sequence += 1
        heapq.heappush(self._scheduled, (arrival, self._sequence, name, record))

    def settle(self, now: int) -> None:
        """Add the scheduled records that are due."""
        while self._scheduled and self._scheduled[0][0] <= now:
            arrival, _, name, record = heapq.heappop(self._scheduled)
            self[name].put(record)
            self.on_arrival(name, record, arrival)

    @property
    def scheduled(self) -> int:
        """Number of records that have not arrived yet."""
        return len(self._scheduled)

    def amend_scheduled(self, amend: Callable[[str, Record], Record | None]) -> None:
        """Replace the scheduled records with the results of a function; None drops a record."""
        amended = [(arrival, number, name, amend(name, record)) for arrival, number, name, record in self._scheduled]
        self._scheduled = [(arrival, number, name, record) for arrival, number, name, record in amended if record is not None]
        heapq.heapify(self._scheduled)

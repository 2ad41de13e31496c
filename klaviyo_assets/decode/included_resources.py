"""Attaches included resources to the records that name them, for columns whose values come from included resources.

The resource of an attribution has no attributes: all it says is in its relationships. Few records of a page name one, so everything here costs time
only for those that do.
"""

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import polars as pl
from msgspec import UNSET, Raw, UnsetType

from klaviyo_assets.catalog.columns import INCLUDED, Column, ColumnType
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.decode.polars_schema import dtype

Attached = dict[str, list[Raw | None]]
"""By relationship, in its order: the ``relationships`` member of each resource that a record names; None for a resource that was not included."""

_NO_RELATIONSHIPS = Raw(b"{}")


class _Resource(msgspec.Struct, gc=False):
    type: Raw
    id: str
    relationships: Raw = _NO_RELATIONSHIPS


class _Related(msgspec.Struct, gc=False):
    id: str


class _ToOne(msgspec.Struct, gc=False):
    data: _Related | UnsetType | None = UNSET


class Attacher:
    """Attaches included resources to records of one type.

    Args:
        entry: The resource type.
    """

    def __init__(self, entry: ResourceType) -> None:
        paths = (column.path for column in entry.columns if column.path[0] == INCLUDED)
        self._names = {path[1]: path[1].replace("-", "_") for path in paths}
        self._decoder = msgspec.json.Decoder(_Resource)

    def attach(self, records: Sequence[Any], included: Sequence[Raw]) -> tuple[str, ...]:
        """Attach the resources, and return the ids of records that name a resource that is not included.

        Args:
            records: Records of a document; those that name resources are changed.
            included: The included resource objects of the document.
        """
        incomplete: dict[str, None] = {}
        resources: dict[tuple[bytes, str], Raw] | None = None
        for name, member in self._names.items():
            # The relationship has the type of one with a list of ids, see the type checks.
            for record in [one for one in records if getattr(one.relationships, member).data]:
                if resources is None:
                    resources = self._by_identifier(included)
                references = getattr(record.relationships, member).data
                found = [resources.get((_type_of(reference), reference.id)) for reference in references]
                if record.included is None:
                    record.included = {}
                record.included[name] = found
                if None in found:
                    incomplete[record.id] = None
        return tuple(incomplete)

    def _by_identifier(self, included: Sequence[Raw]) -> dict[tuple[bytes, str], Raw]:
        """Return the relationships by type and id. Anything that is not a resource object counts as not included: the page stays readable."""
        found: dict[tuple[bytes, str], Raw] = {}
        for raw in included:
            with contextlib.suppress(msgspec.ValidationError):
                one = self._decoder.decode(raw)
                found[bytes(one.type), one.id] = one.relationships
        return found


def _type_of(reference: Any) -> bytes:
    return b"" if reference.type is UNSET else bytes(reference.type)


Places = tuple[int, Sequence[tuple[int, Attached]]]
"""The number of records, and the places of those with attached resources."""


def places_of(records: Sequence[Any]) -> Places:
    """Return where the records with attached resources are; found once for all columns."""
    return len(records), [(place, record.included) for place, record in enumerate(records) if record.included is not None]


def series_reader(column: Column) -> Callable[[Places], pl.Series]:
    """Return a function that reads a column of included resources."""
    _, relationship, *inside = column.path
    value = _all_relationships if column.type is ColumnType.JSON else _first_id(inside[-1])

    def read(places: Places) -> pl.Series:
        """Return a value per record; null where nothing was included."""
        length, attached = places
        empty = pl.Series(column.name, [None], dtype=dtype(column.type)).new_from_index(0, length)
        if not attached:
            return empty
        values = [value(resources.get(relationship, ())) for _, resources in attached]
        return empty.scatter([place for place, _ in attached], pl.Series(values, dtype=dtype(column.type)))

    return read


def _all_relationships(resources: Sequence[Raw | None]) -> str | None:
    """Return the relationships of all resources as Klaviyo sent them, with null for one that was not included; None if none was."""
    if not any(one is not None for one in resources):
        return None
    return f"[{','.join('null' if one is None else bytes(one).decode() for one in resources)}]"


def _first_id(name: str) -> Callable[[Sequence[Raw | None]], str | None]:
    """Return a function that reads the id in a to-one relationship of the first resource."""
    decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(
        msgspec.defstruct("Relationships", [("one", _ToOne | None, None)], rename={"one": name})
    )

    def read(resources: Sequence[Raw | None]) -> str | None:
        """Return the id in the first resource; None if it was not included or has none."""
        first = next(iter(resources), None)
        if first is None:
            return None
        try:
            relationship = decoder.decode(first).one
        except msgspec.ValidationError:  # of another form; the JSON column holds it as it is
            return None
        return relationship.data.id if relationship is not None and relationship.data else None

    return read

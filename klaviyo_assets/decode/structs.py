"""The msgspec structs of a resource type. They decode records that match: records with catalog columns and known unmapped members only.

Records contain no reference cycles, so the garbage collector ignores the structs (``gc=False``) instead of scanning thousands of them again and
again. Decoding then takes a quarter of the time.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from klaviyo_assets.catalog.columns import INCLUDED, Column, ColumnType
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.decode.polars_schema import RELATIONSHIP, extra_name

_INT64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]

NOT_IN_FIELD_NAMES = re.compile(r'[\\"\x00-\x1f\ud800-\udfff]')
"""Characters that msgspec does not accept in field names."""

_MAX_LEARNED = 64
"""Maximum number of unmapped members that a decoder learns, so a server that sends different names in each record does not cause endless rebuilds."""

STRICT_TYPES: dict[ColumnType, Any] = {
    ColumnType.STRING: str | None | UnsetType,
    ColumnType.INTEGER: _INT64 | None | UnsetType,
    ColumnType.FLOAT: float | None | UnsetType,
    ColumnType.BOOLEAN: bool | None | UnsetType,
    ColumnType.TIMESTAMP: str | None | UnsetType,
    ColumnType.DATE: str | None | UnsetType,
    ColumnType.JSON: Raw | UnsetType,
    ColumnType.STRINGS: list[str] | None | UnsetType,
}


class Reference(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """A JSON:API resource identifier object."""

    id: str
    type: Raw | UnsetType = UNSET


class ToOne(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """A to-one relationship."""

    data: Reference | None = None
    links: Raw | UnsetType = UNSET


class ToMany(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """A to-many relationship; ``data`` is unset if it has only links."""

    data: list[Reference] | UnsetType | None = UNSET
    links: Raw | UnsetType = UNSET


class NoIds(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """A relationship without a column and without ids: it has only links, or an empty ``data``."""

    data: Annotated[list[Any], msgspec.Meta(max_length=0)] | UnsetType | None = UNSET
    links: Raw | UnsetType = UNSET


class Links(msgspec.Struct):
    """Links of a collection document."""

    next: str | None = None


def has_ids(raw: Raw) -> bool:
    """Return whether a relationship without a column has more content than :class:`NoIds`, so it must be kept."""
    try:
        msgspec.json.decode(raw, type=NoIds | None)
    except msgspec.ValidationError:
        return True
    return False


@dataclass(frozen=True)
class Unmapped:
    """Members of records without a column.

    Attributes:
        attributes: Paths below ``attributes``.
        without_ids: Relationships that come without ids.
        with_ids: Relationships that come with ids or other content.
    """

    attributes: frozenset[tuple[str, ...]] = frozenset()
    without_ids: frozenset[str] = frozenset()
    with_ids: frozenset[str] = frozenset()

    def plus(self, other: "Unmapped") -> "Unmapped":
        """Return the union, without names that structs cannot have; ``self`` if nothing is new or there would be too many."""
        with_ids = self.with_ids | _fields(other.with_ids)
        attributes = self.attributes | {path for path in other.attributes if not NOT_IN_FIELD_NAMES.search("".join(path))}
        both = Unmapped(attributes, (self.without_ids | _fields(other.without_ids)) - with_ids, with_ids)
        return self if both == self or len(both.attributes) + len(both.without_ids) + len(with_ids) > _MAX_LEARNED else both


def _fields(names: Iterable[str]) -> frozenset[str]:
    return frozenset(name for name in names if not NOT_IN_FIELD_NAMES.search(name))


@dataclass(frozen=True)
class Group:
    """A flattened object: its struct and, by JSON name, its fields and nested groups."""

    struct: type[msgspec.Struct]
    fields: Mapping[str, Any]
    groups: Mapping[str, "Group"]
    python_names: Mapping[str, str]


class StrictDecoder:
    """Decodes documents and single records that match the structs.

    Attributes:
        attributes: The struct of the attributes.
        relationships: The struct of the relationships.
        derived: The struct of the values that are computed from the response.
        record: The struct of a record.

    Args:
        entry: The resource type.
        unmapped: Members without a column that records may have; they go to ``_extra``, byte for byte.
    """

    def __init__(self, entry: ResourceType, unmapped: Unmapped) -> None:
        self.attributes = _group(entry.jsonapi_type, _tree(entry, unmapped.attributes))
        self.relationships = _relationships(entry, unmapped)
        attributes: Any = ("attributes", self.attributes.struct)
        if entry.returns_ids_only:
            attributes = (*attributes, msgspec.field(default_factory=self.attributes.struct))
        # Set by us only, like extra: the resources that the record names, see decode/included_resources.py.
        attached = [("included", None, msgspec.field(default=None, name="_included"))]
        self.derived = _group("derived", {column.path[1]: column for column in entry.columns if column.path[0] == "derived"})
        # Only types with such columns: their resource objects are made here, and a member of this name from Klaviyo must not match.
        made: list[tuple[str, Any, Any]] = [("derived", self.derived.struct | UnsetType, UNSET)] if self.derived.fields else []
        record: Any = msgspec.defstruct(
            "Record",
            [
                ("id", str),
                attributes,
                ("relationships", self.relationships, msgspec.field(default_factory=self.relationships)),
                # Set by us only. Its type is None, so a member of this name from Klaviyo does not match.
                ("extra", None, msgspec.field(default=None, name="_extra")),
                # Known but not needed.
                ("type", Raw | UnsetType, UNSET),
                ("links", Raw | UnsetType, UNSET),
                *(attached if any(column.path[0] == INCLUDED for column in entry.columns) else []),
                *made,
            ],
            forbid_unknown_fields=True,
            gc=False,
        )
        self.record = record
        members: list[tuple[str, Any, Any]] = [("links", Links | UnsetType, UNSET)]
        if entry.requested_includes:  # otherwise the member is skipped like any other
            members.append(("included", list[Raw] | UnsetType | None, UNSET))
        document = msgspec.defstruct("Document", [("data", list[record]), *members])
        self._document: msgspec.json.Decoder[Any] = msgspec.json.Decoder(document)
        self._record: msgspec.json.Decoder[Any] = msgspec.json.Decoder(record)
        self._extra_readers = [*_attribute_readers(self.attributes, unmapped.attributes), *_relationship_readers(sorted(unmapped.with_ids))]

    def decode_document(self, data: bytes) -> Any:
        """Decode a collection document, to a struct with ``data``, ``links`` and, if the type requests includes, ``included``.

        Raises:
            msgspec.DecodeError: If it is not JSON, or a record does not match.
        """
        document = self._document.decode(data)
        self._fill_extra(document.data)
        return document

    def decode_record(self, data: bytes) -> Any:
        """Decode a record.

        Raises:
            msgspec.DecodeError: If it is not JSON, or does not match.
        """
        record = self._record.decode(data)
        self._fill_extra([record])
        return record

    def _fill_extra(self, records: Sequence[Any]) -> None:
        """Copy members without a column to ``extra``."""
        extras: dict[int, dict[str, Any]] = {}
        for (*parents, name), read in self._extra_readers:
            for number, value in enumerate(read(records)):
                if value is not UNSET:
                    place = extras.setdefault(number, {})
                    for parent in parents:
                        place = place.setdefault(parent, {})
                    place[name] = value
        for number, extra in extras.items():
            records[number].extra = Raw(msgspec.json.encode(extra))


_ReadColumn = Callable[[Sequence[Any]], Iterable[Any]]


def _attribute_readers(group: Group, paths: Iterable[tuple[str, ...]]) -> list[tuple[tuple[str, ...], _ReadColumn]]:
    """Return the path in ``_extra`` and a reader for each attribute, in the order of ``_extra``."""
    return [((extra_name(first), *rest), _reader(group, (first, *rest))) for first, *rest in sorted(paths)]


def _reader(group: Group, path: tuple[str, ...]) -> _ReadColumn:
    python_names: list[str] = []
    for name in path:
        python_names.append(group.python_names[name])
        group = group.groups.get(name, group)

    def read(records: Sequence[Any]) -> Iterable[Any]:
        """Return the value at the path of each record."""
        found: Iterable[Any] = [record.attributes for record in records]
        for name in python_names:
            found = [UNSET if one is UNSET or one is None else getattr(one, name, UNSET) for one in found]
        return found

    return read


def _relationship_readers(names: Sequence[str]) -> list[tuple[tuple[str, ...], _ReadColumn]]:
    def reader(python_name: str) -> _ReadColumn:
        """Return a reader of one relationship."""

        def read(records: Sequence[Any]) -> Iterable[Any]:
            """Return the relationship of each record if it has ids."""
            values = (getattr(record.relationships, python_name, UNSET) for record in records)
            return [value if value is not UNSET and has_ids(value) else UNSET for value in values]

        return read

    return [((RELATIONSHIP + name,), reader(f"with_ids_{number}")) for number, name in enumerate(names)]


def _relationships(entry: ResourceType, unmapped: Unmapped) -> type[msgspec.Struct]:
    fields: list[tuple[str, Any, Any]] = []
    names: dict[str, str] = {}
    for column in entry.columns:
        if column.path[0] == "relationships":
            many = column.type is ColumnType.STRINGS
            names[python_name(column.path[1])] = column.path[1]
            fields.append((python_name(column.path[1]), ToMany if many else ToOne | None, msgspec.field(default_factory=ToMany) if many else None))
    if entry.parent is not None and (name := entry.parent.relationship) is not None:
        names[python_name(name)] = name
        fields.append((python_name(name), ToOne | None, None))
    for type_, prefix, given in ((NoIds | None | UnsetType, "no_ids", unmapped.without_ids), (Raw | UnsetType, "with_ids", unmapped.with_ids)):
        for number, name in enumerate(sorted(given)):
            names[f"{prefix}_{number}"] = name
            fields.append((f"{prefix}_{number}", type_, UNSET))
    return msgspec.defstruct("Relationships", fields, rename=names, forbid_unknown_fields=True, gc=False)


def _tree(entry: ResourceType, unmapped: Iterable[tuple[str, ...]]) -> dict[str, Any]:
    """Return the attributes as a tree: branches are dictionaries, leaves are columns, or None for attributes without one."""
    tree: dict[str, Any] = {}
    leaves: dict[tuple[str, ...], Column | None] = {column.path[1:]: column for column in entry.columns if column.path[0] == "attributes"}
    for path, leaf in (leaves | dict.fromkeys(sorted(unmapped))).items():
        branch = tree
        for part in path[:-1]:
            branch = branch.setdefault(part, {})
        branch[path[-1]] = leaf
    return tree


def _group(name: str, tree: Mapping[str, Any]) -> Group:
    groups = {key: _group(f"{name}_{key}", branch) for key, branch in tree.items() if isinstance(branch, dict)}
    fields = {key: STRICT_TYPES[leaf.type] if leaf is not None else Raw | UnsetType for key, leaf in tree.items() if key not in groups}
    # Names of unmapped attributes may not be valid in Python.
    python_names = {key: python_name(key) if leaf is not None else f"unmapped_{number}" for number, (key, leaf) in enumerate(tree.items())}
    struct = msgspec.defstruct(
        python_name(name),
        [(python_names[key], groups[key].struct | None | UnsetType if key in groups else fields[key], UNSET) for key in tree],
        rename={python: key for key, python in python_names.items()},
        forbid_unknown_fields=True,
        gc=False,
    )
    return Group(struct, fields, groups, python_names)


def python_name(name: str) -> str:
    """Return the struct field name of a member of the catalog."""
    return name.replace("-", "_")

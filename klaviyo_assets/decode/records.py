"""Decodes resource objects: with a strict decoder first, with a tolerant one if a record does not match.

The decoders are built from the catalog. Customer-defined content is kept as raw bytes and never parsed, so its numbers, keys and order never change.
Members without a column are learned: the strict decoder is rebuilt to include them, so only the first page with them is decoded tolerantly.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from klaviyo_assets.catalog.columns import Column, ColumnType
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.decode.malformed import UnreadablePage
from klaviyo_assets.decode.polars_schema import RECORD, RELATIONSHIP, extra_name
from klaviyo_assets.decode.structs import STRICT_TYPES, Group, Links, StrictDecoder, ToMany, ToOne, Unmapped, has_ids, python_name

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
"""A number in JSON's syntax: ``float`` accepts more, such as 1_3 for 13."""


class _LooseReference(msgspec.Struct, gc=False):
    id: str
    type: Raw | UnsetType = UNSET


class _LooseToOne(msgspec.Struct, gc=False):
    data: _LooseReference | None = None


class _LooseToMany(msgspec.Struct, gc=False):
    data: list[_LooseReference] | UnsetType | None = UNSET


class _LooseDocument(msgspec.Struct):
    data: list[Raw]
    links: Links | UnsetType = UNSET
    included: Raw | UnsetType = UNSET


@dataclass(frozen=True)
class Document:
    """A decoded collection document.

    Attributes:
        records: Its resource objects.
        next_url: ``links.next``.
        has_links: Whether it has any links.
        tolerant: Number of records that were decoded tolerantly, at a fraction of the speed.
        included: Its included resource objects, if the type requests includes.
    """

    records: list[Any]
    next_url: str | None
    has_links: bool
    tolerant: int
    included: Sequence[Raw] = ()


class RecordDecoder:
    """Decodes resource objects of one type, singly or as a page.

    Args:
        entry: The resource type.
    """

    def __init__(self, entry: ResourceType) -> None:
        self._entry = entry
        self._relationships = {column.path[1]: column for column in entry.columns if column.path[0] == "relationships"}
        # A child that was requested together with those of other parents says itself which parent it has.
        self._names_parent = entry.parent.relationship if entry.parent is not None and entry.parent.filter is not None else None
        self._of_parent = {entry.parent.relationship} if entry.parent is not None else set()
        self._cataloged = StrictDecoder(entry, Unmapped())
        self._unmapped = Unmapped(without_ids=frozenset(name for root, name in entry.unmapped if root == "relationships"))
        self._strict = StrictDecoder(entry, self._unmapped)
        self._loose: msgspec.json.Decoder[_LooseDocument] = msgspec.json.Decoder(_LooseDocument)

    def document(self, data: bytes) -> Document:
        """Decode a collection document.

        Raises:
            msgspec.DecodeError: If it is not JSON, or not a collection document.
            UnreadablePage: If a record is not an object, or has no id.
        """
        strict, tolerant = self._strict, 0
        try:
            document = strict.decode_document(data)
            records, included = document.data, getattr(document, "included", UNSET)
        except msgspec.ValidationError:
            document = self._loose.decode(data)
            records, included = [], self._included(document.included)
            for number, raw in enumerate(document.data, 1):
                record = _strictly(strict, bytes(raw))
                tolerant += record is None
                records.append(record if record is not None else self._tolerant(bytes(raw), number))
        links = document.links
        return Document(records, links.next if links is not UNSET else None, links is not UNSET, tolerant, included or ())

    def single(self, data: bytes) -> Document:
        """Decode a document with one resource object."""
        document = msgspec.json.decode(data, type=_Single)
        raw = bytes(document.data)
        record = _strictly(self._strict, raw)
        found = record if record is not None else self._tolerant(raw, 1)
        return Document([found], None, False, int(record is None), self._included(document.included) or ())

    def _included(self, raw: Raw | UnsetType) -> list[Raw] | None:
        """Return the included resource objects; none if the type does not request any."""
        if not self._entry.requested_includes or raw is UNSET:
            return None
        return msgspec.json.decode(raw, type=list[Raw] | None)

    def _tolerant(self, data: bytes, number: int) -> Any:
        """Decode a record, with everything that does not match the catalog in ``extra``."""
        members = _object(data)
        if members is None:
            raise UnreadablePage(f"Record {number} of the page is not an object.")
        id_ = _id(members.get("id"))
        if id_ is None:
            raise UnreadablePage(f"Record {number} of the page has no id.")
        made: dict[str, Any] = {}
        if self._cataloged.derived.fields and "derived" in members:
            made["derived"] = msgspec.json.decode(members.pop("derived"), type=self._cataloged.derived.struct)
        unexpected = {f"{RECORD}{name}": raw for name, raw in members.items() if not _is_as_expected(name, raw)}
        attributes, unknown = _fit(self._cataloged.attributes, _object(members.get("attributes", _EMPTY_OBJECT)) or {})
        related = _object(members.get("relationships", _EMPTY_OBJECT)) or {}
        relationships, extra_relationships = self._fit_relationships(related)
        self._learn(unknown, related)
        extra = {**{extra_name(name): value for name, value in _sorted(unknown).items()}, **_sorted(extra_relationships), **unexpected}
        return self._cataloged.record(
            id=id_, attributes=attributes, relationships=relationships, extra=Raw(msgspec.json.encode(extra)) if extra else None, **made
        )

    def _fit_relationships(self, members: Mapping[str, Raw]) -> tuple[Any, dict[str, Raw]]:
        known: dict[str, Any] = {}
        extra: dict[str, Raw] = {}
        for name, raw in members.items():
            if name in self._of_parent:
                if name == self._names_parent:
                    known[python_name(name)] = msgspec.json.decode(raw, type=ToOne | None)
                continue  # the parent's id has its own column
            column = self._relationships.get(name)
            try:
                if column is not None:
                    known[python_name(name)] = msgspec.json.decode(raw, type=ToMany if column.type is ColumnType.STRINGS else ToOne | None)
                elif has_ids(raw):
                    extra[f"{RELATIONSHIP}{name}"] = raw
            except msgspec.ValidationError:
                extra[f"{RELATIONSHIP}{name}"] = raw
                if column is not None and (found := _ids_of(raw, column)) is not None:
                    known[python_name(name)] = found
        return self._cataloged.relationships(**known), extra

    def _learn(self, unknown: Mapping[str, Any], related: Mapping[str, Raw]) -> None:
        """Rebuild the strict decoder to accept these members. Safe if several threads do it at once."""
        names = frozenset(related) - self._relationships.keys() - self._of_parent
        with_ids = frozenset(name for name in names if has_ids(related[name]))
        before = self._unmapped
        unmapped = before.plus(Unmapped(frozenset(_without_column(self._cataloged.attributes, unknown)), names - with_ids, with_ids))
        if unmapped is not before:
            self._unmapped, self._strict = unmapped, StrictDecoder(self._entry, unmapped)


def _strictly(strict: StrictDecoder, data: bytes) -> Any | None:
    """Decode a record, or return None if it does not match."""
    try:
        return strict.decode_record(data)
    except msgspec.ValidationError:
        return None


def _without_column(group: Group, unknown: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """Yield the paths of members without a column. The other members have a column of a different type."""
    for name, value in unknown.items():
        if name not in group.python_names:
            yield (name,)
        elif isinstance(value, dict):
            yield from ((name, *path) for path in _without_column(group.groups[name], value))


def _sorted(members: Mapping[str, Any]) -> dict[str, Any]:
    """Sort members by name, including nested ones: the strict decoder loses their order, and both decoders must return the same text."""
    return {name: _sorted(value) if isinstance(value, dict) else value for name, value in sorted(members.items())}


_EMPTY_OBJECT = Raw(b"{}")

_MEMBER_BEGINNINGS = {"id": b'"', "attributes": b"{", "relationships": b"{", "type": b"", "links": b""}
"""Members of a resource object, and the first character of their value."""


def _is_as_expected(name: str, raw: Raw) -> bool:
    """Return whether a member of a resource object is known and of the expected type, or is empty."""
    text = bytes(raw)
    return text == b"null" or (text.startswith(_MEMBER_BEGINNINGS[name]) if name in _MEMBER_BEGINNINGS else text == b"{}")


def _object(raw: Raw | bytes) -> dict[str, Raw] | None:
    """Return the members of an object, or None if it is not an object."""
    try:
        return msgspec.json.decode(raw, type=dict[str, Raw])
    except msgspec.ValidationError:
        return None


def _id(raw: Raw | None) -> str | None:
    """Return an id, numbers as text; None if it is neither."""
    try:
        id_ = msgspec.json.decode(raw, type=str | int | float) if raw is not None else None
    except msgspec.ValidationError:
        return None
    return id_ if isinstance(id_, str) or raw is None else bytes(raw).decode()


def _ids_of(raw: Raw, column: Column) -> _LooseToOne | _LooseToMany | None:
    """Return the ids of a relationship that has other content too."""
    try:
        return msgspec.json.decode(raw, type=_LooseToMany) if column.type is ColumnType.STRINGS else msgspec.json.decode(raw, type=_LooseToOne)
    except msgspec.ValidationError:
        return None


class _Single(msgspec.Struct):
    data: Raw
    included: Raw | UnsetType = UNSET


def _fit(group: Group, members: Mapping[str, Raw]) -> tuple[Any, dict[str, Any]]:
    """Return the group's struct, and members that do not match as a dictionary with the same nesting."""
    known: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for name, raw in members.items():
        python_name = group.python_names.get(name)
        if python_name is None:
            extra[name] = raw
        elif name in group.groups:
            known[python_name], rest = _fit_group(group.groups[name], raw)
            if rest is not None:
                extra[name] = rest
        else:
            try:
                known[python_name] = _lenient(raw, group.fields[name])
            except (msgspec.ValidationError, ValueError):
                extra[name] = raw
    return group.struct(**known), extra


def _fit_group(group: Group, raw: Raw) -> tuple[Any, Any]:
    try:
        members = msgspec.json.decode(raw, type=dict[str, Raw] | None)
    except msgspec.ValidationError:
        return UNSET, raw
    if members is None:
        return None, None
    struct, rest = _fit(group, members)
    return struct, rest or None


def _lenient(raw: Raw, expected: Any) -> Any:
    """Decode a value. A number that Klaviyo sends as a string (such as a latitude) becomes a number."""
    try:
        return msgspec.json.decode(raw, type=expected)
    except msgspec.ValidationError:
        if expected is STRICT_TYPES[ColumnType.FLOAT]:
            text = msgspec.json.decode(raw, type=str)
            if _NUMBER.fullmatch(text) and math.isfinite(number := float(text)):
                return number
        raise

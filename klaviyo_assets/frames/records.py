"""The msgspec structs of a resource type: strict first, tolerant for a record that does not fit.

Built from the catalogue. Customer-defined parts are kept as raw bytes and never parsed, so that no number, key or order changes. A record holds no
cycles, so its structs are hidden from the garbage collector (``gc=False``), which would else look through thousands of them over and over: decoding
takes a quarter of the time.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from klaviyo_assets.catalog.model import Column, ColumnType, ResourceType
from klaviyo_assets.frames.schema import RECORD, RELATIONSHIP, name_beside
from klaviyo_assets.frames.unreadable import UnreadablePage

_INT64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
"""A number as JSON writes it: ``float`` takes more, and makes 13 of 1_3."""

_STRICT: dict[ColumnType, Any] = {
    ColumnType.STRING: str | None | UnsetType,
    ColumnType.INTEGER: _INT64 | None | UnsetType,
    ColumnType.FLOAT: float | None | UnsetType,
    ColumnType.BOOLEAN: bool | None | UnsetType,
    ColumnType.TIMESTAMP: str | None | UnsetType,
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
    """A to-many relationship; ``data`` is unset where only links are given."""

    data: list[Reference] | UnsetType | None = UNSET
    links: Raw | UnsetType = UNSET


class _LooseReference(msgspec.Struct, gc=False):
    id: str


class _LooseToOne(msgspec.Struct, gc=False):
    data: _LooseReference | None = None


class _LooseToMany(msgspec.Struct, gc=False):
    data: list[_LooseReference] | UnsetType | None = UNSET


class Links(msgspec.Struct):
    """Links of a collection document."""

    next: str | None = None


@dataclass(frozen=True)
class Document:
    """A decoded collection document.

    Attributes:
        records: Its resource objects.
        next_url: ``links.next``.
        has_links: Whether it has links at all, whichever they are.
    """

    records: list[Any]
    next_url: str | None
    has_links: bool


@dataclass(frozen=True)
class _Group:
    """A flattened object: its struct and, by JSON name, the fields or groups inside it."""

    struct: type[msgspec.Struct]
    fields: Mapping[str, Any]
    groups: Mapping[str, "_Group"]
    python_names: Mapping[str, str]


class RecordDecoder:
    """Decodes resource objects of one type, one by one or a page at once.

    Args:
        entry: The resource type.
    """

    def __init__(self, entry: ResourceType) -> None:
        self._attributes = _group(entry.jsonapi_type, _tree(entry, "attributes"))
        self._relationships = {column.path[1]: column for column in entry.columns if column.path[0] == "relationships"}
        relationships = msgspec.defstruct(
            "Relationships",
            [
                (_python_name(name), ToMany if column.type is ColumnType.STRINGS else ToOne | None, _default(column))
                for name, column in self._relationships.items()
            ],
            rename={_python_name(name): name for name in self._relationships},
            forbid_unknown_fields=True,
            gc=False,
        )
        self._relationships_struct = relationships
        record: Any = msgspec.defstruct(
            "Record",
            [
                ("id", str),
                ("attributes", self._attributes.struct),
                ("relationships", relationships, msgspec.field(default_factory=relationships)),
                # Ours alone: a member that Klaviyo may once send under this name is not taken for it.
                ("extra", None, msgspec.field(default=None, name="_extra")),
                # Known, and not needed; what is neither goes to _extra.
                ("type", Raw | UnsetType, UNSET),
                ("links", Raw | UnsetType, UNSET),
            ],
            forbid_unknown_fields=True,
            gc=False,
        )
        self._record = record
        document = msgspec.defstruct("Document", [("data", list[record]), ("links", Links | UnsetType, UNSET)])
        loose_document = msgspec.defstruct("LooseDocument", [("data", list[Raw]), ("links", Links | UnsetType, UNSET)])
        self._strict: msgspec.json.Decoder[Any] = msgspec.json.Decoder(document)
        self._strict_record: msgspec.json.Decoder[Any] = msgspec.json.Decoder(self._record)
        self._loose: msgspec.json.Decoder[Any] = msgspec.json.Decoder(loose_document)

    def document(self, data: bytes) -> Document:
        """Decode a collection document.

        Raises:
            msgspec.DecodeError: If it is not JSON, or not a collection document.
            UnreadablePage: If a record is none, or has no id.
        """
        try:
            document = self._strict.decode(data)
            records = document.data
        except msgspec.ValidationError:
            document = self._loose.decode(data)
            records = [self._tolerant(bytes(raw), number) for number, raw in enumerate(document.data, 1)]
        return Document(records, document.links.next if document.links is not UNSET else None, document.links is not UNSET)

    def single(self, data: bytes) -> Any:
        """Decode a document that holds one resource object."""
        return self._tolerant(bytes(msgspec.json.decode(data, type=_Single).data), 1)

    def _tolerant(self, data: bytes, number: int) -> Any:
        """Decode a record, keeping what does not fit the catalogue in ``extra``."""
        try:
            return self._strict_record.decode(data)
        except msgspec.ValidationError:
            pass
        members = _object(data)
        if members is None:
            raise UnreadablePage(f"Record {number} of the page is no object.")
        id_ = _id(members.get("id"))
        if id_ is None:
            raise UnreadablePage(f"Record {number} of the page has no id.")
        beside = {f"{RECORD}{name}": raw for name, raw in members.items() if not _is_as_expected(name, raw)}
        attributes, unknown = _fit(self._attributes, _object(members.get("attributes", _EMPTY)) or {})
        extra: dict[str, Any] = {name_beside(name): value for name, value in unknown.items()}
        relationships = self._fit_relationships(_object(members.get("relationships", _EMPTY)) or {}, extra)
        extra |= beside
        return self._record(id=id_, attributes=attributes, relationships=relationships, extra=Raw(msgspec.json.encode(extra)) if extra else None)

    def _fit_relationships(self, members: Mapping[str, Raw], extra: dict[str, Any]) -> Any:
        known: dict[str, Any] = {}
        for name, raw in members.items():
            column = self._relationships.get(name)
            try:
                if column is not None:
                    known[_python_name(name)] = msgspec.json.decode(raw, type=ToMany if column.type is ColumnType.STRINGS else ToOne | None)
                elif (_object(raw) or {"": raw}).keys() - {"links"}:
                    extra[f"{RELATIONSHIP}{name}"] = raw
            except msgspec.ValidationError:
                extra[f"{RELATIONSHIP}{name}"] = raw
                if column is not None and (found := _ids_of(raw, column)) is not None:
                    known[_python_name(name)] = found
        return self._relationships_struct(**known)


_EMPTY = Raw(b"{}")

_MEMBERS = {"id": b'"', "attributes": b"{", "relationships": b"{", "type": b"", "links": b""}
"""Members of a resource object, and what they begin with."""


def _is_as_expected(name: str, raw: Raw) -> bool:
    """Whether a member of a resource object is one that is known and of its type, or says nothing."""
    text = bytes(raw)
    return text == b"null" or (text.startswith(_MEMBERS[name]) if name in _MEMBERS else text == b"{}")


def _object(raw: Raw | bytes) -> dict[str, Raw] | None:
    """Return the members of an object; None if it is something else."""
    try:
        return msgspec.json.decode(raw, type=dict[str, Raw])
    except msgspec.ValidationError:
        return None


def _id(raw: Raw | None) -> str | None:
    """Return an id; a number stands for its text."""
    try:
        id_ = msgspec.json.decode(raw, type=str | int | float) if raw is not None else None
    except msgspec.ValidationError:
        return None
    return id_ if isinstance(id_, str) or raw is None else bytes(raw).decode()


def _ids_of(raw: Raw, column: Column) -> _LooseToOne | _LooseToMany | None:
    """Return the ids of a relationship that holds more than ids."""
    try:
        return msgspec.json.decode(raw, type=_LooseToMany) if column.type is ColumnType.STRINGS else msgspec.json.decode(raw, type=_LooseToOne)
    except msgspec.ValidationError:
        return None


class _Single(msgspec.Struct):
    data: Raw


def _fit(group: _Group, members: Mapping[str, Raw]) -> tuple[Any, dict[str, Any]]:
    """Put members into the group's struct, and what does not fit into a dictionary of the same shape."""
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


def _fit_group(group: _Group, raw: Raw) -> tuple[Any, Any]:
    try:
        members = msgspec.json.decode(raw, type=dict[str, Raw] | None)
    except msgspec.ValidationError:
        return UNSET, raw
    if members is None:
        return None, None
    struct, rest = _fit(group, members)
    return struct, rest or None


def _lenient(raw: Raw, expected: Any) -> Any:
    """Decode a value; a number that Klaviyo sends as a string (a latitude, say) is taken as the number."""
    try:
        return msgspec.json.decode(raw, type=expected)
    except msgspec.ValidationError:
        if expected is _STRICT[ColumnType.FLOAT]:
            text = msgspec.json.decode(raw, type=str)
            if _NUMBER.fullmatch(text) and math.isfinite(number := float(text)):
                return number
        raise


def _tree(entry: ResourceType, root: str) -> dict[str, Any]:
    """Nest the columns under ``root`` by their path: a leaf is a column, a branch a dictionary."""
    tree: dict[str, Any] = {}
    for column in entry.columns:
        if column.path[0] == root:
            branch = tree
            for part in column.path[1:-1]:
                branch = branch.setdefault(part, {})
            branch[column.path[-1]] = column
    return tree


def _group(name: str, tree: Mapping[str, Any]) -> _Group:
    groups = {key: _group(f"{name}_{key}", branch) for key, branch in tree.items() if isinstance(branch, dict)}
    fields = {key: _STRICT[column.type] for key, column in tree.items() if isinstance(column, Column)}
    python_names = {key: _python_name(key) for key in tree}
    struct = msgspec.defstruct(
        _python_name(name),
        [(python_names[key], groups[key].struct | None | UnsetType if key in groups else fields[key], UNSET) for key in tree],
        rename={python: key for key, python in python_names.items()},
        forbid_unknown_fields=True,
        gc=False,
    )
    return _Group(struct, fields, groups, python_names)


def _python_name(name: str) -> str:
    return name.replace("-", "_")


def _default(column: Column) -> Any:
    return msgspec.field(default_factory=ToMany) if column.type is ColumnType.STRINGS else None

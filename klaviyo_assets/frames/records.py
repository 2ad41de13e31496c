"""The msgspec structs of a resource type: strict first, tolerant for a record that does not fit.

Built from the catalogue. Customer-defined parts are kept as raw bytes and never parsed, so that no number, key or order changes. A record holds no
cycles, so its structs are hidden from the garbage collector (``gc=False``), which would else look through thousands of them over and over: decoding
takes a quarter of the time.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from klaviyo_assets.catalog.model import Column, ColumnType, ResourceType

_INT64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]

_STRICT: dict[ColumnType, Any] = {
    ColumnType.STRING: str | None | UnsetType,
    ColumnType.INTEGER: _INT64 | None | UnsetType,
    ColumnType.FLOAT: float | None | UnsetType,
    ColumnType.BOOLEAN: bool | None | UnsetType,
    ColumnType.TIMESTAMP: str | None | UnsetType,
    ColumnType.JSON: Raw | UnsetType,
    ColumnType.STRINGS: list[str] | None | UnsetType,
}


class Reference(msgspec.Struct, gc=False):
    """A JSON:API resource identifier object."""

    id: str


class ToOne(msgspec.Struct, gc=False):
    """A to-one relationship."""

    data: Reference | None = None


class ToMany(msgspec.Struct, gc=False):
    """A to-many relationship; ``data`` is unset where only links are given."""

    data: list[Reference] | UnsetType | None = UNSET


class Links(msgspec.Struct):
    """Links of a collection document."""

    next: str | None = None


class _Linked(msgspec.Struct):
    links: Raw | UnsetType = UNSET


def has_links(document: bytes) -> bool:
    """Return whether a document has links of its own, whichever they are."""
    return msgspec.json.decode(document, type=_Linked).links is not UNSET


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
                ("extra", Raw | None, msgspec.field(default=None, name="_extra")),
            ],
            gc=False,
        )
        self._record = record
        document = msgspec.defstruct("Document", [("data", list[record]), ("links", Links, msgspec.field(default_factory=Links))])
        loose_document = msgspec.defstruct("LooseDocument", [("data", list[Raw]), ("links", Links, msgspec.field(default_factory=Links))])
        self._strict: msgspec.json.Decoder[Any] = msgspec.json.Decoder(document)
        self._strict_record: msgspec.json.Decoder[Any] = msgspec.json.Decoder(self._record)
        self._loose: msgspec.json.Decoder[Any] = msgspec.json.Decoder(loose_document)

    def document(self, data: bytes) -> tuple[list[Any], str | None]:
        """Decode a collection document into records and the link to the next page.

        Raises:
            msgspec.DecodeError: If it is not JSON, not a collection document, or a record has no id.
        """
        try:
            document = self._strict.decode(data)
            return document.data, document.links.next
        except msgspec.ValidationError:
            loose = self._loose.decode(data)
            return [self._tolerant(bytes(raw)) for raw in loose.data], loose.links.next

    def single(self, data: bytes) -> Any:
        """Decode a document that holds one resource object."""
        return self._tolerant(bytes(msgspec.json.decode(data, type=_Single).data))

    def _tolerant(self, data: bytes) -> Any:
        """Decode a record, keeping what does not fit the catalogue in ``extra``."""
        try:
            return self._strict_record.decode(data)
        except msgspec.ValidationError:
            pass
        loose = msgspec.json.decode(data, type=_LooseRecord)
        attributes, extra = _fit(self._attributes, loose.attributes or {})
        relationships = self._fit_relationships(loose.relationships or {}, extra)
        return self._record(id=loose.id, attributes=attributes, relationships=relationships, extra=Raw(msgspec.json.encode(extra)) if extra else None)

    def _fit_relationships(self, members: Mapping[str, Raw], extra: dict[str, Any]) -> Any:
        known: dict[str, Any] = {}
        for name, raw in members.items():
            column = self._relationships.get(name)
            try:
                if column is not None:
                    known[_python_name(name)] = msgspec.json.decode(raw, type=ToMany if column.type is ColumnType.STRINGS else ToOne | None)
                elif msgspec.json.decode(raw, type=_AnyData).data is not UNSET:
                    extra[f"relationships.{name}"] = raw
            except msgspec.ValidationError:
                extra[f"relationships.{name}"] = raw
        return self._relationships_struct(**known)


class _AnyData(msgspec.Struct):
    data: Raw | UnsetType = UNSET


class _Single(msgspec.Struct):
    data: Raw


class _LooseRecord(msgspec.Struct):
    id: str
    attributes: dict[str, Raw] | None = None
    relationships: dict[str, Raw] | None = None


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
            number = float(msgspec.json.decode(raw, type=str))
            if math.isfinite(number):
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

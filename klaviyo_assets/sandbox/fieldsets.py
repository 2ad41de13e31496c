"""Sparse fieldsets: ``fields[profile]=email,location.city`` returns only these attributes."""

from collections.abc import Iterable
from typing import Any

import msgspec

from klaviyo_assets.catalog.columns import ColumnType
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.sandbox.errors import invalid
from klaviyo_assets.sandbox.json_members import members_of
from klaviyo_assets.sandbox.records import encode

_WITHOUT_RELATIONSHIPS = frozenset({"form"})
"""Types that Klaviyo sends without relationships if ``fields`` does not name one, as recorded; other types keep theirs."""


def check_fields(entries: Iterable[ResourceType], names: Iterable[str], parameter: str) -> None:
    """Reject names that are not a field of any of these types; the types share one JSON:API type.

    Raises:
        ApiError: 400, if there is one.
    """
    entries = list(entries)
    known, free = set[str]().union(*map(_known, entries)), set[str]().union(*map(_free, entries))
    for name in names:
        if name not in known and not any(name.startswith(f"{one}.") for one in free):
            raise invalid(f"'{name}' is not a valid field for the resource '{entries[0].jsonapi_type}'.", parameter)


def _known(entry: ResourceType) -> set[str]:
    """Return the path of every attribute of the type, and of every object that contains one."""
    paths = [column.path[1:] for column in entry.columns if column.path[0] == "attributes"]
    found = {".".join(path[:length]) for path in paths for length in range(1, len(path) + 1)}
    without_column = {path for root, path in entry.unmapped if root == "attributes"}
    return found | {"id"} | without_column | set(entry.endpoint.additional_fields)


def _free(entry: ResourceType) -> set[str]:
    """Return the attributes that the catalog describes as JSON: it does not know their members, so any name is valid."""
    return {".".join(column.path[1:]) for column in entry.columns if column.type is ColumnType.JSON}


def keep_fields(raw: bytes, names: Iterable[str]) -> bytes:
    """Return a record's JSON with only these attributes, their bytes unchanged."""
    record = members_of(raw)
    record["attributes"] = _kept(record["attributes"], [name.split(".") for name in names])
    if msgspec.json.decode(record["type"]) in _WITHOUT_RELATIONSHIPS:
        record.pop("relationships", None)
    return encode(record)


def _kept(raw: msgspec.Raw, paths: list[list[str]]) -> Any:
    members = members_of(raw)
    kept: dict[str, Any] = {}
    for name, value in members.items():
        deeper = [path[1:] for path in paths if path[0] == name]
        if deeper:
            kept[name] = value if [] in deeper or not bytes(value).startswith(b"{") else _kept(value, deeper)
    return kept

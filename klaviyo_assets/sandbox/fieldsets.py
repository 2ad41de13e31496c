"""Sparse fieldsets: ``fields[profile]=email,location.city`` keeps these attributes only."""

from collections.abc import Iterable
from typing import Any

import msgspec

from klaviyo_assets.catalog.columns import ColumnType
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.sandbox.errors import invalid
from klaviyo_assets.sandbox.json_members import members_of
from klaviyo_assets.sandbox.records import encode


def check_fields(entries: Iterable[ResourceType], names: Iterable[str], parameter: str) -> None:
    """Refuse names that are no field of any of these types, which have the same JSON:API type.

    Raises:
        ApiError: 400, if there is one.
    """
    entries = list(entries)
    known, free = set[str]().union(*map(_known, entries)), set[str]().union(*map(_free, entries))
    for name in names:
        if name not in known and not any(name.startswith(f"{one}.") for one in free):
            raise invalid(f"'{name}' is not a valid field for the resource '{entries[0].jsonapi_type}'.", parameter)


def _known(entry: ResourceType) -> set[str]:
    """Every attribute of the type, and every part of it that has parts."""
    paths = [column.path[1:] for column in entry.columns if column.path[0] == "attributes"]
    found = {".".join(path[:length]) for path in paths for length in range(1, len(path) + 1)}
    return found | {"id"} | set(entry.endpoint.additional_fields)


def _free(entry: ResourceType) -> set[str]:
    """Attributes that are JSON to the catalog: it does not know their parts, so any may be named."""
    return {".".join(column.path[1:]) for column in entry.columns if column.type is ColumnType.JSON}


def keep_fields(raw: bytes, names: Iterable[str]) -> bytes:
    """Return a record's JSON with these attributes only; what is kept stays byte for byte."""
    record = members_of(raw)
    record["attributes"] = _kept(record["attributes"], [name.split(".") for name in names])
    return encode(record)


def _kept(raw: msgspec.Raw, paths: list[list[str]]) -> Any:
    members = members_of(raw)
    kept: dict[str, Any] = {}
    for name, value in members.items():
        deeper = [path[1:] for path in paths if path[0] == name]
        if deeper:
            kept[name] = value if [] in deeper or not bytes(value).startswith(b"{") else _kept(value, deeper)
    return kept

"""The account's current records, for comparison with a table."""

from collections.abc import Iterator, Mapping
from typing import Any

from klaviyo_assets.catalog.columns import INCLUDED
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.sandbox.filters import Filter, compile_filter
from klaviyo_assets.sandbox.generate.hosted import derived_values
from klaviyo_assets.sandbox.json_members import members_of
from klaviyo_assets.sandbox.records import Record, encode, identifier
from klaviyo_assets.sandbox.related import with_linkage
from klaviyo_assets.sandbox.state import State


def true_records(state: State, name: str, additional_fields: tuple[str, ...] | None = None) -> Iterator[tuple[str, bytes]]:
    """Yield every record of a type with a key that is unique within the type.

    A record is the JSON that the API sends, with the ids of the relationships that every read includes. If a column of the table holds a value that
    the record does not have, the record ends with a member ``meta``: the values of its subset (a campaign's channel), the id of its parent and, by
    relationship, what its included resources name, and what the table computes.

    Args:
        state: The running sandbox.
        name: The type.
        additional_fields: Additional fields to return; all of them if None.
    """
    entry, store = state.catalog[name], state.account.store
    additional = entry.endpoint.additional_fields if additional_fields is None else additional_fields
    if entry.parent is None:
        subsets = _subsets(state, entry)
        includes = tuple(include.relationship for include in entry.requested_includes)
        for record in store[name]:
            raw = with_linkage(entry, record, record.rendered(additional), includes)
            yield record.id, _with_meta(raw, {**_values_of(record, subsets), **_included(entry, record), **derived_values(entry, record)})
        return
    for parent_id, child in store.children[name]:
        whole = store.whole(entry, child)
        if whole is not None:
            raw = identifier(entry, child) if entry.returns_ids_only else whole.rendered(additional)
            yield f"{parent_id}/{child.id}", _with_meta(raw, {entry.parent.column: parent_id})


def _subsets(state: State, entry: ResourceType) -> list[tuple[Filter, Mapping[str, str]]]:
    """Return the filter and the values of each subset that sets columns."""
    now = state.clock.now()
    return [(compile_filter(entry, ",".join(one.filters), state.options, now), one.values) for one in entry.subsets if one.values]


def _values_of(record: Record, subsets: list[tuple[Filter, Mapping[str, str]]]) -> Mapping[str, str]:
    return next((values for found, values in subsets if all(condition.met_by(record) for condition in found.conditions)), {})


def _included(entry: ResourceType, record: Record) -> Mapping[str, Any]:
    """Return the relationships of the included resources that columns of the type hold."""
    names = dict.fromkeys(column.path[1] for column in entry.columns if column.path[0] == INCLUDED)
    found = {name: [members_of(record.resources[id])["relationships"] for id in record.related.get(name, ())] for name in names}
    return {"included": found} if any(found.values()) else {}


def _with_meta(raw: bytes, meta: Mapping[str, Any]) -> bytes:
    return raw[:-1] + b',"meta":%b}' % encode(meta) if meta else raw

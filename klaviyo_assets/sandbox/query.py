"""The query parameters of a request, checked against the catalog."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.sandbox.errors import invalid
from klaviyo_assets.sandbox.fieldsets import check_fields
from klaviyo_assets.sandbox.records import target_type
from klaviyo_assets.sandbox.store import Store

_UNSIZED_PAGE = 200
"""Records per page of an endpoint with pages but without ``page[size]``."""


@dataclass(frozen=True)
class Query:
    """The query of a request.

    Attributes:
        parameters: The parameters as received.
        size: Records per page; None for all records on one page.
        sort: Field to sort by, with the prefix ``-`` for descending.
        include: Relationships to include.
        additional: Additional fields of the records.
        fields: Attributes to return, by type; all attributes for types that it does not contain.
    """

    parameters: Mapping[str, str]
    size: int | None
    sort: str
    include: tuple[str, ...]
    additional: tuple[str, ...]
    fields: Mapping[str, tuple[str, ...]]


def read_query(store: Store, entry: ResourceType, pairs: Iterable[tuple[str, str]], *, lookup: bool) -> Query:
    """Parse and check the query of a request.

    Args:
        store: The account, with the types that can be included.
        entry: The type.
        pairs: Names and values of the query string.
        lookup: True for a request for one record by its id.

    Raises:
        ApiError: 400, if Klaviyo would reject it.
    """
    parameters: dict[str, str] = {}
    for name, value in pairs:
        if name in parameters:
            raise invalid(f"The parameter '{name}' is given more than once.", name)
        parameters[name] = value
    known = _known_parameters(entry, lookup)
    for name in parameters:
        if name not in known:
            raise invalid(f"'{name}' is not a valid query parameter for this endpoint.", name)
    additional = f"additional-fields[{entry.jsonapi_type}]"
    return Query(
        parameters,
        _size(entry, parameters.get("page[size]")),
        _sort(entry, parameters.get("sort")),
        _listed(parameters, "include", entry.endpoint.includes),
        _listed(parameters, additional, _additional(entry, lookup)),
        _fields(store, entry, parameters),
    )


def _known_parameters(entry: ResourceType, lookup: bool) -> set[str]:
    endpoint = entry.endpoint
    known = {f"fields[{entry.jsonapi_type}]"}
    if endpoint.includes:
        known |= {"include"} | {f"fields[{target_type(name)}]" for name in endpoint.includes}
    if _additional(entry, lookup):
        known.add(f"additional-fields[{entry.jsonapi_type}]")
    if not lookup:
        known |= {name for name, there in _collection_parameters(entry).items() if there}
    return known


def _collection_parameters(entry: ResourceType) -> dict[str, bool]:
    endpoint = entry.endpoint
    return {
        "filter": bool(endpoint.filters),
        "sort": bool(endpoint.sorts),
        "page[size]": endpoint.page_size is not None,
        "page[cursor]": not endpoint.unpaged,
    }


def _additional(entry: ResourceType, lookup: bool) -> tuple[str, ...]:
    """Return the additional fields; those that the catalog knows only for their lower limit are valid only for the look-up of one record."""
    if not lookup:
        return entry.endpoint.additional_fields
    counted = [reduced.value for reduced in entry.endpoint.reduced_limits if reduced.parameter.startswith("additional-fields")]
    return tuple(dict.fromkeys((*entry.endpoint.additional_fields, *counted)))


def _size(entry: ResourceType, text: str | None) -> int | None:
    if entry.endpoint.unpaged:
        return None
    bounds = entry.endpoint.page_size
    if bounds is None:
        return _UNSIZED_PAGE
    if text is None:
        return bounds.default
    if not text.isdecimal() or not 1 <= int(text) <= bounds.maximum:
        raise invalid(f"Page size must be an integer between 1 and {bounds.maximum}.", "page[size]")
    return int(text)


def _sort(entry: ResourceType, text: str | None) -> str:
    if text is None:
        # Klaviyo documents no order; this one is stable and unrelated to time, so clients cannot rely on it.
        return "id"
    if text.removeprefix("-") not in entry.endpoint.sorts:
        raise invalid(f"'{text}' is not a valid sort option for this endpoint.", "sort")
    return text


def _listed(parameters: Mapping[str, str], name: str, allowed: tuple[str, ...]) -> tuple[str, ...]:
    names = tuple(part for part in parameters.get(name, "").split(",") if part)
    for part in names:
        if part not in allowed:
            raise invalid(f"'{part}' is not a valid value for '{name}'.", name)
    return names


def _fields(store: Store, entry: ResourceType, parameters: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for name, value in parameters.items():
        if name.startswith("fields["):
            type_name = name.removeprefix("fields[").removesuffix("]")
            found[type_name] = tuple(part for part in value.split(",") if part)
            # The records of a child type can have the JSON:API type of another type, and its attributes.
            collection = store.of_jsonapi_type(type_name)
            known = [*([entry] if type_name == entry.jsonapi_type else []), *([collection.entry] if collection is not None else [])]
            if known:
                check_fields(known, found[type_name], name)
    return found

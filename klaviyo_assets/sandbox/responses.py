"""JSON documents for responses: one page of a collection, or one record."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from enum import Enum, auto
from itertools import islice
from urllib.parse import urlencode

from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.sandbox import cursors
from klaviyo_assets.sandbox.catalog_links import resolved
from klaviyo_assets.sandbox.cursors import Cursor
from klaviyo_assets.sandbox.errors import ApiError
from klaviyo_assets.sandbox.fields import FieldKind, canonical, kind_of
from klaviyo_assets.sandbox.fieldsets import keep_fields
from klaviyo_assets.sandbox.filters import Filter, compile_filter
from klaviyo_assets.sandbox.options import SandboxOptions
from klaviyo_assets.sandbox.query import Query
from klaviyo_assets.sandbox.records import Record, encode, identifier, refreshed, target_type
from klaviyo_assets.sandbox.related import related_ids, resource, with_linkage
from klaviyo_assets.sandbox.store import Position, Store, position

_EVENT_ID = re.compile(r"[0-9A-Za-z]{11}")

_NOT_FOUND = {
    "accounts": "Account with id {id} not found.",
    "campaigns": "A campaign with id '{id}' does not exist.",
    "lists": "A list with id `{id}` does not exist.",
    "metrics": "Metric with id {id} does not exist.",
    "reviews": "A review with id `{id}` does not exist.",
    "segments": "A segment with id `{id}` does not exist.",
}


_BY_ID_ONLY: Mapping[str, Mapping[str, bytes]] = {"forms": {"definition": b'{"versions":[{"steps":[]}]}'}}
"""Attributes that only a look-up returns, by type."""

_SELF_LINK_ONLY = frozenset({"custom_metrics", "mapped_metrics", "object_types"})
"""Types with collections that have no links to other pages, not even null, as recorded."""


_WITHOUT_ID = {"forms": "created_at", "web_feeds": "created"}
"""Types and sorts with recorded cursors that hold no id. Whether Klaviyo then skips or repeats records of the same time was not recorded."""


class Oddity(Enum):
    """An oddity of a well-formed page."""

    EMPTY = auto()
    """The page has no records, although there are more."""
    OVERLAP = auto()
    """Its last records are also on the next page."""
    REPEATED = auto()
    """Its next link points to the page itself."""


_OVERLAP = 3
"""Number of records that are on two pages."""


def collection(
    store: Store,
    entry: ResourceType,
    query: Query,
    options: SandboxOptions,
    now: int,
    origin: str,
    oddity: Oddity | None = None,
    parent_id: str | None = None,
) -> bytes:
    """Return the document with one page of a collection.

    Args:
        store: The account.
        entry: The type.
        query: The query.
        options: The sandbox's options.
        now: The sandbox's time.
        origin: Scheme, host and port for the page's links.
        oddity: The oddity of the page, if it should have one.
        parent_id: The id of the parent, for a child type.

    Raises:
        ApiError: 400, if Klaviyo would reject the filter or the cursor; 404, if there is no such parent.
    """
    path, parameters = entry.endpoint.path, query.parameters
    if entry.parent is not None and parent_id is not None:
        parent = store.catalog[entry.parent.type_name]
        if not store.has(parent.name, parent_id):
            raise _not_found(parent, parent_id)
        path = entry.parent.path_of(parent_id)
    filter_ = resolved(store, entry, compile_filter(entry, parameters.get("filter"), options, now))
    text = parameters.get("page[cursor]")
    cursor = None if text is None else cursors.read(text, path, parameters, now)
    records, has_previous, has_next = _page(store, entry, query, filter_, cursor, parent_id)

    def link(place: Position, backwards: bool) -> str:
        if options.cursors_by_time_alone and _WITHOUT_ID.get(entry.name) == query.sort.removeprefix("-"):
            place = (*place[:2], "" if query.sort.startswith("-") != backwards else "\uffff")
        written = cursors.write(Cursor(place, backwards), path, parameters, now)
        return f"{origin}{path}?{urlencode({**parameters, 'page[cursor]': written})}"

    field = canonical(entry, query.sort.removeprefix("-"))
    own = f"{origin}{path}" + (f"?{urlencode(dict(parameters))}" if parameters else "")
    following = link(position(records[-1], field), False) if has_next else None
    match oddity:
        case Oddity.EMPTY if cursor is not None:
            # A new cursor for the same position, so the link differs.
            records, has_previous, following = [], False, link(cursor.place, cursor.backwards)
        case Oddity.OVERLAP if has_next and len(records) > _OVERLAP:
            following = link(position(records[-1 - _OVERLAP], field), False)
        case Oddity.REPEATED if has_next:
            following = own
    links: dict[str, str | None] = {"self": own}
    is_single_page = entry.name in ("form_versions", "metric_properties") and following is None
    if entry.name not in _SELF_LINK_ONLY and not is_single_page:
        previous = link(position(records[0], field), True) if has_previous else _bogus_prev(entry, own, parameters)
        links |= {"next": following, "prev": previous}
    data = b"[" + b",".join(_rendered(entry, records, query, now)) + b"]"
    included = _included(store, entry, records, query, truncated=options.truncated_includes)
    if included is not None and options.max_included:
        included = included[: options.max_included]
    return _document(data, links, included)


def _bogus_prev(entry: ResourceType, own: str, parameters: Mapping[str, str]) -> str | None:
    """Return the bogus ``prev`` link that Klaviyo sends with the first page of filtered lists."""
    text = parameters.get("filter")
    return (
        f"{own}&{urlencode({'page[cursor]': f'<Filters: {text}>'})}" if entry.name == "lists" and text and "page[cursor]" not in parameters else None
    )


def lookup(store: Store, entry: ResourceType, query: Query, id: str, now: int, origin: str, *, bare: bool = False) -> bytes:
    """Return the document with one record.

    Raises:
        ApiError: 404, if there is none with this id.
    """
    record = store.records_of(entry).get(id)
    if record is None:
        raise _not_found(entry, id)
    if (more := _BY_ID_ONLY.get(entry.name)) and entry.jsonapi_type not in query.fields:
        record, query = replace(record, extras={**record.extras, **more}), replace(query, additional=(*query.additional, *more))
    counts = {name: count for name in query.additional if (count := store.count_of_children(entry, name, id)) is not None}
    if counts:
        record = replace(record, extras={**record.extras, **{name: encode(count) for name, count in counts.items()}})
    own = f"{origin}{entry.endpoint.path}/{id}" + (f"?{urlencode(dict(query.parameters))}" if query.parameters else "")
    links: dict[str, str | None] = {"self": own}
    included = _included(store, entry, [record], query)
    return _document(next(_rendered(entry, [record], query, now)), links, [] if included and bare else included)


def _not_found(entry: ResourceType, id: str) -> ApiError:
    """Return the error for an unknown id, with the type's message; a malformed event id, or none of a fixed set, is an invalid request."""
    if entry.name == "events" and not _EVENT_ID.fullmatch(id):
        return ApiError(400, "invalid", "Invalid input.", f"Invalid Event ID: '{id}'", pointer="/data/id")
    if any(column.path == ("id",) and column.values for column in entry.columns):
        return ApiError(400, "invalid", "Invalid input.", f"'{id}' is not a valid choice for 'id'.", pointer="/data/attributes/id")
    words = _NOT_FOUND.get(entry.name, "A {type} with id {id} does not exist.")
    return ApiError(404, "not_found", "Not found.", words.format(type=entry.jsonapi_type, id=id))


def _page(
    store: Store, entry: ResourceType, query: Query, filter_: Filter, cursor: Cursor | None, parent_id: str | None
) -> tuple[list[Record], bool, bool]:
    """Return the records of a page, and whether there are more before and after it."""
    descending = query.sort.startswith("-")
    found = _matching(store, entry, query, filter_, descending, cursor, parent_id)
    if query.size is None:
        return list(found), False, False
    records = list(islice(found, query.size + 1))
    more = len(records) > query.size
    del records[query.size :]
    if cursor is None:
        return records, False, more
    if cursor.backwards:
        # The position that the cursor was made from follows this page.
        return records[::-1], more, bool(records)
    return records, bool(records), more


def _matching(
    store: Store, entry: ResourceType, query: Query, filter_: Filter, descending: bool, cursor: Cursor | None, parent_id: str | None
) -> Iterator[Record]:
    field = canonical(entry, query.sort.removeprefix("-"))
    # Conditions on an instant that is also the sort field become bounds, so the cost of a page depends only on its size.
    bounding = filter_.on(field) if kind_of(entry, field) is FieldKind.TIME else []
    lows, highs = zip(*(condition.bounds() for condition in bounding), strict=True) if bounding else ((), ())
    walked = store.records_of(entry, parent_id or _only_parent(entry, filter_)).walk(
        field,
        descending=descending != (cursor is not None and cursor.backwards),
        after=cursor.place if cursor else None,
        low=max(lows, default=None),
        high=min((high for high in highs if high), default=None),
    )
    rest = filter_.without(bounding)
    found = (whole for record in walked if (whole := store.whole(entry, record)) is not None)
    return (record for record in found if all(condition.met_by(record) for condition in rest)) if rest else found


def _only_parent(entry: ResourceType, filter_: Filter) -> str | None:
    """Return the only parent whose children a filter selects; None if it selects those of several, or of all."""
    if entry.parent is None or entry.parent.filter is None:
        return None
    named = (one.operand for one in filter_.on(entry.parent.filter) if one.operator == "equals")
    return next((str(id) for id in named), None)


def _rendered(entry: ResourceType, records: Iterable[Record], query: Query, now: int) -> Iterator[bytes]:
    names = query.fields.get(entry.jsonapi_type)
    for record in records:
        raw = record.rendered(query.additional) if query.additional else record.raw
        if record.volatile:
            raw = refreshed(record, raw, now)
        if query.include:
            raw = with_linkage(entry, record, raw, query.include)
        if entry.returns_ids_only:
            raw = identifier(entry, record)
        # Additional fields are returned in addition to the sparse ones, as recorded.
        yield raw if names is None else keep_fields(raw, (*names, *query.additional))


def _included(store: Store, entry: ResourceType, records: Iterable[Record], query: Query, *, truncated: bool = False) -> list[bytes] | None:
    """Return the included resource objects without duplicates, or None if the query has no ``include``; if truncated, without every third one."""
    if not query.include:
        return None
    found: dict[tuple[str, str], bytes] = {}
    for record in records:
        for relationship in query.include:
            type_name = target_type(relationship)
            for id in related_ids(record, relationship):
                raw = None if (type_name, id) in found else resource(store, type_name, id, record, entry.jsonapi_type)
                if raw is not None:
                    names = query.fields.get(type_name)
                    found[type_name, id] = raw if names is None or b'"attributes"' not in raw else keep_fields(raw, names)
    return [raw for number, raw in enumerate(found.values()) if not (truncated and number % 3 == 1)]


def _document(data: bytes, links: Mapping[str, str | None], included: list[bytes] | None) -> bytes:
    parts = [b'{"data":', data]
    if included is not None:
        parts += [b',"included":[', b",".join(included), b"]"]
    parts += [b',"links":', encode(links), b"}"]
    return b"".join(parts)

"""Refuses a resource type that cannot work, when the catalog is made. Otherwise it would fail in every run, or write into another table.

Each check yields what is wrong and what to do, beginning with the field. Strategies are checked where the definitions are built.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence

from klaviyo_assets.catalog.catalog_errors import CatalogError
from klaviyo_assets.catalog.column_checks import COLUMN_CHECKS, Problems, missing
from klaviyo_assets.catalog.columns import INCLUDED, Column, ColumnType
from klaviyo_assets.catalog.endpoint import Endpoint, Include, PageSize, RateLimit
from klaviyo_assets.catalog.groups import ALL, DEFAULT
from klaviyo_assets.catalog.replication import Replication
from klaviyo_assets.catalog.resource_type import Host, Parent, ResourceType, Subset
from klaviyo_assets.catalog.role_checks import role_problems

_ALLOWED_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
"""Names of tables, which also become part of asset keys and of the names of Dagster's ops."""


def check_type(entry: ResourceType) -> None:
    """Check that a resource type can be synced.

    Raises:
        CatalogError: If it cannot; the text names the type, the field and what to do.

    Example:
        >>> check_type(replace(MY_TYPE, primary_key=("nope",)))
        CatalogError: The resource type 'my_type' cannot be used: primary_key names 'nope', which is not one of its columns (id, name). …
    """
    if not isinstance(entry, ResourceType):
        raise CatalogError(f"{entry!r} is not a ResourceType. Give instances of ResourceType.")
    for check in _CHECKS:
        for problem in check(entry):
            raise CatalogError(f"The resource type {entry.name!r} cannot be used: {problem}")


def _kinds(entry: ResourceType) -> Problems:
    """Python does not check the types of a dataclass's fields; the other checks rely on them."""
    for name in ("name", "jsonapi_type", "description", "scope", "group"):
        yield from _of_kind(name, getattr(entry, name), str)
    yield from _of_kind("endpoint", entry.endpoint, Endpoint)
    yield from _of_kind("the endpoint's limit", entry.endpoint.limit, RateLimit)
    if entry.endpoint.page_size is not None:
        yield from _of_kind("the endpoint's page_size", entry.endpoint.page_size, PageSize)
    yield from _of_kind("replication", entry.replication, Replication)
    for column in entry.columns:
        yield from _of_kind("one of the columns", column, Column)
    for subset in entry.subsets:
        yield from _of_kind("one of the subsets", subset, Subset)
    for include in entry.requested_includes:
        yield from _of_kind("one of the requested_includes", include, Include)
    if entry.parent is not None:
        yield from _of_kind("parent", entry.parent, Parent)
        yield from _of_kind("the parent's entry", entry.parent.entry, ResourceType)
    if entry.host is not None:
        yield from _of_kind("host", entry.host, Host)
        yield from _of_kind("the host's entry", entry.host.entry, ResourceType)


def _of_kind(field: str, value: object, kind: type) -> Problems:
    if not isinstance(value, kind):
        shown = repr(value) if value is None or isinstance(value, str | int | float | type) else f"of the type {type(value).__name__}"
        yield f"{field} is {shown}. Give an instance of {kind.__name__}{_EXAMPLES_BY_KIND.get(kind, '')}."


_EXAMPLES_BY_KIND: dict[type, str] = {
    Column: ", such as attribute(…) or record_id(…)",
    Replication: ", such as FullTable()",
    RateLimit: ", such as TIER_M",
}


def _name(entry: ResourceType) -> Problems:
    if not _ALLOWED_NAME.fullmatch(entry.name):
        yield (
            "name must consist of letters, digits and underscores, and begin with a letter. Names that begin with an underscore are those of the "
            "bookkeeping tables, such as _syncs. Rename it."
        )


def _group(entry: ResourceType) -> Problems:
    """Any group is allowed: users may have groups of their own."""
    if not _ALLOWED_NAME.fullmatch(entry.group):
        yield f"group is {entry.group!r}. Write it with letters, digits and underscores, beginning with a letter, such as 'core'."
    elif entry.group.lower() in (ALL, DEFAULT):
        yield f"group is {entry.group!r}, which selects other resource types as well. Rename it."


def _texts(entry: ResourceType) -> Problems:
    """A text in place of a tuple of texts would be taken for the tuple of its letters."""
    endpoint = entry.endpoint
    fields: dict[str, object] = {
        "primary_key": entry.primary_key,
        "requested_fields": entry.requested_fields,
        "only_fields": entry.only_fields,
        "sorted_by": entry.sorted_by,
        "more_scopes": entry.more_scopes,
        "the endpoint's sorts": endpoint.sorts,
        "the endpoint's includes": endpoint.includes,
        "the endpoint's additional_fields": endpoint.additional_fields,
        **{f"scopes of the include {include.relationship}": include.scopes for include in entry.requested_includes},
        **{f"fields of the include {one.relationship}": names for one in entry.requested_includes for names in (one.fields or {}).values()},
        **{f"filters of the subset {subset.name}": subset.filters for subset in entry.subsets},
        **{f"path of the column {column.name}": column.path for column in entry.columns},
    }
    for field, value in fields.items():
        if isinstance(value, str):
            yield f"{field} is a text. Write it as a tuple: ({value!r},)."


def _key(entry: ResourceType) -> Problems:
    if not entry.primary_key:
        yield "primary_key is empty. Name the columns that identify a row, such as ('id',)."
    for name in entry.primary_key:
        yield from missing(entry, "primary_key", name, ColumnType.STRING, ColumnType.DATE)
    if len({*entry.primary_key}) < len(entry.primary_key):
        yield f"primary_key names a column more than once: {', '.join(entry.primary_key)}. List each once."
    if entry.replication.is_complete_read and entry.primary_key != (entry.id_column,):
        yield (
            f"primary_key is ({', '.join(entry.primary_key)}). Every sync reads the type completely and looks up missing records by their id, so the "
            "primary key must be the column of record_id(…) alone."
        )


def _times(entry: ResourceType) -> Problems:
    """Columns by which versions are ordered, syncs read or staged rows are sorted."""
    for name in entry.sorted_by:
        yield from missing(entry, "sorted_by", name, *ColumnType)
    if entry.version_column is not None:
        yield from missing(entry, "version_column", entry.version_column, ColumnType.TIMESTAMP)
    replication = entry.replication
    fields = (*replication.cursor_fields, replication.range_field, replication.start_date_field)
    for field in dict.fromkeys(field for field in fields if field is not None):
        yield from missing(entry, f"the replication {type(replication).__name__}", field, ColumnType.TIMESTAMP)


def _volatile(entry: ResourceType) -> Problems:
    """A value that differs at each read orders no versions, identifies no row and bounds no window."""
    replication = entry.replication
    times = (entry.version_column, *replication.cursor_fields, replication.range_field, replication.start_date_field)
    for column in entry.columns:
        if column.volatile and column.name in (*entry.primary_key, *times):
            yield f"the column {column.name} is volatile, but rows are identified, ordered or read by it. Remove volatile=True."


def _subject(entry: ResourceType) -> Problems:
    """An erasure could not find the rows of a person."""
    if entry.subject_column is None:
        return
    column = next((column for column in entry.columns if column.name == entry.subject_column), None)
    if column is None or column.type is not ColumnType.STRING:
        yield (
            f"the subject_column of {entry.name} is {entry.subject_column}, which is not one of its columns of type STRING, so the rows of a person "
            "could not be erased. Name the column with the id of the profile."
        )


def _windows(entry: ResourceType) -> Problems:
    """A replication that reads by time needs an endpoint that sorts by its fields, and filters by those that bound windows."""
    replication, endpoint = entry.replication, entry.endpoint
    kind = type(replication).__name__
    for field in replication.sorted_by:
        if field not in endpoint.sorts:
            yield f"{kind} reads by {field}, but the endpoint's sorts {_listed(endpoint.sorts)} do not include it. Add it, or use FullTable()."
    if (groups := replication.groups) is not None:
        yield from missing(entry, "ParentGroups", groups.state, ColumnType.STRING)
        yield from missing(entry, "ParentGroups", groups.cut_by, ColumnType.TIMESTAMP)
        if not all(endpoint.allows(groups.cut_by, one) for one in ("greater-or-equal", "less-than")) or not endpoint.allows(groups.state, "equals"):
            yield f"ParentGroups filters by {groups.state} (equals) and {groups.cut_by} (greater-or-equal, less-than). Add them to the filters."
        if entry.parent is None or entry.parent.filter is None:
            yield "ParentGroups needs a parent with a filter, such as Parent(…, filter='coupon.id'). Add it."
    for field in replication.filtered_by:
        if not any(endpoint.allows(field, one) for one in ("greater-than", "greater-or-equal")):
            yield f"{kind} reads windows of {field}, but the endpoint's filters allow no lower bound of it. Add one, or use another replication."
    yield from replication.problems()


def _parent(entry: ResourceType) -> Problems:
    parent, replication = entry.parent, entry.replication
    if parent is None:
        if replication.reads_children:
            yield f"replication is {type(replication).__name__}, but it has no parent. Set parent=Parent(…), or use FullTable()."
        if columns := [column.name for column in entry.columns if column.path[0] == "parent"]:
            yield f"the column {columns[0]} holds the id of a parent, but it has no parent. Set parent=Parent(…), or remove the column."
        return
    if replication.reads_children is False:
        yield f"replication is {type(replication).__name__}, but records with a parent are read for each parent. Use PerParent()."
    yield from _parent_facts(entry, parent)


def _parent_facts(entry: ResourceType, parent: Parent) -> Problems:
    column = next((column for column in entry.columns if column.name == parent.column), None)
    if column is None or column.path[0] != "parent":
        yield f"parent.column is {parent.column!r}, which is not one of its columns of parent_id(…). Add the column parent_id({parent.column!r}, …)."
    elif parent.column not in entry.primary_key:
        yield f"primary_key lacks {parent.column}, the column with the parent's id: two parents may have the same child. Add it."
    if parent.filter is not None:
        yield from _filtered_parents(entry, parent, parent.filter)
    elif "{id}" not in parent.path:
        yield f"parent.path is {parent.path!r}. Write {{id}} in the place of the parent's id: /api/lists/{{id}}/profiles."
    elif "{id}" in entry.endpoint.path and entry.endpoint.path != parent.path:
        yield f"parent.path is {parent.path!r}, but the endpoint's path is {entry.endpoint.path!r}. Write the same path in both places."
    if parent.entry.id_column not in parent.entry.primary_key:
        yield f"its parent {parent.type_name} has no column of record_id(…) in its primary_key, so its children cannot be requested. Add the column."


def _count_check(entry: ResourceType) -> Problems:
    """The count of a parent's children, and what a wrong count changes."""
    check, parent = entry.replication.count_check, entry.parent
    if check is None or parent is None:
        return
    removed = next((column for column in entry.columns if column.name == check.removed_column), None)
    if removed is None or removed.path != ("removal",):
        yield f"CountCheck names the removed_column {check.removed_column!r}. Add the column removal({check.removed_column!r}, …)."
    for field, name in (("paused_while", check.paused_while), ("active_while", check.active_while)):
        if name is not None:
            yield from missing(parent.entry, f"{field} of CountCheck", name, ColumnType.BOOLEAN)


def _changed_with(entry: ResourceType) -> Problems:
    """The column of the parent that shows that its children may have changed."""
    name, parent = entry.replication.parent_change_column, entry.parent
    if name is not None and parent is not None:
        yield from missing(parent.entry, "changed_with of PerParent", name, ColumnType.TIMESTAMP)


def _filtered_parents(entry: ResourceType, parent: Parent, field: str) -> Problems:
    """One request returns the children of several parents, so each child must say which parent it has."""
    if parent.path != entry.endpoint.path or "{id}" in parent.path:
        yield f"parent.path is {parent.path!r}, but parent.filter needs one path for all parents. Write the endpoint's path in both places."
    if not entry.endpoint.allows(field, "any"):
        yield f"parent.filter is {field!r}, but the endpoint's filters do not allow any({field},[…]). Add the operator, or leave the filter out."
    if parent.relationship is None:
        yield "parent.filter needs parent.relationship, which says which parent a child has. Name the relationship."
    if entry.replication.groups is None:
        yield "parent.filter needs a replication that reads groups of parents. Use PerParent(grouped=ParentGroups(…))."


def _includes(entry: ResourceType) -> Problems:
    """Klaviyo refuses a request with a relationship that its endpoint cannot include."""
    for include in entry.requested_includes:
        if include.relationship not in entry.endpoint.includes:
            yield (
                f"requested_includes names {include.relationship!r}, but the endpoint's includes {_listed(entry.endpoint.includes)} lack it. "
                "Correct the name, or add it there."
            )
    for name, times in Counter(include.relationship for include in entry.requested_includes).items():
        if times > 1:
            yield f"requested_includes names {name!r} more than once. Name each relationship once."
    yield from _included_columns(entry)


def _included_columns(entry: ResourceType) -> Problems:
    """A value of an included resource can be found only if the resource is requested, and the record's own column names it."""
    requested = {include.relationship for include in entry.requested_includes}
    lists = {column.path[1] for column in entry.columns if column.path[0] == "relationships" and column.type is ColumnType.STRINGS}
    for column in entry.columns:
        if column.path[0] == INCLUDED and column.path[1] not in requested:
            yield f"the column {column.name} needs included {column.path[1]}. Add Include({column.path[1]!r}) to requested_includes."
        elif column.path[0] == INCLUDED and column.path[1] not in lists:
            yield f"the column {column.name} needs the ids of the {column.path[1]}. Add a column to_many({column.path[1]!r}, …)."


def _fields(entry: ResourceType) -> Problems:
    """Klaviyo refuses a request for a field that it does not know; a column whose attribute is not requested would stay empty."""
    endpoint, attributes = entry.endpoint, {column.path[1] for column in entry.columns if column.path[0] == "attributes"}
    for name in entry.requested_fields:
        if name not in endpoint.additional_fields:
            known = _listed(endpoint.additional_fields)
            yield f"requested_fields names {name!r}, but the endpoint's additional_fields {known} lack it. Correct the name, or add it there."
    if not entry.only_fields or any(column.path[0] == "derived" for column in entry.columns):
        return  # derived columns come from attributes that no column reads
    named = {name.partition(".")[0] for name in entry.only_fields}
    if unknown := sorted(named - attributes - {path[1] for path in entry.unmapped}):
        yield f"only_fields names {', '.join(unknown)}, which no column reads. Correct the name, or remove it."
    if missing := sorted(attributes - named - {*entry.requested_fields}):
        yield f"only_fields lacks {', '.join(missing)}, which columns read, so they would stay empty. Add it, or remove the columns."


def _host(entry: ResourceType) -> Problems:
    host, replication = entry.host, entry.replication
    if host is None:
        if replication.reads_a_host:
            yield f"replication is {type(replication).__name__}, but it has no host. Set host=Host(…), or use FullTable()."
        if columns := [column.name for column in entry.columns if column.path[0] == "derived"]:
            yield f"the column {columns[0]} holds a derived value, but it has no host that derives it. Set host=Host(…), or remove the column."
        return
    if not replication.reads_a_host:
        yield f"replication is {type(replication).__name__}, but records with a host come from the host's responses. Use Included()."
    if entry.parent is not None or host.entry.parent is not None or host.entry.host is not None:
        yield "neither it nor its host can have a parent, and its host can have no host. Remove one of them."
    if not host.entry.replication.is_complete_read:
        yield f"its host {host.entry.name} is not read completely at each sync, so missing records would be unknown. Use a host with FullTable()."
    yield from _host_facts(entry, host)


def _host_facts(entry: ResourceType, host: Host) -> Problems:
    named = [column for column in host.entry.columns if column.path == ("relationships", host.relationship)]
    if host.relationship not in host.entry.endpoint.includes:
        includes = _listed(host.entry.endpoint.includes)
        yield f"the includes of its host {host.entry.name} {includes} lack {host.relationship!r}. Correct the name, or add it there."
    if not named or named[0].type is not ColumnType.STRINGS:
        yield f"its host {host.entry.name} has no column with the ids of {host.relationship}. Add to_many({host.relationship!r}, …) there."
    if not host.entry.endpoint.allows("id", "any"):
        yield (
            f"its host {host.entry.name} cannot be filtered by id, so missing records could not be looked up. Add the filter there, or use "
            "FullTable() without a host."
        )
    yield from missing(entry, "host.column", host.column, ColumnType.STRING)


def _requests(entry: ResourceType) -> Problems:
    for path in (entry.endpoint.path, entry.parent.path if entry.parent else "/"):
        if not path.startswith("/"):
            yield f"the path {path!r} of its endpoint must begin with a slash: /api/lists."
    if entry.metric_filter is not None:
        yield from missing(entry, "metric_filter", entry.metric_filter, ColumnType.STRING)
        if not entry.endpoint.allows(entry.metric_filter, "equals") or len(entry.subsets) != 1:
            yield f"metric_filter is {entry.metric_filter!r}, but the endpoint does not filter by it, or there are subsets. Leave it out."
    if not entry.subsets:
        yield "subsets is empty, so nothing would be read. Leave it out, or name at least one."
    for name, times in Counter(subset.name for subset in entry.subsets).items():
        if times > 1:
            yield f"subsets has the name {name!r} more than once. Give each its own name."


def _listed(names: Sequence[str]) -> str:
    return f"({', '.join(names)})" if names else "(none)"


_CHECKS: tuple[Callable[[ResourceType], Problems], ...] = (
    _kinds,
    _name,
    _group,
    _texts,
    *COLUMN_CHECKS,
    _parent,
    _count_check,
    _changed_with,
    _key,
    _times,
    _volatile,
    _subject,
    _windows,
    _includes,
    _fields,
    _host,
    _requests,
    role_problems,
)
"""In this order: later checks rely on what earlier ones have found right."""

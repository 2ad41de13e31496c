"""Defines the request for a host: which related resources it includes, and which it omits because the key may not read them. Pure."""

from collections.abc import Collection, Iterable
from dataclasses import replace

from klaviyo_assets.catalog.columns import INCLUDED, ColumnType
from klaviyo_assets.catalog.endpoint import Include
from klaviyo_assets.catalog.resource_type import ResourceType


def include_of(entry: ResourceType) -> Include:
    """Return the include with which a host's responses contain the records of a type."""
    host = entry.required_host
    return Include(host.relationship, scopes=tuple(scope for scope in entry.scopes if scope not in host.entry.scopes))


def host_alone(entry: ResourceType) -> ResourceType:
    """Return the host as requested only for one type's records: with a single attribute of its own, plus the included resources.

    Example:
        >>> host_alone(CATALOG["flow_actions"]).record_parameters
        {'fields[flow]': 'created', 'include': 'flow-actions'}
    """
    host = entry.required_host.entry
    times = (".".join(column.path[1:]) for column in host.columns if column.path[0] == "attributes" and column.type is ColumnType.TIMESTAMP)
    first = next(times, None)
    return replace(host, only_fields=(first,) if first else (), requested_fields=(), requested_includes=(include_of(entry),))


def including(host: ResourceType, types: Iterable[ResourceType]) -> ResourceType:
    """Return the host as it is requested for its own records and for those of other types."""
    includes = {one.relationship: one for one in (*host.requested_includes, *map(include_of, types))}
    return replace(host, requested_includes=tuple(includes.values()))


def optional_includes(entry: ResourceType) -> tuple[Include, ...]:
    """Return the requested includes that need scopes which the records themselves do not need."""
    return tuple(one for one in entry.requested_includes if not {*one.scopes} <= {*entry.scopes})


def columns_of_include(entry: ResourceType, include: Include) -> tuple[str, ...]:
    """Return the names of the columns that are null if a type is read without an include.

    Example:
        >>> columns_of_include(CATALOG["campaigns"], TAGS)
        ('tag_ids',)
    """
    paths = (("relationships", include.relationship), (INCLUDED, include.relationship))
    return tuple(column.name for column in entry.columns if column.path[:2] in paths)


def without_includes(entry: ResourceType, relationships: Collection[str]) -> ResourceType:
    """Return a type as it is requested without some relationships."""
    return replace(entry, requested_includes=tuple(one for one in entry.requested_includes if one.relationship not in relationships))

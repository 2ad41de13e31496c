"""A few resource types that together have every trait of the catalog's, for tests that are too expensive to repeat for each type."""

from collections.abc import Iterable, Iterator

from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.catalog.role_checks import ROLES


def traits(entry: ResourceType) -> set[tuple[str, object]]:
    """Return what decides which code reads, decodes and stores a resource type: kinds and presence of members, not names and numbers."""
    return set(_traits(entry))


def _traits(entry: ResourceType) -> Iterator[tuple[str, object]]:
    endpoint, replication = entry.endpoint, entry.replication
    owner = (entry.parent is not None, entry.host is not None)
    yield "replication", (type(replication), *owner, bool(replication.order), bool(replication.count_check), len(replication.cursor_fields))
    yield "owner", (*owner, entry.owner is not None and entry.owner.owner is not None)
    yield "derived", entry.host is not None and entry.host.derive is not None
    yield "shares its records", entry.records_of is not None
    yield "endpoint", (endpoint.page_size is None, endpoint.unpaged, bool(endpoint.required_filter))
    yield "look-up", endpoint.lookup_limit is not None
    yield "subsets", (len(entry.subsets) > 1, any(subset.values for subset in entry.subsets))
    yield "requests", (bool(entry.requested_fields), bool(entry.only_fields), bool(entry.requested_includes), entry.returns_ids_only)
    yield "records", "fixed" if entry.fixed_records else "any"
    yield "version", entry.version_column is not None
    yield "roles", tuple(getattr(entry, role) for role in ROLES)
    yield "scope", entry.has_optional_scope
    for column in entry.columns:
        yield "column", (column.path[0], column.type, min(len(column.path), 3))
        yield "volatile", column.volatile


def representatives(entries: Iterable[ResourceType]) -> list[ResourceType]:
    """Return few resource types that together have all traits of the given ones; a type with a new trait is among them without being named.

    Each time, the type with the most traits that are still missing is taken, of equals the first.

    Example:
        >>> {type(entry.replication) for entry in representatives(CATALOG.values())} == {type(entry.replication) for entry in CATALOG.values()}
        True
    """
    remaining, chosen = list(entries), []
    missing = {entry.name: traits(entry) for entry in remaining}
    while remaining:
        best = max(remaining, key=lambda entry: len(missing[entry.name]))
        found = missing[best.name]
        chosen.append(best)
        missing = {name: left - found for name, left in missing.items()}
        remaining = [entry for entry in remaining if missing[entry.name]]
    return chosen

"""The catalog: resource types by name, parents before children."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Self

from klaviyo_assets.catalog.catalog_errors import CatalogError, UnknownResourceType
from klaviyo_assets.catalog.groups import ALL, DEFAULT, GROUPS
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.catalog.type_checks import check_type


class Catalog(Mapping[str, ResourceType]):
    """An immutable mapping of names to resource types.

    Iteration is in the order of names, but each parent comes before its children.

    Args:
        types: The resource types, in any order.

    Raises:
        CatalogError: If two types have the same name (DuckDB ignores case), a type has that of a group, a parent is missing, or a type cannot work: a
            name that cannot be that of a table, a column that is not there, a replication that does not fit. The text names the type, the field
            and what to do.

    Example:
        >>> catalog = CATALOG.with_(MY_TYPE).select(["lists", "my_type"])
        >>> catalog["lists"].scope
        'lists:read'
    """

    def __init__(self, types: Iterable[ResourceType]) -> None:
        by_table: dict[str, ResourceType] = {}
        for entry in types:
            check_type(entry)
            other = by_table.setdefault(entry.name.lower(), entry)  # DuckDB ignores case
            if other is not entry:
                raise CatalogError(_same_table(other.name, entry.name))
        _refuse_names_of_groups(by_table)
        self._types = _parents_first({entry.name: entry for entry in by_table.values()})

    def __getitem__(self, name: str) -> ResourceType:
        """Return the resource type with this name.

        Raises:
            UnknownResourceType: If there is none; also a ``KeyError``.
        """
        try:
            return self._types[name]
        except KeyError:
            raise UnknownResourceType(f"{name!r} is not a resource type. Known types: {', '.join(self._types)}.") from None

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names, parents before children."""
        return iter(self._types)

    def __len__(self) -> int:
        """Return the number of resource types."""
        return len(self._types)

    def __repr__(self) -> str:
        """Return the names."""
        return f"Catalog({', '.join(self._types)})"

    def select(self, names: Iterable[str]) -> Self:
        """Return a catalog of these resource types only.

        Raises:
            UnknownResourceType: If a name is not in this catalog.
            CatalogError: If a child is selected without its parent.
        """
        return type(self)(self[name] for name in dict.fromkeys(names))

    def with_(self, *types: ResourceType) -> Self:
        """Return a catalog with these resource types added.

        Raises:
            CatalogError: If a name is in use, a parent is missing, or a type cannot work.
        """
        return type(self)((*self.values(), *types))

    def updated(self, other: Mapping[str, ResourceType]) -> Self:
        """Return a catalog with the types of both; of two types with the same name, that of ``other``.

        Raises:
            CatalogError: If a parent is missing.

        Example:
            >>> CATALOG.updated(Catalog([MY_TYPE]))["my_type"] is MY_TYPE
            True
        """
        if all(self.get(name) is entry for name, entry in other.items()):
            return self  # the types were checked when this catalog was made
        return type(self)({**self, **other}.values())

    @property
    def account_type(self) -> ResourceType:
        """The type whose record identifies the account of a key.

        Raises:
            UnknownResourceType: If this catalog has none.
        """
        return self._first("identifies the account", "identifies_account")

    @property
    def events_type(self) -> ResourceType:
        """The type of events. A type that replaces this package's may lack views of metrics or partitions, so each of its marks counts.

        Raises:
            UnknownResourceType: If this catalog has none.
        """
        return self._first("has the events", "has_metric_views", "partitioned", "counted_by")

    @property
    def metrics_type(self) -> ResourceType:
        """The type with the names of the metrics.

        Raises:
            UnknownResourceType: If this catalog has none.
        """
        return self._first("names the metrics", "names_metrics")

    def _first(self, what: str, *marks: str) -> ResourceType:
        """Return the type with the first of these fields that any type sets."""
        for mark in marks:
            for entry in self.values():
                if getattr(entry, mark):
                    return entry
        raise UnknownResourceType(f"No resource type {what}. Known types: " + ", ".join(self._types) + ".")

    @property
    def default_names(self) -> tuple[str, ...]:
        """Names of the types that are synced by default: all except opt-in types."""
        return tuple(name for name, entry in self.items() if not entry.opt_in)

    @property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """Names of the types of each group: first the groups of this package, then a user's own."""
        names = dict.fromkeys([*GROUPS, *sorted(entry.group for entry in self.values())])
        found = {group: tuple(name for name, entry in self.items() if entry.group == group) for group in names}
        return {group: members for group, members in found.items() if members}


def _refuse_names_of_groups(by_table: Mapping[str, ResourceType]) -> None:
    """Both names and groups select types, so none may be both."""
    groups = {*GROUPS, ALL, DEFAULT, *(entry.group.lower() for entry in by_table.values())}
    if both := sorted(groups & by_table.keys()):
        raise CatalogError(f"The resource type {by_table[both[0]].name} has the name of a group of resource types. Rename it.")


def _same_table(one: str, other: str) -> str:
    if one == other:
        return f"Two resource types are named {one}. Give each its own name."
    return f"The resource types {one} and {other} would share one table, because DuckDB ignores case. Rename one of them."


def _parents_first(by_name: Mapping[str, ResourceType]) -> dict[str, ResourceType]:
    found: dict[str, ResourceType] = {}
    for name in sorted(by_name):
        _place(by_name, name, found)
    return found


def _place(by_name: Mapping[str, ResourceType], name: str, found: dict[str, ResourceType]) -> None:
    """Add a type, its parent or host first."""
    if name in found:
        return
    parent, host = by_name[name].parent, by_name[name].host
    if host is not None:
        if host.entry.name not in by_name:
            raise CatalogError(f"{name} needs its host {host.entry.name}, which is missing. Add {host.entry.name} to the resource types.")
        _place(by_name, host.entry.name, found)
    if parent is not None:
        if parent.type_name not in by_name:
            raise CatalogError(f"{name} needs its parent {parent.type_name}, which is missing. Add {parent.type_name} to the resource types.")
        ids, known_ids = parent.entry.id_column, by_name[parent.type_name].id_column
        if ids != known_ids:
            raise CatalogError(
                f"The parent of {name} is not the {parent.type_name} of the catalog: its ids are in the column {ids}, those of the catalog's "
                f"in {known_ids}. Use the same resource type in both places."
            )
        _place(by_name, parent.type_name, found)
    found[name] = by_name[name]

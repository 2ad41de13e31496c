"""A resource type: the data that defines its asset, checks, table, reads and sandbox endpoint.

Frozen data without behavior beyond look-ups.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar
from urllib.parse import quote

from klaviyo_assets.catalog.catalog_errors import MissingTrait
from klaviyo_assets.catalog.columns import INCLUDED, Column, ColumnType
from klaviyo_assets.catalog.endpoint import Endpoint, Include, Query
from klaviyo_assets.catalog.groups import CORE
from klaviyo_assets.catalog.parent_groups import ParentGroups
from klaviyo_assets.catalog.replication import CountCheck, Replication
from klaviyo_assets.catalog.scopes import REQUIRED_SCOPES, scopes_in_words

_Trait = TypeVar("_Trait")


@dataclass(frozen=True)
class Subset:
    """A part of a resource type that needs separate requests.

    Attributes:
        name: Name in coverage and logs, for example ``email/archived``.
        filters: Filter expressions that select it.
        values: Column values that all of its records have.
    """

    name: str = "all"
    filters: tuple[str, ...] = ()
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Parent:
    """The parent of a child type. The API has a separate collection of children for each parent, or one that it filters by parents.

    Attributes:
        entry: The parent's type.
        path: Path of the children of one parent, with ``{id}`` for the parent's id: ``/api/lists/{id}/profiles``. The endpoint of the child type has
            the same path.
        column: Column of the child's table with the parent's id.
        relationship: Relationship of the child with which Klaviyo repeats the parent's id; it is not stored, since ``column`` has the id. None if
            there is none.
        filter: Field of the filter with which one request returns the children of several parents: ``coupon.id``. ``path`` is then that of the one
            collection, and ``relationship`` says which parent a child has. None if each parent has its own path.
    """

    entry: "ResourceType"
    path: str
    column: str
    relationship: str | None = None
    filter: str | None = None

    @property
    def type_name(self) -> str:
        """Name of the parent's type, for example ``lists``."""
        return self.entry.name

    def path_of(self, parent_id: str) -> str:
        """Return the path of one parent's children, the id quoted for use in a URL."""
        return self.path.replace("{id}", quote(parent_id, safe=""))


@dataclass(frozen=True)
class HostRecord:
    """A record of a host type, with the resources that its response included for it.

    Attributes:
        id: Its id.
        included: JSON of the included resource objects, in the order in which the record's relationship names them.
    """

    id: str
    included: Sequence[bytes]


@dataclass(frozen=True)
class Host:
    """The type whose responses contain the records of another type.

    Attributes:
        entry: The host's type, for example ``campaigns``.
        relationship: Its relationship with the included resources: ``campaign-messages``. It has a column with their ids.
        column: Column with the host's id in the table of the other type: ``campaign_id``.
        derive: Returns the JSON of the records of one host record, resource objects with the values of derived columns in the member ``derived``;
            None if the records are the included resources themselves.
        source: Type of the included resources, if the records are derived from resources of another type.
    """

    entry: "ResourceType"
    relationship: str
    column: str
    derive: Callable[[HostRecord], Iterator[bytes]] | None = None
    source: "ResourceType | None" = None


@dataclass(frozen=True)
class ResourceType:
    """A Klaviyo collection that becomes one table and one asset.

    Attributes:
        name: Name of the table and the asset, plural: ``profiles``.
        jsonapi_type: ``type`` member of its resource objects, singular: ``profile``.
        description: What a row represents, for users of the asset or the table.
        scope: API scope that reading it needs.
        endpoint: The contract of its collection.
        columns: Columns from Klaviyo, those of the primary key first.
        replication: How the table is kept up to date.
        subsets: The subsets that are read separately.
        requested_fields: Additional fields that every read requests.
        only_fields: The only attributes that a read requests, as a sparse fieldset; all attributes if empty.
        requested_includes: Relationships with resources that every read requests in the same response.
        version_column: Time column that changes with each version of a record, such as ``updated``; None if records do not change. The later version
            is stored. In a type that is read completely, it only shows that a record has changed; what was read last is stored.
        counted_by: Endpoint with Klaviyo's own counts of the records; None if there is none.
        recommended_scope: False if a key may well lack the scope: the type is skipped then, as are those whose scope is not in ``REQUIRED_SCOPES``.
        unmapped: Paths of known members without a column, such as ``("relationships", "lists")``: attributes of other
            endpoints, and relationships that come as links only. Values and ids go to ``_extra``; no check warns about them.
        docs_url: Klaviyo's page of the endpoint; empty if there is none.
        primary_key: Names of the primary key columns; of a child type, the parent's id and then the record's own.
        more_scopes: Additional scopes that reading it needs, such as ``profiles:read`` for the profiles of a list.
        parent: Parent of a child type; None for a top-level collection.
        host: The type whose responses fill the table (replication ``Included``), else None. ``endpoint`` is then the one of a single record.
        identifies_account: True for the type that identifies the account of the key.
        names_metrics: True for the type with the names of the metrics, which become those of the views of metrics.
        has_metric_views: True for the type with a view of its rows per metric, whose columns are the properties of ``event_properties``.
        partitioned: True for the type with partitions in Dagster; see :attr:`period_field`. If the schema has a table of changed periods, syncs and
            erasures record there which periods they have changed.
        metric_filter: Column, and filter field, with the metric of a record, by which users select the records; None if they cannot.
        single_record: True if every account has exactly one record of the type.
        records_of: The type that reads the same records at the same endpoint, with other attributes; None if no other type does.
        refresh: How often its schedule syncs it.
        full_refresh: How often a scheduled full sync reads it, to find what an incremental sync cannot; None for never.
        sorted_by: Columns by which the rows of each staged file are sorted: queries that select by them then skip most of the other columns' data.
        subject_column: Column with the id of the profile that the row is about; erasing that person deletes the row. None if there is none. Name it
            even if its path already leads to a profile; :attr:`profile_column` looks for such a path if a type does not.
        read_in_seconds: True if an ordinary sync of it takes only seconds even in a large account, because it has few records (segments) or because
            only changes are read (templates); the first sync may take minutes. Such types share one step.
        opt_in: True if it is synced only when the user selects it.
        group: Name by which users select it together with related types: one of :mod:`klaviyo_assets.catalog.groups`, or any for a user's own type.
        also_reads: Other types whose endpoints a sync of it requests, so the key needs their scopes too.
        access_shown_by: A type with the same scope, whose endpoint shows whether a key may read this one; None if its own endpoint is requested.
        named_in_filter: The type by whose ids the requests of a report are filtered; None if they are not.
    """

    name: str
    jsonapi_type: str
    description: str
    scope: str
    endpoint: Endpoint
    columns: tuple[Column, ...]
    replication: Replication
    subsets: tuple[Subset, ...] = (Subset(),)
    requested_fields: tuple[str, ...] = ()
    only_fields: tuple[str, ...] = ()
    requested_includes: tuple[Include, ...] = ()
    version_column: str | None = None
    counted_by: Query | None = None
    recommended_scope: bool = True
    unmapped: tuple[tuple[str, str], ...] = ()
    docs_url: str = ""
    primary_key: tuple[str, ...] = ("id",)
    more_scopes: tuple[str, ...] = ()
    parent: Parent | None = None
    host: Host | None = None
    identifies_account: bool = False
    names_metrics: bool = False
    has_metric_views: bool = False
    partitioned: bool = False
    metric_filter: str | None = None
    single_record: bool = False
    records_of: "ResourceType | None" = None
    refresh: Literal["hourly", "daily"] = "daily"
    full_refresh: Literal["weekly"] | None = None
    sorted_by: tuple[str, ...] = ()
    subject_column: str | None = None
    read_in_seconds: bool = False
    opt_in: bool = False
    group: str = CORE
    also_reads: "tuple[ResourceType, ...]" = ()
    access_shown_by: "ResourceType | None" = None
    named_in_filter: "ResourceType | None" = None

    @property
    def scopes(self) -> tuple[str, ...]:
        """All API scopes that reading it needs: its own, and those of its parent and of the types that a sync also reads."""
        others = (*self.also_reads, *((self.parent.entry,) if self.parent is not None else ()))
        return tuple(dict.fromkeys((*self.endpoint_scopes, *(scope for other in others for scope in other.scopes))))

    @property
    def endpoint_scopes(self) -> tuple[str, ...]:
        """The API scopes that its own endpoint needs."""
        return (self.scope, *self.more_scopes)

    @property
    def has_optional_scope(self) -> bool:
        """True if its asset is skipped, with a warning, when the key lacks one of its scopes or the account's plan lacks the feature."""
        return not self.recommended_scope or not REQUIRED_SCOPES.issuperset(self.scopes)

    @property
    def scope_text(self) -> str:
        """All API scopes that reading it needs, as text for messages."""
        return scopes_in_words(self.scopes)

    @property
    def endpoint_scope_text(self) -> str:
        """The API scopes that its own endpoint needs, as text for messages."""
        return scopes_in_words(self.endpoint_scopes)

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the types without which it cannot be synced: that of its parent or its host."""
        return (self.owner.name,) if self.owner is not None else ()

    @property
    def owner(self) -> "ResourceType | None":
        """The parent or the host: the type shares its op, and its asset depends on that type's asset. None for a type without either."""
        return self.parent.entry if self.parent is not None else self.host.entry if self.host is not None else None

    @property
    def required_parent(self) -> Parent:
        """The parent, for code that works on child types only.

        Raises:
            MissingTrait: If there is none.
        """
        return self._required(self.parent, "parent")

    @property
    def required_parent_filter(self) -> str:
        """Field of the filter by several parents, for code that works on types that have one only.

        Raises:
            MissingTrait: If there is none.
        """
        return self._required(self.required_parent.filter, "filter by its parents")

    @property
    def required_host(self) -> Host:
        """The host, for code that works on types with a host only.

        Raises:
            MissingTrait: If there is none.
        """
        return self._required(self.host, "host")

    @property
    def required_count_check(self) -> CountCheck:
        """How deletions are found by a count, for code that works on such types only.

        Raises:
            MissingTrait: If they are not found so.
        """
        return self._required(self.replication.count_check, "count check")

    @property
    def required_groups(self) -> ParentGroups:
        """How the children of several parents are read by one request, for code that works on such types only.

        Raises:
            MissingTrait: If each parent is read by itself.
        """
        return self._required(self.replication.groups, "ParentGroups")

    def _required(self, trait: _Trait | None, name: str) -> _Trait:
        if trait is None:
            raise MissingTrait(self.name, name)
        return trait

    @property
    def included_columns(self) -> tuple[Column, ...]:
        """The columns whose values come from included resources."""
        return tuple(column for column in self.columns if column.path[0] == INCLUDED)

    @property
    def received_columns(self) -> tuple[Column, ...]:
        """The columns that frames and staged files have: all but those that the load computes."""
        return tuple(column for column in self.columns if column.computed is None)

    @property
    def computed_columns(self) -> tuple[Column, ...]:
        """The columns that the load computes from a JSON column."""
        return tuple(column for column in self.columns if column.computed is not None)

    @property
    def id_column(self) -> str | None:
        """Column with the record's own id, by which Klaviyo's API requests it and its children; None if there is none."""
        return next((column.name for column in self.columns if column.path == ("id",)), None)

    @property
    def period_field(self) -> str | None:
        """Time column by which each row belongs to a period of the partitions in Dagster; None if the type cannot have any."""
        return self.replication.range_field if self.partitioned else None

    @property
    def fixed_records(self) -> int | None:
        """How many records every account has, if none can be added or deleted: one, or those that the id column's ``values`` name."""
        if self.single_record:
            return 1
        named = next((len(column.values) for column in self.columns if column.path == ("id",)), 0)
        return named or None

    @property
    def returns_ids_only(self) -> bool:
        """Whether the endpoint is one of a relationship (``…/relationships/items``), which returns type and id of each record and no attributes."""
        return "/relationships/" in self.endpoint.path

    @property
    def profile_column(self) -> str | None:
        """Column with the id of the row's profile: ``subject_column``, or else a column whose path leads to the id of a profile.

        A type from outside this package might not name the column; erasures find its rows nevertheless.
        """
        if self.subject_column is not None:
            return self.subject_column
        paths: set[tuple[str, ...]] = {("relationships", "profile")}
        if self.jsonapi_type == "profile":
            paths.add(("id",))
        if self.parent is not None and self.parent.entry.jsonapi_type == "profile":
            paths.add(("parent", self.parent.column))
        return next((column.name for column in self.columns if column.path in paths and column.type is ColumnType.STRING), None)

    def path_of(self, parent_id: str | None) -> str:
        """Return the path of the type's records; for a child type, of one parent's records.

        Raises:
            ValueError: If each parent has its own path and ``parent_id`` is None.
        """
        if self.parent is None or self.parent.filter is not None:
            return self.endpoint.path
        if parent_id is None:
            raise ValueError(f"the path of {self.name} needs the id of one of the {self.parent.type_name}")
        return self.parent.path_of(parent_id)

    @property
    def page_parameters(self) -> dict[str, str]:
        """Query parameters of every page request: the maximum page size, and :attr:`record_parameters`."""
        size = self.endpoint.page_size
        return ({"page[size]": str(size.maximum)} if size is not None else {}) | self.record_parameters

    @property
    def record_parameters(self) -> dict[str, str]:
        """Query parameters that determine what a response contains of each record: sparse and additional fields, included resources.

        Example:
            >>> replace(FLOWS, requested_includes=(Include("flow-actions", fields={"flow-action": ("definition",)}),)).record_parameters
            {'include': 'flow-actions', 'fields[flow-action]': 'definition'}
        """
        parameters: dict[str, str] = {}
        if self.only_fields:
            parameters[f"fields[{self.jsonapi_type}]"] = ",".join(self.only_fields)
        if self.requested_fields:
            parameters[f"additional-fields[{self.jsonapi_type}]"] = ",".join(self.requested_fields)
        if self.requested_includes:
            parameters["include"] = ",".join(include.relationship for include in self.requested_includes)
            for include in self.requested_includes:
                parameters |= {f"fields[{type_}]": ",".join(names) for type_, names in (include.fields or {}).items()}
        return parameters

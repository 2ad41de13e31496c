"""The vocabulary in which the catalogue describes a Klaviyo resource type.

Frozen data without behaviour beyond look-ups. Everything else in the package (the asset, its checks, its table, its reading, its place in the
sandbox) is driven by these descriptions.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum


class ColumnType(StrEnum):
    """Type of a column; the value is the DuckDB type of the table's column."""

    STRING = "VARCHAR"
    INTEGER = "BIGINT"
    FLOAT = "DOUBLE"
    BOOLEAN = "BOOLEAN"
    TIMESTAMP = "TIMESTAMP WITH TIME ZONE"
    JSON = "JSON"
    STRINGS = "VARCHAR[]"


@dataclass(frozen=True)
class Column:
    """One column of a table and the place in the JSON:API resource object that fills it.

    Attributes:
        name: Column name, snake case.
        type: Column type.
        description: What the value means; becomes the column's comment in DuckDB and its description in Dagster.
        path: Where the value stands: ``("id",)``, ``("attributes", "location", "city")``, ``("relationships", "metric")`` or, for a value that
            only the division knows, ``("division", "channel")``.
        personal: True if the value identifies a person; masked in previews.
        required: True if Klaviyo promises a value for every record (``required`` and not ``nullable`` in its schema).
        values: The values that Klaviyo's schema lists (``enum``); empty where it lists none.
        was_in_extra: True for an attribute that got its column in a later version. Until then ``_extra`` kept its values, which are moved into the
            column, so what was read before counts as if it had been read with it.
    """

    name: str
    type: ColumnType
    description: str
    path: tuple[str, ...]
    personal: bool = False
    required: bool = False
    values: tuple[str, ...] = ()
    was_in_extra: bool = False


def attribute(
    path: str,
    type: ColumnType,
    description: str,
    *,
    personal: bool = False,
    required: bool = False,
    values: tuple[str, ...] = (),
    was_in_extra: bool = False,
) -> Column:
    """A column for an attribute; a dotted path is flattened (``location.city`` becomes ``location_city``)."""
    parts = tuple(path.split("."))
    return Column("_".join(parts), type, description, ("attributes", *parts), personal, required, values, was_in_extra)


def to_one(relationship: str, description: str) -> Column:
    """A column ``<relationship>_id`` for a to-one relationship."""
    return Column(f"{relationship.replace('-', '_')}_id", ColumnType.STRING, description, ("relationships", relationship))


def to_many(relationship: str, name: str, description: str) -> Column:
    """A column with the list of ids of a to-many relationship; null where Klaviyo's answer leaves the ids out."""
    return Column(name, ColumnType.STRINGS, description, ("relationships", relationship))


def from_division(name: str, description: str) -> Column:
    """A column whose value is the division's, since the API gives it only as a filter."""
    return Column(name, ColumnType.STRING, description, ("division", name))


def record_id(description: str) -> Column:
    """The primary key column ``id``."""
    return Column("id", ColumnType.STRING, description, ("id",))


@dataclass(frozen=True)
class RateLimit:
    """Klaviyo's two fixed windows for an endpoint, per account (OpenAPI ``x-klaviyo-ratelimit``).

    Attributes:
        burst: Requests allowed in a window of one second.
        steady: Requests allowed in a window of one minute.
    """

    burst: int
    steady: int


# Klaviyo's tiers: https://developers.klaviyo.com/en/docs/rate_limits_and_error_handling
TIER_XS = RateLimit(burst=1, steady=15)
TIER_S = RateLimit(burst=3, steady=60)
TIER_M = RateLimit(burst=10, steady=150)
TIER_L = RateLimit(burst=75, steady=750)
TIER_XL = RateLimit(burst=350, steady=3500)


@dataclass(frozen=True)
class ReducedLimit:
    """A lower limit that holds when ``parameter`` of a request contains ``value``; for the look-up of one record only if ``lookup``."""

    parameter: str
    value: str
    limit: RateLimit
    lookup: bool = True


@dataclass(frozen=True)
class PageSize:
    """Bounds of ``page[size]`` in records."""

    default: int
    maximum: int


@dataclass(frozen=True)
class Endpoint:
    """The read side of a collection in Klaviyo's contract.

    Attributes:
        path: Path of the collection, for example ``/api/events``.
        limit: Rate limit of the collection.
        page_size: Bounds of ``page[size]``; None where the endpoint has no such parameter.
        filters: Filter operators that the endpoint allows, by field.
        required_filter: Field that every request must filter on, or None.
        sorts: Fields that it sorts by, ascending and (prefixed with ``-``) descending.
        includes: Relationships that ``include`` accepts.
        additional_fields: Attributes given only when asked for with ``additional-fields[<type>]``.
        reduced_limits: Lower limits that some parameters switch on.
        lookup_limit: Rate limit of ``<path>/{id}``; None where the API has no such endpoint.
        unpaged: True if the endpoint answers with everything at once.
    """

    path: str
    limit: RateLimit
    page_size: PageSize | None = None
    filters: Mapping[str, frozenset[str]] = field(default_factory=dict)
    required_filter: str | None = None
    sorts: tuple[str, ...] = ()
    includes: tuple[str, ...] = ()
    additional_fields: tuple[str, ...] = ()
    reduced_limits: tuple[ReducedLimit, ...] = ()
    lookup_limit: RateLimit | None = None
    unpaged: bool = False

    def limit_for(self, parameters: Mapping[str, str], *, lookup: bool = False) -> RateLimit:
        """Return the limit that holds for a request with these query parameters; of a look-up, the collection's limit if none is lower."""
        for reduced in self.reduced_limits:
            if (reduced.lookup or not lookup) and reduced.value in parameters.get(reduced.parameter, "").split(","):
                return reduced.limit
        return self.limit

    def allows(self, field_name: str, operator: str) -> bool:
        """Return whether the endpoint's filter takes ``operator`` on ``field_name``."""
        return operator in self.filters.get(field_name, frozenset())


@dataclass(frozen=True)
class Query:
    """An endpoint that answers a question put in the body of a POST, and changes nothing.

    Attributes:
        path: Its path.
        jsonapi_type: ``type`` member of the question.
        scope: API scope that it takes.
        limit: Rate limit.
        longest_span: The longest span of time that one question may be about.
    """

    path: str
    jsonapi_type: str
    scope: str
    limit: RateLimit
    longest_span: timedelta


@dataclass(frozen=True)
class Division:
    """A part of a resource type that the API gives only apart.

    Attributes:
        name: Name in coverage and logs, for example ``email/archived``.
        filters: Filter expressions that select it.
        values: Column values that follow from it.
    """

    name: str = "all"
    filters: tuple[str, ...] = ()
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Whole:
    """Read every division at each sync; ids that are gone are looked up, then marked deleted."""


@dataclass(frozen=True)
class ByCoverage:
    """Read the windows of a time field that have not been read yet, in slices side by side.

    Attributes:
        field: The time field to follow.
        settling: Ages at which a span is read once more, ascending, for what arrives late.
        sweep: A field that does not move, by which the first read sweeps the history; None if ``field`` itself does not move.
        future_dated: True if records may be dated in the future; they are read at each sync and never covered.
        honours_start_date: True if the user's start date cuts the history.
        watched: Times inside of a JSON column, by which changes are found that need not move ``field``; the endpoint filters and sorts by them.
    """

    field: str
    settling: tuple[timedelta, ...]
    sweep: str | None = None
    future_dated: bool = False
    honours_start_date: bool = False
    watched: tuple[str, ...] = ()


@dataclass(frozen=True)
class Walked:
    """Sweep the history by ``sweep`` once, then walk newest ``field`` first, down to below the last complete read.

    For an endpoint that sorts by a field but does not filter by it.

    Attributes:
        field: The time field to walk along, descending.
        sweep: The time field for the first read.
        margin: How far below the last complete read the walk goes.
    """

    field: str
    sweep: str
    margin: timedelta


Reading = Whole | ByCoverage | Walked


@dataclass(frozen=True)
class ResourceType:
    """A Klaviyo collection that becomes one table and one asset.

    Attributes:
        name: Name of the table and the asset, plural: ``profiles``.
        jsonapi_type: ``type`` member of its resource objects, singular: ``profile``.
        description: What a row is, for people who see the asset or the table.
        scope: API scope that reading it takes.
        endpoint: The contract of its collection.
        columns: Columns from Klaviyo, the primary key first.
        reading: How it is kept right.
        divisions: The parts it must be read in.
        requested_fields: Additional fields that every read asks for.
        counted_by: Where Klaviyo tells its own counts of the records; None if it does not.
        version: Column that orders two versions of a record, or None if records do not change.
        recommended_scope: True if the scope is among those that users are told to give the key.
        unmapped: Paths of members that Klaviyo is known to send and that no column takes, such as ``("relationships", "lists")``: attributes of other
            endpoints, and relationships that come as links only. Values and ids go to ``_extra``, and no check warns of them.
        docs_url: Klaviyo's page of the endpoint.
    """

    name: str
    jsonapi_type: str
    description: str
    scope: str
    endpoint: Endpoint
    columns: tuple[Column, ...]
    reading: Reading
    divisions: tuple[Division, ...] = (Division(),)
    requested_fields: tuple[str, ...] = ()
    version: str | None = None
    counted_by: Query | None = None
    recommended_scope: bool = True
    unmapped: tuple[tuple[str, str], ...] = ()
    docs_url: str = ""

    @property
    def primary_key(self) -> str:
        """Name of the primary key column."""
        return self.columns[0].name

    @property
    def page_parameters(self) -> dict[str, str]:
        """Query parameters that every page of a read carries (largest page, additional fields)."""
        parameters: dict[str, str] = {}
        if self.endpoint.page_size is not None:
            parameters["page[size]"] = str(self.endpoint.page_size.maximum)
        if self.requested_fields:
            parameters[f"additional-fields[{self.jsonapi_type}]"] = ",".join(self.requested_fields)
        return parameters


# Operator groups as Klaviyo's filter documentation names them: https://developers.klaviyo.com/en/docs/filtering_
EQUALS = frozenset({"equals"})
ANY = frozenset({"any"})
EQUALS_ANY = frozenset({"equals", "any"})
HAS = frozenset({"has"})
CONTAINS = frozenset({"contains"})
STRICT = frozenset({"greater-than", "less-than"})
GREATER_ONLY = frozenset({"greater-than"})
INCLUSIVE = frozenset({"greater-or-equal", "less-or-equal"})
RANGE = STRICT | INCLUSIVE

"""The contract of Klaviyo's endpoints: rate limits, page sizes, filters, sorts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta


@dataclass(frozen=True)
class RateLimit:
    """Klaviyo's fixed-window limits of an endpoint, per account (OpenAPI ``x-klaviyo-ratelimit``).

    Attributes:
        burst: Requests allowed in a window of one second.
        steady: Requests allowed in a window of one minute.
        daily: Requests allowed in a window of one day; None if there is no such window.
    """

    burst: int
    steady: int
    daily: int | None = None


# Klaviyo's tiers: https://developers.klaviyo.com/en/docs/rate_limits_and_error_handling
TIER_XS = RateLimit(burst=1, steady=15)
TIER_S = RateLimit(burst=3, steady=60)
TIER_M = RateLimit(burst=10, steady=150)
TIER_L = RateLimit(burst=75, steady=750)
TIER_XL = RateLimit(burst=350, steady=3500)
TIER_REPORTS = RateLimit(burst=1, steady=2, daily=225)


@dataclass(frozen=True)
class ReducedLimit:
    """A lower limit for requests with ``value`` in ``parameter``; it applies to single-record look-ups only if ``lookup``."""

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
    """The API contract for reading a collection.

    Attributes:
        path: Path of the collection, for example ``/api/events``.
        limit: Rate limit of the collection.
        page_size: Bounds of ``page[size]``; None if the endpoint has no such parameter.
        filters: Filter operators that the endpoint allows, by field.
        required_filter: Field that every request must filter on, or None.
        sorts: Fields that it can sort by, ascending and (prefixed with ``-``) descending.
        includes: Relationships that ``include`` accepts.
        additional_fields: Attributes that are returned only when requested with ``additional-fields[<type>]``.
        reduced_limits: Lower limits that apply with some parameters.
        lookup_limit: Rate limit of ``<path>/{id}``; None if the API has no such endpoint.
        unpaged: True if the endpoint returns everything in one response.
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
        """Return the limit of a request with these query parameters: a reduced one, or ``limit``.

        Args:
            parameters: The query parameters.
            lookup: True for a request of one record by its id. Unless a reduced limit is returned, ``lookup_limit`` applies to it.
        """
        for reduced in self.reduced_limits:
            if (reduced.lookup or not lookup) and reduced.value in parameters.get(reduced.parameter, "").split(","):
                return reduced.limit
        return self.limit

    def allows(self, field_name: str, operator: str) -> bool:
        """Return whether the endpoint supports the filter ``operator`` on ``field_name``."""
        return operator in self.filters.get(field_name, frozenset())


@dataclass(frozen=True)
class Include:
    """A relationship with resources that every read of a type requests in the same response (JSON:API ``include``, a compound document).

    Attributes:
        relationship: Name of the relationship, one of the endpoint's ``includes``: ``attributions``.
        scopes: API scopes that the included resources need besides those of the type.
        fields: Sparse fieldsets by type of the included resources, ``{"flow-action": ("definition",)}``; all fields if None.
    """

    relationship: str
    scopes: tuple[str, ...] = ()
    fields: Mapping[str, tuple[str, ...]] | None = None


@dataclass(frozen=True)
class Query:
    """A read-only endpoint that reads its query from the body of a POST.

    Attributes:
        path: Its path.
        jsonapi_type: ``type`` member of the query.
        scope: API scope that it needs.
        limit: Rate limit.
        longest_span: The longest time window that one query may cover.
    """

    path: str
    jsonapi_type: str
    scope: str
    limit: RateLimit
    longest_span: timedelta


# Operator groups of Klaviyo's filter documentation: https://developers.klaviyo.com/en/docs/filtering_
EQUALS = frozenset({"equals"})
ANY = frozenset({"any"})
EQUALS_ANY = frozenset({"equals", "any"})
HAS = frozenset({"has"})
CONTAINS = frozenset({"contains"})
TEXT = frozenset({"contains", "ends-with", "equals", "starts-with"})
STRICT = frozenset({"greater-than", "less-than"})
GREATER_ONLY = frozenset({"greater-than"})
INCLUSIVE = frozenset({"greater-or-equal", "less-or-equal"})
RANGE = STRICT | INCLUSIVE

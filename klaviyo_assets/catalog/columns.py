"""Columns of a resource type, and the paths of their values in a JSON:API resource object."""

from dataclasses import dataclass
from enum import StrEnum

from klaviyo_assets.catalog.catalog_errors import MissingTrait


class ColumnType(StrEnum):
    """Type of a column; the value is the DuckDB type of the table's column."""

    STRING = "VARCHAR"
    INTEGER = "BIGINT"
    FLOAT = "DOUBLE"
    BOOLEAN = "BOOLEAN"
    TIMESTAMP = "TIMESTAMP WITH TIME ZONE"
    DATE = "DATE"
    JSON = "JSON"
    STRINGS = "VARCHAR[]"


@dataclass(frozen=True)
class Computed:
    """How the value of a column is found in a JSON column of the same row: the first of several values that fits the column's type.

    An empty text, one of more than 1,000 bytes, and one that begins like a list or an object (``[``, ``{``) do not fit. A number or boolean fits a
    text column, a text that is a number fits a number column, and ``true``, ``false``, 1 and 0 (also as texts) fit a boolean one.

    Attributes:
        paths: Paths in the JSON, in the order of preference. A path that ends with ``*`` is a list, and its value the number of its items. Names
            match exactly; DuckDB reads all paths of a JSON column at once, so two of them must not differ in case only.
        columns: Columns of the same table with a value that is preferred to those of the paths.
        is_currency: True if only three letters fit, which are written in upper case.
    """

    paths: tuple[tuple[str, ...], ...]
    columns: tuple[str, ...] = ()
    is_currency: bool = False


@dataclass(frozen=True)
class Column:
    """A column of a table and the path of its value in the JSON:API resource object.

    Attributes:
        name: Column name, snake case.
        type: Column type.
        description: Meaning of the value; shown as the column's comment in DuckDB and its description in Dagster.
        path: Path of the value: ``("id",)``, ``("attributes", "location", "city")``, ``("relationships", "metric")``; for a value that
            comes from the subset, ``("subset", "channel")``; for the id of the parent, ``("parent", "list_id")``; for a time that the library
            sets itself, ``("removal",)``; for an id that the first of the included resources of a relationship names,
            ``("included", "attributions", "relationships", "campaign")``; for all that these resources name, as JSON,
            ``("included", "attributions", "relationships")``; for a value inside a JSON column,
            ``("within", "subscriptions", "email", "marketing", "consent")``; for a value that the load computes from a JSON column,
            ``("computed", "event_properties", "value")``; for a value that is computed from the response, ``("derived", "position")``.
        personal: True if the value identifies a person; masked in previews.
        required: True if Klaviyo promises a value for every record (``required`` and not ``nullable`` in its schema).
        values: The values that Klaviyo's schema lists (``enum``); empty where it lists none.
        was_in_extra: True for an attribute that got its column in a later version. Its earlier values are moved from ``_extra`` into the
            column, so earlier coverage remains valid.
        volatile: True for a value that differs at each read although nothing has changed, such as a presigned URL. It is stored with the rest of
            the row, but a row is not rewritten, and does not count as changed, if only such values differ.
        computed: For a value that the load computes, how.
    """

    name: str
    type: ColumnType
    description: str
    path: tuple[str, ...]
    personal: bool = False
    required: bool = False
    values: tuple[str, ...] = ()
    was_in_extra: bool = False
    volatile: bool = False
    computed: Computed | None = None

    @property
    def required_computed(self) -> Computed:
        """How the value is computed, for code that works on such columns only.

        Raises:
            MissingTrait: If the value is received.
        """
        if self.computed is None:
            raise MissingTrait(self.name, "computed value", of="column")
        return self.computed


INCLUDED = "included"
"""Begins the path of a value of an included resource."""

WITHIN = "within"
"""Begins the path of a value that is inside a JSON column of the same table."""

COMPUTED = "computed"
"""Begins the path of a value that the load computes from a JSON column of the same table."""

FIRST, EACH = "0", "*"
"""In the path of a value inside a JSON column: the first item of a list, and each of its items."""

EXTRA = "_extra"
"""Column of each table: attributes without a column in the catalog."""

SYNCED_AT = "_synced_at"
"""Column of each table: when the row's content was read, by Klaviyo's clock."""

DELETED_AT = "_deleted_at"
"""Column of each table: set for a record that Klaviyo no longer has."""

ADDED_COLUMNS = (
    Column(
        EXTRA,
        ColumnType.JSON,
        "Attributes without a column in this version of klaviyo_assets, and values that did not fit their column's type; null if there are none.",
        path=(),
    ),
    Column(SYNCED_AT, ColumnType.TIMESTAMP, "When the request that returned the row's current content was sent.", path=(), required=True),
    Column(DELETED_AT, ColumnType.TIMESTAMP, "When a sync found that the record no longer exists in Klaviyo; null while it exists.", path=()),
)
"""Columns that each table has after the columns of its resource type."""


def attribute(
    path: str,
    type: ColumnType,
    description: str,
    *,
    personal: bool = False,
    required: bool = False,
    values: tuple[str, ...] = (),
    was_in_extra: bool = False,
    volatile: bool = False,
) -> Column:
    """A column for an attribute; a dotted path is flattened (``location.city`` becomes ``location_city``)."""
    parts = tuple(path.split("."))
    return Column("_".join(parts), type, description, ("attributes", *parts), personal, required, values, was_in_extra, volatile)


def to_one(relationship: str, description: str) -> Column:
    """A column ``<relationship>_id`` for a to-one relationship."""
    return Column(f"{relationship.replace('-', '_')}_id", ColumnType.STRING, description, ("relationships", relationship))


def to_many(relationship: str, name: str, description: str) -> Column:
    """A column with the list of ids of a to-many relationship; null if Klaviyo's response omits the ids."""
    return Column(name, ColumnType.STRINGS, description, ("relationships", relationship))


def from_first_included(relationship: str, name: str, target: str, description: str) -> Column:
    """A column with the id that the first included resource of a relationship names in its own relationship ``target``; null if there is none.

    Example:
        >>> from_first_included("attributions", "attributed_flow_id", "flow", "The flow.").path
        ('included', 'attributions', 'relationships', 'flow')
    """
    return Column(name, ColumnType.STRING, description, (INCLUDED, relationship, "relationships", target))


def all_included(relationship: str, name: str, description: str) -> Column:
    """A JSON column with the list of what the included resources of a relationship name: their ``relationships``, exactly as Klaviyo sent them."""
    return Column(name, ColumnType.JSON, description, (INCLUDED, relationship, "relationships"))


def within(path: str, name: str, type: ColumnType, description: str) -> Column:
    """A column with a copy of a value that is inside a JSON column; null where the value is missing or has another type.

    It is read from the JSON column as stored, so a field rule for that value applies to both, and stored rows get it without a new read.

    Args:
        path: The JSON column and the path in it, with ``0`` for the first item of a list and ``*`` for each (of type STRINGS).
        name: Name of the column.
        type: Its type, not JSON.
        description: Its meaning.

    Example:
        >>> within("subscriptions.email.marketing.suppression.0.reason", "email_suppression_reason", ColumnType.STRING, "Why.").path[:3]
        ('within', 'subscriptions', 'email')
    """
    return Column(name, type, description, (WITHIN, *path.split(".")))


def computed(
    source: str,
    name: str,
    type: ColumnType,
    description: str,
    *paths: str | tuple[str, ...],
    columns: tuple[str, ...] = (),
    is_currency: bool = False,
) -> Column:
    """A column that the load computes from a JSON column of custom data, in which the same value may have several names and types.

    The table computes it from the JSON that it stores, so field rules for that JSON apply, and stored rows get it without a new read, also when its
    definition changes. A value of another type is null; the JSON column still has it.

    Args:
        source: The JSON column.
        name: Name of the column.
        type: Its type: STRING, FLOAT, INTEGER or BOOLEAN.
        description: Its meaning.
        paths: Names of members of the JSON, or their paths, in the order of preference; see :class:`Computed`.
        columns: Columns of the table that are preferred to these.
        is_currency: True for the code of a currency.

    Example:
        >>> computed("event_properties", "item_count", ColumnType.INTEGER, "Lines.", ("Items", EACH), "ItemCount").computed.paths
        (('Items', '*'), ('ItemCount',))
    """
    found = tuple((path,) if isinstance(path, str) else path for path in paths)
    return Column(name, type, description, (COMPUTED, source, name), computed=Computed(found, columns, is_currency))


def from_subset(name: str, description: str) -> Column:
    """A column with a value of the subset, for a field that the API supports only as a filter."""
    return Column(name, ColumnType.STRING, description, ("subset", name))


def derived(name: str, type: ColumnType, description: str, *, personal: bool = False) -> Column:
    """A column with a value that is computed from the response; for types with a ``host``."""
    return Column(name, type, description, ("derived", name), personal)


def record_id(description: str, name: str = "id") -> Column:
    """A primary key column: the record's own id."""
    return Column(name, ColumnType.STRING, description, ("id",))


def parent_id(name: str, description: str) -> Column:
    """A primary key column of a child type: the id of the parent that the record was read from."""
    return Column(name, ColumnType.STRING, description, ("parent", name))


def removal(name: str, description: str) -> Column:
    """A column of a child type: when a sync found that the child had left its parent, which still exists. Klaviyo does not send it."""
    return Column(name, ColumnType.TIMESTAMP, description, ("removal",))

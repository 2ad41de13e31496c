"""Field rules: which fields of a resource type are dropped or hashed. Parses user input and validates it against the catalog."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from klaviyo_assets._internal.sanitize import one_line
from klaviyo_assets.catalog import CATALOG, Catalog
from klaviyo_assets.catalog.columns import EXTRA, Column, ColumnType
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.errors import KlaviyoAssetsError
from klaviyo_assets.privacy.hashing import ValueKind, value_kind_of

FieldRules = Mapping[str, Mapping[str, str]]
"""``drop`` or ``hash`` by resource type and field, as users write them."""

_DOT = re.compile(r"(?<!\\)\.")


class InvalidFieldRules(KlaviyoAssetsError, ValueError):
    """A rule names something that does not exist or is impossible, or the salt is missing; nothing was read."""

    longest = 4_000  # the text lists every field that a rule may name


class Action(StrEnum):
    """What is done with a field."""

    DROP = "drop"
    """It is not stored."""
    HASH = "hash"
    """A salted hash is stored instead."""


@dataclass(frozen=True)
class Rule:
    """A rule for one field.

    Attributes:
        field: The field as the user wrote it, such as ``properties.birthday``.
        action: What is done with it.
        column: Column of the table.
        inside: Path to it inside the column's JSON; empty for the whole column.
        attribute: Path to it from the record's attributes; its place in ``_extra`` if the value did not fit its column.
        parents: How many names of this path are objects with columns for their members, such as ``location``.
        also: A second path to it in ``_extra``, by the name that the user wrote; empty if there is none.
    """

    field: str
    action: Action
    column: str
    inside: tuple[str, ...]
    attribute: tuple[str, ...]
    parents: int = 0
    also: tuple[str, ...] = ()

    @property
    def kind(self) -> ValueKind:
        """What the field holds, by its name."""
        return value_kind_of(self.attribute[-1])


def parse_rules(rules: FieldRules, catalog: Catalog = CATALOG) -> dict[str, tuple[Rule, ...]]:
    """Return the rules by resource type.

    Raises:
        InvalidFieldRules: If a rule names an unknown type, field or action, or is impossible.

    Example:
        >>> parse_rules({"profiles": {"email": "hash", "properties.birthday": "drop"}})["profiles"][1].inside
        ('birthday',)
    """
    return {name: _of_type(name, fields, catalog) for name, fields in rules.items()}


def _of_type(name: str, fields: Mapping[str, str], catalog: Catalog) -> tuple[Rule, ...]:
    entry = catalog.get(name)
    if entry is None:
        raise InvalidFieldRules(
            f"field_rules name {one_line(name)!r}, which is no resource type. Known are: {', '.join(catalog)}. A type of your own must be in the "
            "catalog that the code is given (catalog=)."
        )
    if not isinstance(fields, Mapping):
        raise InvalidFieldRules(f'The field_rules of {name} are not a mapping. Write them as {{"{name}": {{"email": "hash"}}}}.')
    rules = tuple(sorted((_rule(entry, field, action) for field, action in fields.items()), key=lambda rule: rule.attribute))
    for one, other in pairwise(rules):
        if other.attribute[: len(one.attribute)] == one.attribute:
            raise InvalidFieldRules(f"Two field_rules of {name} are about the same: {one.field} and {other.field}. Leave one out.")
    return rules


def _rule(entry: ResourceType, field: str, action: str) -> Rule:
    where = f"field_rules of {entry.name}: {one_line(str(field))!r}"
    if action not in tuple(Action):
        raise InvalidFieldRules(f"{where}: {one_line(str(action))!r} is no action. Use drop or hash.")
    path = path_of(field)
    if path == (EXTRA,):
        if action == Action.HASH:
            raise InvalidFieldRules(f"{where} is JSON and cannot be hashed as a whole. Drop it, or name a member of it: {EXTRA}.<name>.")
        return Rule(field, Action(action), EXTRA, (), path)
    in_extra = path[1:] if path[0] == EXTRA else ()
    column = _column(entry, in_extra or path)
    if column is not None:
        return _rule_of_column(where, entry, column, field, Action(action), in_extra)
    if in_extra:
        _refuse_part_of_columns(where, entry, in_extra)
        return Rule(field, Action(action), EXTRA, in_extra, in_extra, _parents(entry, in_extra))
    known = ", ".join(".".join(one.path[1:]) for one in entry.columns if _has_rules(entry, one))
    raise InvalidFieldRules(f"{where} is not known, or needed as it is. Fields that rules may name: {known}; and {EXTRA}.<name>.")


def path_of(field: str) -> tuple[str, ...]:
    r"""Return the path to a field, outermost name first. A dot within a name is written ``\.``."""
    return tuple(part.replace("\\.", ".") for part in _DOT.split(field))


def _rule_of_column(where: str, entry: ResourceType, column: Column, field: str, action: Action, in_extra: tuple[str, ...]) -> Rule:
    """Return the rule for a column or something inside it, even if the user named it as a member of ``_extra``."""
    path = in_extra or path_of(field)
    attribute = column.path[1:]
    inside = path[len(attribute) :] if path[: len(attribute)] == attribute else path[1:]
    _refuse_impossible(where, column, inside, action)
    whole = (*attribute, *inside)
    return Rule(field, action, column.name, inside, whole, _parents(entry, attribute), in_extra if in_extra != whole else ())


def _parents(entry: ResourceType, path: tuple[str, ...]) -> int:
    """Return how many leading names of a path are objects with columns for their members."""
    flattened = {column.path[1:end] for column in entry.columns if column.path[0] == "attributes" for end in range(2, len(column.path))}
    return sum(path[:length] in flattened for length in range(1, len(path)))


def _refuse_part_of_columns(where: str, entry: ResourceType, path: tuple[str, ...]) -> None:
    """Reject a rule that would seem to protect a column but does not."""
    attributes = [column.path[1:] for column in entry.columns if column.path[0] == "attributes"]
    if any(path[: len(one)] == one for one in attributes):
        raise InvalidFieldRules(f"{where} has a column, and is needed as it is.")
    inside = [".".join(one) for one in attributes if one[: len(path)] == path]
    if inside:
        raise InvalidFieldRules(f"{where} has columns of its own for what is inside. Name these, each with a rule: {', '.join(inside)}.")


def _column(entry: ResourceType, path: tuple[str, ...]) -> Column | None:
    """Return the column that contains a field, named by Klaviyo's path (``location.zip``) or by the column's name (``location_zip``)."""
    for column in entry.columns:
        if _has_rules(entry, column) and (path[: len(column.path) - 1] == column.path[1:] or path[0] == column.name):
            return column
    return None


def _has_rules(entry: ResourceType, column: Column) -> bool:
    """Whether a column may have a rule: it is an attribute, and neither a sync, a selection of metrics nor an erasure depends on it."""
    needed = {*entry.primary_key, entry.profile_column, entry.version_column, entry.metric_filter, *entry.replication.cursor_fields}
    return column.path[0] == "attributes" and column.name not in needed


def _refuse_impossible(where: str, column: Column, inside: tuple[str, ...], action: Action) -> None:
    if inside and column.type is not ColumnType.JSON:
        raise InvalidFieldRules(f"{where}: {column.name} holds {column.type}, which has nothing inside. Name {'.'.join(column.path[1:])} itself.")
    if action is Action.DROP:
        return
    if not inside and column.type is ColumnType.JSON:
        raise InvalidFieldRules(f"{where} is JSON and cannot be hashed as a whole. Drop it, or name a member of it: {column.name}.<name>.")
    if not inside and column.type not in (ColumnType.STRING, ColumnType.STRINGS):
        raise InvalidFieldRules(f"{where} holds {column.type}, which has no room for a hash. It can be dropped.")


def needs_salt(rules: Iterable[Rule]) -> bool:
    """Return whether any of the rules hashes."""
    return any(rule.action is Action.HASH for rule in rules)

"""Compile a filter's text to conditions on records, checked against the catalog."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.catalog.types.campaigns import CHANNELS
from klaviyo_assets.sandbox import grammar, instants
from klaviyo_assets.sandbox.errors import ApiError, invalid
from klaviyo_assets.sandbox.fields import FieldKind, Value, canonical, kind_of
from klaviyo_assets.sandbox.instants import SECOND
from klaviyo_assets.sandbox.options import SandboxOptions
from klaviyo_assets.sandbox.records import Record
from klaviyo_assets.sandbox.store import Position

_LAST = "\U0010ffff"
"""Greater than every id."""

_FIRST_VALUE: Position = (1, -(1 << 63), "")
"""After the nulls, which meet no condition, and before every value."""

_CHOICES = {
    ("campaigns", "messages.channel"): frozenset(CHANNELS),
    ("reviews", "status"): frozenset({"published", "unpublished", "rejected", "featured", "pending", "all"}),
}
"""The allowed values of a filter, for fields that do not accept any value."""

_MAY_BE_IN_THE_FUTURE = frozenset({"expires_at"})
"""Fields with times that usually lie in the future. Klaviyo refuses such bounds of the times of changes (recorded)."""

_BOOLEANS = {"true": True, "false": False}


@dataclass(frozen=True)
class Condition:
    """One condition on a field.

    Attributes:
        field: Name under which records store the value.
        operator: Klaviyo's operator.
        operand: What the value is compared with.
    """

    field: str
    operator: str
    operand: Value | frozenset[Value]

    def met_by(self, record: Record) -> bool:
        """Return whether a record meets the condition; a null meets none."""
        value = record.values.get(self.field)
        return value is not None and _TESTS[self.operator](value, self.operand)

    def bounds(self) -> tuple[Position, Position | None]:
        """Return the lowest and the highest position in the field's order that meet the condition; only for conditions on instants."""
        at = self.operand
        assert isinstance(at, int)
        match self.operator:
            case "greater-than":
                return (1, at + 1, ""), None
            case "greater-or-equal":
                return (1, at, ""), None
            case "less-than":
                return _FIRST_VALUE, (1, at - 1, _LAST)
            case "less-or-equal":
                return _FIRST_VALUE, (1, at, _LAST)
            case _:
                return (1, at, ""), (1, at, _LAST)


_TESTS: dict[str, Callable[..., bool]] = {
    "equals": lambda value, operand: value == operand,
    "any": lambda value, operand: value in operand,
    "contains": lambda value, operand: operand in value,
    "starts-with": lambda value, operand: value.startswith(operand),
    "ends-with": lambda value, operand: value.endswith(operand),
    "greater-than": lambda value, operand: value > operand,
    "greater-or-equal": lambda value, operand: value >= operand,
    "less-than": lambda value, operand: value < operand,
    "less-or-equal": lambda value, operand: value <= operand,
    "has": lambda value, operand: True,
}


@dataclass(frozen=True)
class Filter:
    """The conditions of a request; a record must meet all of them."""

    conditions: tuple[Condition, ...]

    def on(self, field: str) -> list[Condition]:
        """Return the conditions on a field."""
        return [condition for condition in self.conditions if condition.field == field]

    def without(self, conditions: Iterable[Condition]) -> tuple[Condition, ...]:
        """Return the conditions except these."""
        dropped = set(conditions)
        return tuple(condition for condition in self.conditions if condition not in dropped)


def compile_filter(entry: ResourceType, text: str | None, options: SandboxOptions, now: int) -> Filter:
    """Return the conditions of a request's filter, including Klaviyo's defaults.

    Raises:
        ApiError: 400, if Klaviyo would reject it.
    """
    calls = _parse(text)
    required = entry.endpoint.required_filter
    if required and not any(call.field == required for call in calls):
        raise invalid(f"A filter on {required} is required: equals({required},'…').", "filter")
    conditions = [_condition(entry, call, now) for call in calls]
    conditions = [found for condition in conditions for found in _with_switches(entry, condition, options)]
    return Filter((*conditions, *_defaults(entry, calls, options)))


def _parse(text: str | None) -> list[grammar.Call]:
    if text is None:
        return []
    try:
        return grammar.parse(text)
    except grammar.FilterSyntaxError as error:
        raise _invalid(f"Invalid filter: {error}.") from None


def _condition(entry: ResourceType, call: grammar.Call, now: int) -> Condition:
    if call.field not in entry.endpoint.filters:
        raise _invalid(f"'{call.field}' is not a valid field for filtering {entry.name}.")
    if not entry.endpoint.allows(call.field, call.operator):
        allowed = ", ".join(sorted(entry.endpoint.filters[call.field]))
        raise _invalid(f"'{call.operator}' is not a valid operator for '{call.field}'; allowed: {allowed}.")
    return Condition(canonical(entry, call.field), call.operator, _operand(entry, call, now))


def _operand(entry: ResourceType, call: grammar.Call, now: int) -> Value | frozenset[Value]:
    match call.operator, call.value:
        case "has", None:
            return None
        case "has", _:
            raise _invalid("'has' takes a field and nothing else.")
        case "any", tuple() as literals:
            return frozenset(_value(entry, call.field, literal, now) for literal in literals)
        case operator, grammar.Literal() as literal if operator != "any":
            return _value(entry, call.field, literal, now)
        case _:
            raise _invalid(f"'{call.operator}' on '{call.field}' takes {'a list of values' if call.operator == 'any' else 'one value'}.")


def _value(entry: ResourceType, field: str, literal: grammar.Literal, now: int) -> Value:
    kind = kind_of(entry, field)
    if literal.quoted != (kind is FieldKind.STRING):
        raise _invalid(f"The value of '{field}' {'must' if kind is FieldKind.STRING else 'must not'} be quoted.")
    match kind:
        case FieldKind.TIME:
            return _instant(field, literal.text, now)
        case FieldKind.BOOLEAN if literal.text in _BOOLEANS:
            return _BOOLEANS[literal.text]
        case FieldKind.INTEGER if literal.text.lstrip("-").isdecimal():
            return int(literal.text)
        case FieldKind.STRING if literal.text in _CHOICES.get((entry.name, field), {literal.text}):
            return literal.text
        case _:
            raise _invalid(f"'{literal.text}' is not a valid value for '{field}'.")


def _instant(field: str, text: str, now: int) -> int:
    try:
        instant = int(text) * SECOND if field == "timestamp" and text.isdecimal() else instants.parse(text)
    except (ValueError, OverflowError):
        raise _invalid(f"'{text}' is not a valid datetime for '{field}'.") from None
    if instant > now and field not in _MAY_BE_IN_THE_FUTURE:
        raise _invalid("End date may not be in the future")
    return instant


def _with_switches(entry: ResourceType, condition: Condition, options: SandboxOptions) -> list[Condition]:
    """Apply the options for undocumented behavior of Klaviyo to a condition."""
    if entry.name == "reviews" and condition.field == "status":
        return [] if condition.operand == "all" else [condition]
    if not isinstance(condition.operand, int) or condition.operator not in {"greater-than", "less-than"}:
        return [condition]
    if entry.name == "profiles" and condition.operator == "less-than" and options.ignore_profiles_upper_bound:
        return []
    if options.strict_includes_bound:
        return [Condition(condition.field, condition.operator.replace("than", "or-equal"), condition.operand)]
    return [condition]


def _defaults(entry: ResourceType, calls: list[grammar.Call], options: SandboxOptions) -> list[Condition]:
    """Return the conditions that Klaviyo adds if the filter does not mention the field."""
    named = {call.field for call in calls}
    if entry.name == "reviews" and "status" not in named and not options.all_reviews_by_default:
        return [Condition("status", "any", frozenset({"published", "featured"}))]
    if "archived" in entry.endpoint.filters and "archived" not in named and not options.archived_by_default:
        return [Condition("archived", "equals", False)]
    return []


def _invalid(detail: str) -> ApiError:
    return invalid(detail, "filter")

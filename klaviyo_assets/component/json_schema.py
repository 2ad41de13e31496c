"""The JSON schema of the component, by which ``dg check yaml`` and editors check a ``defs.yaml``.

Dagster derives a schema from the fields. Every field there may also be a template, so each is a choice of alternatives, and the message for a wrong
value is only that it fits none of them. Here the alternatives are merged, so that a message says what is allowed, and the bounds and names that
:mod:`klaviyo_assets.settings.options` declares are added.
"""

from collections.abc import Mapping
from typing import Final, get_args

from pydantic import BaseModel, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from klaviyo_assets._internal import identifiers
from klaviyo_assets._internal.option import Names, Number, Option
from klaviyo_assets.catalog import Catalog
from klaviyo_assets.catalog.groups import ALL, DEFAULT
from klaviyo_assets.component.fields import ENVIRONMENT_PATTERN
from klaviyo_assets.privacy.rules import Action
from klaviyo_assets.schedules import Occasion
from klaviyo_assets.settings.options import API_KEY_OPTION, RESOURCE_OPTIONS, options_for
from klaviyo_assets.settings.setting_kinds import FieldRulesJson, ResourceTypes

_TEMPLATE: Final = {"type": "string", "pattern": r"\{\{.*\}\}"}
_BEGINS_WITH_DATE: Final = r"^\d{4}-\d{2}-\d{2}"
_WHOLE_DATE: Final = f"{_BEGINS_WITH_DATE}$"
_PATTERNS: Final = {
    "account": f"^{identifiers.PATTERN}$",
    "start_date": _BEGINS_WITH_DATE,
    "partitions": r"^(daily|monthly)$",
    "base_url": r"^https?://",
    "database": r"\S",
}
"""Patterns of texts; all else about them is checked when the component is loaded."""

_TIMES: Final = dict.fromkeys(get_args(Occasion), r"^(@\w+|\S+( +\S+){4})$")
"""Patterns of cron expressions."""

_OBJECTS: Final[dict[str, Mapping[str, str]]] = {"partitions": {"start": _WHOLE_DATE}, "publish": {}, "retry_policy": {}, "schedules": _TIMES}
"""Fields that may be objects with fields of ours, and the patterns of these."""

_ABOUT: Final = {"title", "description", "default", "examples"}
"""Keywords that describe a field and say nothing about its values."""

_TEXT_FIELDS: Final = {"marts", "partitions", "publish"}
"""Fields that may be any text besides values of other types. In all others with such values, a text is a template."""

_described: Final[dict[type[BaseModel], type[BaseModel]]] = {}


def with_schema(model: type[BaseModel], catalog: Catalog) -> type[BaseModel]:
    """Return a Pydantic model of a component with a better JSON schema.

    Args:
        model: Dagster's model of its attributes; Dagster keeps one for each class of components.
        catalog: The resource types that exist.
    """
    if model not in _described:
        _described[model] = _with_schema(model, catalog)
    return _described[model]


def _with_schema(model: type[BaseModel], catalog: Catalog) -> type[BaseModel]:
    class Described(model):  # type: ignore[misc, valid-type]  # the base class is known at run time only
        """The model with the better schema; its name and docstring are replaced below."""

        @classmethod
        def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
            schema = handler.resolve_ref_schema(handler(core_schema))
            _describe(schema, catalog)
            for name, patterns in _OBJECTS.items():
                _refine(handler.resolve_ref_schema(schema["properties"][name]["else"]["then"]), patterns, {})
            return schema

    Described.__name__ = Described.__qualname__ = model.__name__
    Described.__doc__ = model.__doc__
    return Described


def _describe(schema: JsonSchemaValue, catalog: Catalog) -> None:
    options = options_for(catalog)
    names = ("resource_types", *(option.name for option in RESOURCE_OPTIONS if option.name != API_KEY_OPTION.name))
    for name in names:
        schema["properties"][name]["default"] = options[name].default
    _refine(schema, _PATTERNS, {name: _facts(options[name]) for name in names})
    # Not any template: Dagster would replace others by the key itself.
    key = schema["properties"][API_KEY_OPTION.name]
    key |= {"type": "string", "pattern": ENVIRONMENT_PATTERN}
    del key["if"], key["else"]


def _refine(schema: JsonSchemaValue, patterns: Mapping[str, str], facts: Mapping[str, JsonSchemaValue]) -> None:
    """Merge alternatives, and add patterns and facts; name the fields, as the message of ``additionalProperties`` names only the unexpected one."""
    properties: dict[str, JsonSchemaValue] = schema["properties"]
    for name, value in properties.items():
        more = {"pattern": patterns[name]} if name in patterns else {}
        properties[name] = _merged(value, is_text=name in _TEXT_FIELDS, more=more | facts.get(name, {}))
    schema["propertyNames"] = {"enum": list(properties)}


def _merged(schema: JsonSchemaValue, *, is_text: bool, more: JsonSchemaValue) -> JsonSchemaValue:
    """Return a schema of a field that is a template or a value, where the alternatives of the value are merged.

    ``type`` then has several values, and each keyword applies to one of them.

    Args:
        schema: Of the field.
        is_text: Whether the field may be any text, and not only a template, besides values of other types.
        more: Keywords for the value.
    """
    alternatives = schema.get("anyOf", [schema])
    if any("type" not in one and "$ref" not in one for one in alternatives) or sum("$ref" in one for one in alternatives) > 1:
        return schema  # a field of a subclass, with values of a more complex kind
    value: JsonSchemaValue = dict(more)
    types: list[str] = []
    for alternative in alternatives:
        if "$ref" in alternative:
            # Only for objects: a reference alone would apply to every value.
            value |= {"if": {"type": "object"}, "then": {"$ref": alternative["$ref"]}}
            types.append("object")
        else:
            value |= {name: alternative[name] for name in alternative.keys() - _ABOUT - more.keys()}
            types.append(alternative["type"])
    if set(types) & {"number", "integer", "boolean", "array", "object"} and not is_text:
        types.remove("string")
    value["type"] = types[0] if len(types) == 1 else types
    return {name: schema[name] for name in schema.keys() & _ABOUT} | {"if": _TEMPLATE, "else": value}


def _facts(option: Option) -> JsonSchemaValue:
    """Return what an option's kind says about its values."""
    kind = option.kind
    if isinstance(kind, Number):
        keywords = {"gt": "exclusiveMinimum", "ge": "minimum", "le": "maximum"}
        return {keywords[name]: bound for name, bound in kind.bounds.items()}
    if isinstance(kind, ResourceTypes):
        return {"items": {"enum": [*kind.catalog, *kind.catalog.groups, DEFAULT, ALL]}, "uniqueItems": True}
    if isinstance(kind, Names):
        return {"items": {"type": "string", "minLength": 1}, "uniqueItems": True}
    if isinstance(kind, FieldRulesJson):
        rules = {"type": "object", "additionalProperties": {"enum": [str(action) for action in Action]}}
        return {"propertyNames": {"enum": list(kind.catalog)}, "additionalProperties": rules}
    return {}

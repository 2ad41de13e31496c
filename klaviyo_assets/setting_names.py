"""Names of the options in messages: environment variables, or the user's own resources and fields.

Errors name the variables (``KLAVIYO_API_KEY``), since the command line and the shipped code location read them. In a user's own code location they
have no effect; the same options are fields of resources there, so the Dagster layer replaces the names before it shows a message.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from klaviyo_assets._internal.option import VARIABLE_PREFIX
from klaviyo_assets.settings.options import OPTIONS

_VARIABLE = re.compile(rf"\b{VARIABLE_PREFIX}([A-Z][A-Z_]*)\b(?:=([\w.\-]*\w))?")
_HINT = " (or the variable that your KlaviyoResource names; in the environment or a .env file)"
"""Part of the advice for a missing key; redundant if the message names the variable."""

_DATABASE = "DUCKDB_PATH"


@dataclass(frozen=True)
class SettingNames:
    """Names of the options in a user's own code location.

    Args:
        resource_key: Key of the Klaviyo resource; None if the options come from the environment variables.
        duckdb_key: Key of the DuckDB resource.
        variables: Names of the environment variables that fields are read from, by field; ``database`` is the DuckDB resource's.

    Example:
        >>> names = SettingNames("eu", "eu_duckdb", {"api_key": "KLAVIYO_EU"})
        >>> names.with_configured_names("Set KLAVIYO_API_KEY to the key.")
        "Set the field api_key of resource 'eu' (environment variable KLAVIYO_EU) to the key."
    """

    resource_key: str | None
    duckdb_key: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)

    def with_configured_names(self, text: str) -> str:
        """Return a message with the user's own names in place of this library's variables."""
        if self.resource_key is None:
            return text
        return _replaced(text.replace(_HINT, ""), self._name)

    def _name(self, match: re.Match[str]) -> str:
        name, value = match.groups()
        if name == _DATABASE:
            return self._field("database", self.duckdb_key, value)
        option = OPTIONS.get(name.lower())
        if option is not None and option.on_resource:
            return self._field(name.lower(), self.resource_key, value)
        return match[0]  # read from the environment by every code location, such as the salt of the field rules

    def _field(self, name: str, key: str | None, value: str | None) -> str:
        variable = self.variables.get(name)
        shown = f"{name}={_python(value)}" if value else name
        return f"the field {shown} of resource {key!r}" + (f" (environment variable {variable})" if variable else "")


def replace_names(names: Mapping[str, str], text: str) -> str:
    """Return a message with variables replaced by other names.

    Args:
        names: Name of the setting by variable; other variables stay unchanged.
        text: The message.

    Example:
        >>> replace_names({"KLAVIYO_DUCKDB_THREADS": "the field duckdb_threads of resource 'frames'"}, "Set KLAVIYO_DUCKDB_THREADS=1.")
        "Set the field duckdb_threads of resource 'frames' to 1."
    """

    def name(match: re.Match[str]) -> str:
        variable, equals, value = match[0].partition("=")
        called = names.get(variable, variable)
        return f"{called} to {value}" if equals and called != variable else called + equals + value

    return _replaced(text, name)


def _replaced(text: str, name: Callable[[re.Match[str]], str]) -> str:
    """Replace each variable by its name, with a capital letter at the beginning of a sentence."""

    def replacement(match: re.Match[str]) -> str:
        new = name(match)
        begins = match.start() == 0 or text[: match.start()].endswith(". ")
        return new[:1].upper() + new[1:] if begins else new

    return _VARIABLE.sub(replacement, text)


VARIABLES = SettingNames(None)
"""Names for this package's own code location: the variables themselves."""


def names_in_code(resource_key: str, duckdb_key: str, klaviyo: dg.ConfigurableResource[Any], duckdb: object) -> SettingNames:
    """Return the names for resources that are set in the code: with the variable of each ``EnvVar`` among their values."""
    values = {name: getattr(klaviyo, name) for name in type(klaviyo).model_fields} | {"database": getattr(duckdb, "database", None)}
    variables = {name: value.env_var_name for name, value in values.items() if isinstance(value, dg.EnvVar)}
    return SettingNames(resource_key, duckdb_key, variables)


def _python(text: str) -> str:
    return {"true": "True", "false": "False"}.get(text, repr(text))

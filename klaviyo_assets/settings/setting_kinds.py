"""Kinds of options with values that name resource types."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from klaviyo_assets._internal.option import Names
from klaviyo_assets.catalog import CATALOG, Catalog, UnknownResourceType
from klaviyo_assets.catalog.selection import select
from klaviyo_assets.privacy.rules import InvalidFieldRules, parse_rules


@dataclass(frozen=True)
class FieldRulesJson:
    """Field rules, as a JSON object in the environment.

    Attributes:
        catalog: Resource types that rules may name.
    """

    catalog: Catalog = field(default_factory=lambda: CATALOG)

    def parse(self, text: str, name: str) -> dict[str, dict[str, str]]:
        """Return the rules, checked against the catalog."""
        try:
            rules = msgspec.json.decode(text, type=dict[str, dict[str, str]])
        except msgspec.MsgspecError as error:
            raise ValueError(
                f'{name} is not a JSON object of rules ({error}). Write it as {{"profiles": {{"email": "hash", "first_name": "drop"}}}}.'
            ) from None
        self.check(rules, name)
        return rules

    def check(self, value: Mapping[str, Mapping[str, str]], name: str) -> None:
        """Refuse rules that name something unknown or ask for something impossible."""
        try:
            parse_rules(value, self.catalog)
        except InvalidFieldRules as error:
            raise ValueError(f"{name}: {error}") from None


@dataclass(frozen=True)
class ResourceTypes(Names):
    """Names and groups of resource types.

    Attributes:
        catalog: The resource types that exist.
    """

    catalog: Catalog = field(default_factory=lambda: CATALOG)

    def check(self, value: Sequence[str], name: str) -> None:
        """Refuse unknown names as well."""
        super().check(value, name)
        try:
            select(self.catalog, value)
        except UnknownResourceType as error:
            raise ValueError(f"{name}: {error.summary}") from None

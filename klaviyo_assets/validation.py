"""What can be known to be wrong when code is loaded: said then, rather than by each run.

A value that is given as an ``EnvVar`` is not known before a run starts, and is checked there.
"""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import dagster as dg

from klaviyo_assets._internal.redaction import redact
from klaviyo_assets.api.base_url import InvalidBaseUrl, PlainHttp, checked_base_url, without_user
from klaviyo_assets.api.options import DEFAULT_BASE_URL
from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.errors import KlaviyoAssetsError
from klaviyo_assets.extract.options import parse_instant
from klaviyo_assets.privacy.rules import InvalidFieldRules, parse_rules
from klaviyo_assets.sync.errors import SyncError
from klaviyo_assets.warehouse.memory_limit import MEMORY_LIMIT_WORDS, is_memory_limit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from klaviyo_assets.resources import KlaviyoResource

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class InvalidDefinition(KlaviyoAssetsError, ValueError):
    """Code passes an unusable value to this package; the text names the parameter or field, its value and a valid one."""


def check_resource(klaviyo: KlaviyoResource) -> None:
    """Check the fields of a resource, as far as they are known.

    Raises:
        InvalidDefinition: Naming the field.
    """
    _check_base_url(klaviyo)
    _check_start_date(klaviyo.start_date)
    _check_rules(klaviyo.field_rules)
    _check_memory_limit(klaviyo.duckdb_memory_limit)
    account = klaviyo.account_id
    if account is not None and not isinstance(account, dg.EnvVar) and redact(account) != account:
        raise InvalidDefinition("The field account_id of KlaviyoResource holds an API key. Give the account's id (six characters), or leave it out.")


def _check_base_url(klaviyo: KlaviyoResource) -> None:
    if isinstance(klaviyo.base_url, dg.EnvVar):
        return
    try:
        checked_base_url(klaviyo.base_url, allow_http=klaviyo.allow_http)
    except InvalidBaseUrl as error:
        advice = "Use https, or set allow_http=True." if isinstance(error, PlainHttp) else f"Write it as {DEFAULT_BASE_URL}, or leave it out."
        raise InvalidDefinition(f"The field base_url of KlaviyoResource {error}: {without_user(klaviyo.base_url)!r}. {advice}") from None


def _check_start_date(start_date: str | None) -> None:
    if start_date is None or isinstance(start_date, dg.EnvVar):
        return
    where = "The field start_date of KlaviyoResource"
    try:
        start = parse_instant(start_date, where)
    except SyncError as error:
        raise InvalidDefinition(f"{error.summary} {error.advice}") from None
    if start > datetime.now(UTC):
        raise InvalidDefinition(f"{where} lies in the future: {start_date!r}. Give a date in the past, or leave it out for the whole history.")


def _check_memory_limit(limit: str | None) -> None:
    if limit is not None and not isinstance(limit, dg.EnvVar) and not is_memory_limit(limit):
        raise InvalidDefinition(f"The field duckdb_memory_limit of KlaviyoResource must be {MEMORY_LIMIT_WORDS}; it is {limit!r}.")


def _check_rules(rules: Mapping[str, Mapping[str, str]]) -> None:
    if any(isinstance(action, dg.EnvVar) for fields in rules.values() for action in fields.values()):
        return
    try:
        parse_rules(rules)
    except InvalidFieldRules as error:
        raise InvalidDefinition(f"KlaviyoResource: {error}") from None


def check_name(name: str) -> None:
    """Check an account's name, which becomes that of ops, jobs, resources and the schema.

    Raises:
        InvalidDefinition: If it cannot be one.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidDefinition(f"name={name!r} cannot be a prefix. Use letters, digits and underscores, beginning with a letter.")


def checked_types(resource_types: Iterable[str] | None) -> list[str]:
    """Return the names of resource types; all of the catalogue for None.

    Raises:
        InvalidDefinition: If there are none, one is unknown or twice there, or they are given as one text.
    """
    known = f"Known are: {', '.join(CATALOG)}."
    if resource_types is None:
        return list(CATALOG)
    if isinstance(resource_types, str):
        raise InvalidDefinition(f"resource_types is a text: {resource_types!r}. Give a list, such as [{resource_types!r}]. {known}")
    names = list(resource_types)
    if not names:
        raise InvalidDefinition(f"resource_types is empty. Leave it out for all. {known}")
    if unknown := [str(one) for one in names if one not in CATALOG]:
        raise InvalidDefinition(f"Unknown resource types: {', '.join(unknown)}. {known}")
    if twice := [one for one, times in Counter(names).items() if times > 1]:
        raise InvalidDefinition(f"Resource types that are named twice: {', '.join(twice)}. Name each once.")
    return names


def check_keys(specs: Iterable[tuple[str, dg.AssetSpec]]) -> None:
    """Check that a translator gives each resource type a key of its own.

    Args:
        specs: Names of resource types, with the specs of their assets.

    Raises:
        InvalidDefinition: If two have the same key.
    """
    by_key: dict[dg.AssetKey, str] = {}
    for name, spec in specs:
        if other := by_key.get(spec.key):
            raise InvalidDefinition(
                f"The translator gives {other} and {name} the same asset key: {spec.key.to_user_string()}. Let the key hold the type's name."
            )
        by_key[spec.key] = name

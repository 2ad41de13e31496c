"""Checks of options' values. Each raises a ``ValueError`` that names the setting, its value and a valid one."""

import re
from collections.abc import Sequence

from klaviyo_assets._internal.redaction import redact
from klaviyo_assets.api.base_url import InvalidBaseUrl, PlainHttp, checked_base_url, without_user
from klaviyo_assets.api.client_settings import DEFAULT_BASE_URL, ClientSettings
from klaviyo_assets.errors import InvalidRange
from klaviyo_assets.extract.sync_options import conversion_metrics, parse_start_date
from klaviyo_assets.state.periods import Grain, is_timezone
from klaviyo_assets.warehouse.default_name import DEFAULT_SCHEMA, AmbiguousName, check_schema_name
from klaviyo_assets.warehouse.memory_limit import MEMORY_LIMIT_WORDS, is_memory_limit

_REVISION = re.compile(r"\d{4}-\d{2}-\d{2}(\.[a-z]+)?", re.ASCII)
_ACCOUNT_ID = re.compile(r"[A-Za-z0-9_-]+")


def check_path(text: str, name: str) -> None:
    """Refuse the path of a database with a comment behind it, or one that the schema of the code location cannot be in."""
    if re.search(r"\s#", text):
        raise ValueError(f"{name} has a comment in its value: {text!r}. Put the comment on a line of its own.")
    try:
        check_schema_name(DEFAULT_SCHEMA, text)
    except AmbiguousName as error:
        raise ValueError(f"{name}: {error}") from None


def check_start_date(text: str, name: str) -> None:
    """Refuse a start date that is not one, or lies in the future."""
    try:
        parse_start_date(text, name)
    except InvalidRange as error:
        raise ValueError(f"{error.summary} {error.advice}") from None


def check_account_id(text: str, name: str) -> None:
    """Refuse an API key, and what cannot be the id of an account."""
    if redact(text) != text:
        raise ValueError(f"{name} holds an API key. Set it to the account's id (six characters), or leave it out.")
    if not _ACCOUNT_ID.fullmatch(text):
        raise ValueError(f"{name} is not the id of an account: {text!r}. Write the id alone, such as AbC123.")


def check_metric_ids(text: str, name: str) -> None:
    """Refuse what is not a list of ids."""
    try:
        conversion_metrics(text)
    except ValueError as error:
        raise ValueError(f"{name}: {error}. Write the ids alone, separated by commas, such as RESQ6t, Xy12Ab.") from None


def check_memory_limit(text: str, name: str) -> None:
    """Refuse what DuckDB does not accept as a memory limit."""
    if not is_memory_limit(text):
        raise ValueError(f"{name} must be {MEMORY_LIMIT_WORDS}; it is {text!r}.")


def check_grain(text: str, name: str) -> None:
    """Refuse an unknown length of partitions."""
    if text not in {*Grain}:
        raise ValueError(f"{name} must be {' or '.join(Grain)}; it is {text!r}.")


def check_timezone(text: str, name: str) -> None:
    """Refuse a time zone that this machine does not know."""
    if not is_timezone(text):
        raise ValueError(f"{name} is not the name of a time zone: {text!r}. Write its IANA name, such as Europe/Berlin.")


def check_revision(text: str, name: str) -> None:
    """Refuse what is not a revision of the API."""
    if not _REVISION.fullmatch(text):
        raise ValueError(f"{name} is not a revision of Klaviyo's API: {text!r}. Write it as {ClientSettings.revision}, or leave it out.")


def check_base_url(text: str, name: str) -> None:
    """Refuse what is not the scheme, host and port of a server."""
    try:
        checked_base_url(text, allow_http=True)
    except InvalidBaseUrl as error:
        raise ValueError(f"{name} {error}: {without_user(text)!r}. Write it as {DEFAULT_BASE_URL}, or leave it out.") from None


def check_plain_http(base_url: str, name: str, *, allow_http: bool, switch: str) -> None:
    """Refuse a base URL that would send the API key unencrypted to another machine.

    Args:
        base_url: The URL, otherwise valid.
        name: What its setting is called.
        allow_http: True if the user accepts it.
        switch: How the user accepts it, for the message.

    Raises:
        ValueError: If it would.
    """
    try:
        checked_base_url(base_url, allow_http=allow_http)
    except PlainHttp as error:
        raise ValueError(f"{name} {error}: {without_user(base_url)!r}. Use https, or set {switch}.") from None


def check_metrics(included: Sequence[str], excluded: Sequence[str], name: str, other: str) -> None:
    """Refuse both a list of metrics to read and one of metrics not to read.

    Args:
        included: The metrics to read.
        excluded: The metrics not to read.
        name: What the setting of the first is called.
        other: What that of the second is called.

    Raises:
        ValueError: If both are set.
    """
    if included and excluded:
        raise ValueError(f"{name} and {other} are both set. Set one: the metrics to read, or those not to read.")

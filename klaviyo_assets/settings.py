"""The code location's settings, from the environment (Dagster loads a ``.env`` file of the working folder)."""

import math
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import msgspec

from klaviyo_assets.api.base_url import InvalidBaseUrl, PlainHttp, checked_base_url, without_user
from klaviyo_assets.api.options import DEFAULT_BASE_URL, DEFAULT_MAX_RESPONSE_BYTES, LEAST_MAX_RESPONSE_BYTES, ClientSettings
from klaviyo_assets.errors import KlaviyoAssetsError
from klaviyo_assets.extract.options import parse_start_date
from klaviyo_assets.privacy.rules import InvalidFieldRules, parse_rules
from klaviyo_assets.sync.errors import SyncError
from klaviyo_assets.warehouse.default_name import DEFAULT_PATH, AmbiguousName, check_schema_name, default_path
from klaviyo_assets.warehouse.memory_limit import MEMORY_LIMIT_WORDS, MOST_THREADS, is_memory_limit

API_KEY = "KLAVIYO_API_KEY"
BASE_URL = "KLAVIYO_BASE_URL"
DUCKDB_PATH = "KLAVIYO_DUCKDB_PATH"
RATE_LIMIT_SHARE = "KLAVIYO_RATE_LIMIT_SHARE"
START_DATE = "KLAVIYO_START_DATE"
ACCOUNT_ID = "KLAVIYO_ACCOUNT_ID"
ACCEPT_OTHER_ACCOUNT = "KLAVIYO_ACCEPT_OTHER_ACCOUNT"
DUCKDB_PATIENCE = "KLAVIYO_DUCKDB_PATIENCE"
DUCKDB_MEMORY_LIMIT = "KLAVIYO_DUCKDB_MEMORY_LIMIT"
DUCKDB_THREADS = "KLAVIYO_DUCKDB_THREADS"
FIELD_RULES = "KLAVIYO_FIELD_RULES"
MAX_RESPONSE_BYTES = "KLAVIYO_MAX_RESPONSE_BYTES"
ALLOW_HTTP = "KLAVIYO_ALLOW_HTTP"
ACCEPT_CHANGED_OPTIONS = "KLAVIYO_ACCEPT_CHANGED_OPTIONS"
CONCURRENCY = "KLAVIYO_CONCURRENCY"
TIMEOUT = "KLAVIYO_TIMEOUT"
MAX_RETRIES = "KLAVIYO_MAX_RETRIES"
REVISION = "KLAVIYO_REVISION"

SCHEMA: Final = "klaviyo"
"""The schema of this library's own code location."""

MOST_CONCURRENCY, MOST_RETRIES = 256, 20

_QUOTES = "\"'`“”‘’"
_INVISIBLE = re.compile(r"[\x00-\x1f\x7f\u200b-\u200f\u2028-\u202e\u2060\ufeff]")
_BYTE_ORDER_MARK = "\ufeff"


class InvalidSetting(KlaviyoAssetsError, ValueError):
    """An environment variable has an unusable value; the text names the variable, its value and a valid one."""


@dataclass(frozen=True)
class Settings:
    """What the environment says, but for the key, which is read when it is used.

    Attributes:
        base_url: ``KLAVIYO_BASE_URL``.
        duckdb_path: ``KLAVIYO_DUCKDB_PATH``.
        rate_limit_share: ``KLAVIYO_RATE_LIMIT_SHARE``, above 0 up to 1.
        start_date: ``KLAVIYO_START_DATE``, None for the whole history.
        account_id: ``KLAVIYO_ACCOUNT_ID``, None if Klaviyo is to be asked.
        accept_other_account: ``KLAVIYO_ACCEPT_OTHER_ACCOUNT``, true or false.
        duckdb_patience: ``KLAVIYO_DUCKDB_PATIENCE``, seconds.
        duckdb_memory_limit: ``KLAVIYO_DUCKDB_MEMORY_LIMIT``, such as ``2GB``; None for the default.
        duckdb_threads: ``KLAVIYO_DUCKDB_THREADS``; None for the default.
        field_rules: ``KLAVIYO_FIELD_RULES``, a JSON object.
        max_response_bytes: ``KLAVIYO_MAX_RESPONSE_BYTES``, bytes that one response may have.
        allow_http: ``KLAVIYO_ALLOW_HTTP``, true or false.
        accept_changed_options: ``KLAVIYO_ACCEPT_CHANGED_OPTIONS``, true or false.
        concurrency: ``KLAVIYO_CONCURRENCY``, requests at once.
        timeout: ``KLAVIYO_TIMEOUT``, seconds.
        max_retries: ``KLAVIYO_MAX_RETRIES``.
        revision: ``KLAVIYO_REVISION``, a date such as ``2026-07-15``.
    """

    base_url: str = DEFAULT_BASE_URL
    duckdb_path: str = DEFAULT_PATH
    rate_limit_share: float = ClientSettings.rate_limit_share
    start_date: str | None = None
    account_id: str | None = None
    accept_other_account: bool = False
    duckdb_patience: float = 300.0
    duckdb_memory_limit: str | None = None
    duckdb_threads: int | None = None
    field_rules: dict[str, dict[str, str]] = field(default_factory=dict)
    max_response_bytes: int = DEFAULT_MAX_RESPONSE_BYTES
    allow_http: bool = False
    accept_changed_options: bool = False
    concurrency: int = ClientSettings.concurrency
    timeout: float = ClientSettings.timeout
    max_retries: int = ClientSettings.max_retries
    revision: str = ClientSettings.revision


def from_environment(*, database: str | None = None) -> Settings:
    """Read the settings.

    Args:
        database: Path of the DuckDB file where the user gave one, which is used instead of ``KLAVIYO_DUCKDB_PATH``.

    Raises:
        InvalidSetting: Naming the variable, what it holds, and what would be right.
    """
    _refuse_byte_order_mark()
    allow_http = _yes(ALLOW_HTTP)
    return Settings(
        base_url=_base_url(allow_http=allow_http),
        duckdb_path=database or _duckdb_path(),
        rate_limit_share=_number(RATE_LIMIT_SHARE, Settings.rate_limit_share, lambda share: 0 < share <= 1, "a number above 0 up to 1, such as 0.5"),
        start_date=_start_date(),
        account_id=_account_id(),
        accept_other_account=_yes(ACCEPT_OTHER_ACCOUNT),
        duckdb_patience=_number(
            DUCKDB_PATIENCE, Settings.duckdb_patience, lambda seconds: 0 <= seconds < math.inf, "a number of seconds, such as 60"
        ),
        duckdb_memory_limit=_memory_limit(),
        duckdb_threads=_whole_number(DUCKDB_THREADS, 0, 1, MOST_THREADS) or None,
        field_rules=_field_rules(os.environ.get(FIELD_RULES, "").strip()),
        max_response_bytes=int(
            _number(
                MAX_RESPONSE_BYTES,
                Settings.max_response_bytes,
                lambda count: LEAST_MAX_RESPONSE_BYTES <= count < math.inf and count.is_integer(),
                f"a whole number of bytes from {LEAST_MAX_RESPONSE_BYTES} on, such as {DEFAULT_MAX_RESPONSE_BYTES}",
            )
        ),
        allow_http=allow_http,
        accept_changed_options=_yes(ACCEPT_CHANGED_OPTIONS),
        concurrency=_whole_number(CONCURRENCY, Settings.concurrency, 1, MOST_CONCURRENCY),
        timeout=_number(TIMEOUT, Settings.timeout, lambda seconds: 0 < seconds < math.inf, "a number of seconds above 0, such as 60"),
        max_retries=_whole_number(MAX_RETRIES, Settings.max_retries, 0, MOST_RETRIES),
        revision=_revision(),
    )


def _duckdb_path() -> str:
    text = _text(DUCKDB_PATH)
    if not text:
        return default_path()
    if re.search(r"\s#", text):
        raise InvalidSetting(f"{DUCKDB_PATH} has a comment in its value: {text!r}. Put the comment on a line of its own.")
    try:
        check_schema_name(SCHEMA, text)
    except AmbiguousName as error:
        raise InvalidSetting(f"{DUCKDB_PATH}: {error}") from None
    return text


def _text(variable: str) -> str:
    """Return what a variable holds, without white space around it.

    Raises:
        InvalidSetting: If it has quotes around it (a shell removes them, ``docker --env-file`` does not), or invisible characters inside.
    """
    text = os.environ.get(variable, "").strip()
    if text and (text[0] in _QUOTES or text[-1] in _QUOTES):
        raise InvalidSetting(f"{variable} has quotes around its value: {text}. Remove the quotes.")
    if _INVISIBLE.search(text):
        raise InvalidSetting(f"{variable} has a line break or another invisible character in its value: {text!a}. Write it again, on one line.")
    return text


def _refuse_byte_order_mark() -> None:
    """Refuse a ``.env`` file that an editor has begun with a mark: its first variable has another name than it seems."""
    name = next((name for name in os.environ if name.startswith(_BYTE_ORDER_MARK)), None)
    if name is not None:
        raise InvalidSetting(
            f"The .env file begins with a byte order mark, so that its first variable, {name.removeprefix(_BYTE_ORDER_MARK)}, is not found. "
            "Save it as UTF-8 without a byte order mark (BOM)."
        )


def _start_date() -> str | None:
    text = _text(START_DATE) or None
    if text is not None:
        try:
            parse_start_date(text, START_DATE)
        except SyncError as error:
            raise InvalidSetting(str(error)) from None
    return text


def _memory_limit() -> str | None:
    text = _text(DUCKDB_MEMORY_LIMIT) or None
    if text is not None and not is_memory_limit(text):
        raise InvalidSetting(f"{DUCKDB_MEMORY_LIMIT} must be {MEMORY_LIMIT_WORDS}; it is {text!r}.")
    return text


def _account_id() -> str | None:
    text = _text(ACCOUNT_ID) or None
    if text is not None and not re.fullmatch(r"[A-Za-z0-9_-]+", text):
        raise InvalidSetting(f"{ACCOUNT_ID} is not the id of an account: {text!r}. Write the id alone, such as AbC123.")
    return text


def _revision() -> str:
    text = _text(REVISION) or Settings.revision
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}(\.[a-z]+)?", text, re.ASCII):
        raise InvalidSetting(f"{REVISION} is not a revision of Klaviyo's API: {text!r}. Write it as {Settings.revision}, or leave it out.")
    return text


def _field_rules(text: str) -> dict[str, dict[str, str]]:
    if not text:
        return {}
    try:
        rules = msgspec.json.decode(text, type=dict[str, dict[str, str]])
        parse_rules(rules)
    except msgspec.MsgspecError as error:
        raise InvalidSetting(
            f'{FIELD_RULES} is no JSON object of rules ({error}). Write it as {{"profiles": {{"email": "hash", "first_name": "drop"}}}}.'
        ) from None
    except InvalidFieldRules as error:
        raise InvalidSetting(f"{FIELD_RULES}: {error}") from None
    return rules


def _base_url(*, allow_http: bool) -> str:
    text = _text(BASE_URL) or DEFAULT_BASE_URL
    try:
        return checked_base_url(text, allow_http=allow_http)
    except InvalidBaseUrl as error:
        advice = f"Use https, or set {ALLOW_HTTP}=true." if isinstance(error, PlainHttp) else f"Write it as {DEFAULT_BASE_URL}, or leave it out."
        raise InvalidSetting(f"{BASE_URL} {error}: {without_user(text)!r}. {advice}") from None


def _number(variable: str, default: float, is_right: Callable[[float], bool], words: str) -> float:
    text = _text(variable)
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not is_right(value):
        raise InvalidSetting(f"{variable} must be {words}; it is {text!r}.")
    return value


def _whole_number(variable: str, default: int, least: int, most: int) -> int:
    words = f"a whole number from {least} to {most}"
    return int(_number(variable, default, lambda value: least <= value <= most and value == int(value), words))


def _yes(variable: str) -> bool:
    text = _text(variable).lower()
    if text not in {"", "true", "false"}:
        raise InvalidSetting(f"{variable} must be true or false; it is {text!r}.")
    return text == "true"

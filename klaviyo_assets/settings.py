"""The code location's settings, from the environment (Dagster loads a ``.env`` file of the working folder)."""

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import msgspec

from klaviyo_assets.api.redaction import redact
from klaviyo_assets.api.settings import DEFAULT_BASE_URL, DEFAULT_MAX_RESPONSE_BYTES, LEAST_MAX_RESPONSE_BYTES
from klaviyo_assets.privacy.rules import InvalidFieldRules, parse_rules
from klaviyo_assets.sync.errors import SyncError
from klaviyo_assets.sync.request import parse_instant
from klaviyo_assets.text import one_line

API_KEY = "KLAVIYO_API_KEY"
BASE_URL = "KLAVIYO_BASE_URL"
DUCKDB_PATH = "KLAVIYO_DUCKDB_PATH"
RATE_LIMIT_SHARE = "KLAVIYO_RATE_LIMIT_SHARE"
START_DATE = "KLAVIYO_START_DATE"
ACCOUNT_ID = "KLAVIYO_ACCOUNT_ID"
ACCEPT_OTHER_ACCOUNT = "KLAVIYO_ACCEPT_OTHER_ACCOUNT"
DUCKDB_PATIENCE = "KLAVIYO_DUCKDB_PATIENCE"
FIELD_RULES = "KLAVIYO_FIELD_RULES"
MAX_RESPONSE_BYTES = "KLAVIYO_MAX_RESPONSE_BYTES"


class InvalidSetting(ValueError):
    """An environment variable holds something that cannot be used.

    Args:
        words: Names the variable, what it holds, and what would be right. A key that stands in the wrong variable is not shown.
    """

    def __init__(self, words: str) -> None:
        super().__init__(one_line(redact(words)))


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
        field_rules: ``KLAVIYO_FIELD_RULES``, a JSON object.
        max_response_bytes: ``KLAVIYO_MAX_RESPONSE_BYTES``, bytes that one response may have.
    """

    base_url: str = DEFAULT_BASE_URL
    duckdb_path: str = "data/klaviyo.duckdb"
    rate_limit_share: float = 0.9
    start_date: str | None = None
    account_id: str | None = None
    accept_other_account: bool = False
    duckdb_patience: float = 300.0
    field_rules: dict[str, dict[str, str]] = field(default_factory=dict)
    max_response_bytes: int = DEFAULT_MAX_RESPONSE_BYTES


def from_environment() -> Settings:
    """Read the settings.

    Raises:
        InvalidSetting: Naming the variable, what it holds, and what would be right.
    """
    start_date = os.environ.get(START_DATE, "").strip() or None
    if start_date is not None:
        try:
            parse_instant(start_date, START_DATE)
        except SyncError as error:
            raise InvalidSetting(str(error)) from None
    return Settings(
        base_url=_base_url(os.environ.get(BASE_URL, "").strip() or DEFAULT_BASE_URL),
        duckdb_path=os.environ.get(DUCKDB_PATH, "").strip() or Settings.duckdb_path,
        rate_limit_share=_number(RATE_LIMIT_SHARE, Settings.rate_limit_share, lambda share: 0 < share <= 1, "a number above 0 up to 1, such as 0.5"),
        start_date=start_date,
        account_id=os.environ.get(ACCOUNT_ID, "").strip() or None,
        accept_other_account=_yes(ACCEPT_OTHER_ACCOUNT),
        duckdb_patience=_number(
            DUCKDB_PATIENCE, Settings.duckdb_patience, lambda seconds: 0 <= seconds < math.inf, "a number of seconds, such as 60"
        ),
        field_rules=_field_rules(os.environ.get(FIELD_RULES, "").strip()),
        max_response_bytes=int(
            _number(
                MAX_RESPONSE_BYTES,
                Settings.max_response_bytes,
                lambda count: LEAST_MAX_RESPONSE_BYTES <= count < math.inf and count.is_integer(),
                f"a whole number of bytes from {LEAST_MAX_RESPONSE_BYTES} on, such as {DEFAULT_MAX_RESPONSE_BYTES}",
            )
        ),
    )


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


def _base_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"https", "http"} or not parts.hostname:
        raise InvalidSetting(f"{BASE_URL} is not a URL: {text!r}. Write it as {DEFAULT_BASE_URL}, or leave it out.")
    if parts.username or parts.password:
        raise InvalidSetting(f"{BASE_URL} must not hold a user or a password; the key goes into {API_KEY}. Write it as {DEFAULT_BASE_URL}.")
    return text.rstrip("/")


def _number(variable: str, default: float, is_right: Callable[[float], bool], words: str) -> float:
    text = os.environ.get(variable, "").strip()
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not is_right(value):
        raise InvalidSetting(f"{variable} must be {words}; it is {text!r}.")
    return value


def _yes(variable: str) -> bool:
    text = os.environ.get(variable, "").strip().lower()
    if text not in {"", "true", "false"}:
        raise InvalidSetting(f"{variable} must be true or false; it is {text!r}.")
    return text == "true"

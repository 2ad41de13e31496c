"""Settings from the environment: what they mean, and what is said of those that cannot be used."""

import pytest

from klaviyo_assets.settings import InvalidSetting, Settings, from_environment

DEFAULTS = Settings("https://a.klaviyo.com", "data/klaviyo.duckdb", 0.9, None, None)


@pytest.fixture(autouse=True)
def no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KLAVIYO_ACCOUNT_ID", raising=False)


def test_nothing_must_be_set() -> None:
    assert from_environment() == DEFAULTS


@pytest.mark.parametrize(
    "name",
    [
        "KLAVIYO_BASE_URL",
        "KLAVIYO_DUCKDB_PATH",
        "KLAVIYO_RATE_LIMIT_SHARE",
        "KLAVIYO_START_DATE",
        "KLAVIYO_ACCOUNT_ID",
        "KLAVIYO_DUCKDB_PATIENCE",
        "KLAVIYO_MAX_RESPONSE_BYTES",
    ],
)
@pytest.mark.parametrize("text", ["", " ", "\t\n"], ids=["empty", "space", "white space"])
def test_what_is_left_blank_is_not_set(name: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, text)

    assert from_environment() == DEFAULTS


@pytest.mark.parametrize(
    ("name", "text", "field", "value"),
    [
        ("KLAVIYO_BASE_URL", "http://127.0.0.1:8080", "base_url", "http://127.0.0.1:8080"),
        ("KLAVIYO_BASE_URL", " https://a.klaviyo.com/ ", "base_url", "https://a.klaviyo.com"),
        ("KLAVIYO_DUCKDB_PATH", " a b/klaviyo.duckdb ", "duckdb_path", "a b/klaviyo.duckdb"),
        ("KLAVIYO_RATE_LIMIT_SHARE", "1", "rate_limit_share", 1.0),
        ("KLAVIYO_RATE_LIMIT_SHARE", " 0.25 ", "rate_limit_share", 0.25),
        ("KLAVIYO_START_DATE", "2026-01-31", "start_date", "2026-01-31"),
        ("KLAVIYO_START_DATE", " 2026-01-31T12:00:00+01:00 ", "start_date", "2026-01-31T12:00:00+01:00"),
        ("KLAVIYO_ACCOUNT_ID", " AbC123 ", "account_id", "AbC123"),
        ("KLAVIYO_DUCKDB_PATIENCE", " 0 ", "duckdb_patience", 0.0),
        ("KLAVIYO_MAX_RESPONSE_BYTES", " 500000000 ", "max_response_bytes", 500_000_000),
    ],
    ids=["url", "url with a slash", "path", "whole", "quarter", "date", "instant", "account", "patience", "bytes"],
)
def test_what_is_set_is_taken(name: str, text: str, field: str, value: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, text)

    assert vars(from_environment()) == vars(DEFAULTS) | {field: value}


DATE = "What to do: Write it as 2026-01-31 or 2026-01-31T12:00:00Z."


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        *(
            ("KLAVIYO_RATE_LIMIT_SHARE", text, f"KLAVIYO_RATE_LIMIT_SHARE must be a number above 0 up to 1, such as 0.5; it is '{text}'.")
            for text in ("0", "-0.5", "1.01", "90%", "0,9", "nan", "inf", "half")
        ),
        *(
            ("KLAVIYO_DUCKDB_PATIENCE", text, f"KLAVIYO_DUCKDB_PATIENCE must be a number of seconds, such as 60; it is '{text}'.")
            for text in ("-1", "nan", "inf", "long")
        ),
        *(
            (
                "KLAVIYO_MAX_RESPONSE_BYTES",
                text,
                f"KLAVIYO_MAX_RESPONSE_BYTES must be a whole number of bytes from 1000000 on, such as 134217728; it is '{text}'.",
            )
            for text in ("0", "-1", "999999", "1e400", "nan", "512MB", "1000000.5")
        ),
        *(("KLAVIYO_START_DATE", text, f"KLAVIYO_START_DATE is not a date: '{text}'. {DATE}") for text in ("last year", "31.01.2026", "2026-02-30")),
        *(
            ("KLAVIYO_BASE_URL", text, f"KLAVIYO_BASE_URL is not a URL: '{text}'. Write it as https://a.klaviyo.com, or leave it out.")
            for text in ("a.klaviyo.com", "ftp://a.klaviyo.com", "//a.klaviyo.com")
        ),
    ],
)
def test_what_cannot_be_used_is_named_with_what_would_be_right(name: str, text: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, text)

    with pytest.raises(InvalidSetting) as caught:
        from_environment()
    assert str(caught.value) == message


def test_the_key_is_not_read_with_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLAVIYO_API_KEY", "pk_0123456789abcdef0123456789abcdef01")

    assert from_environment() == DEFAULTS

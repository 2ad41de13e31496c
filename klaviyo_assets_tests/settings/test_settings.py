"""Settings from the environment: their values, and the errors for unusable ones."""

import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import get_type_hints

import pytest

from klaviyo_assets._internal.option import Number, Option
from klaviyo_assets.api.client_settings import ClientSettings
from klaviyo_assets.privacy.hashing import SALT_VARIABLE
from klaviyo_assets.resources import KlaviyoResource
from klaviyo_assets.settings.options import OPTIONS, RESOURCE_OPTIONS, InvalidSetting, Settings, client_settings, from_environment
from klaviyo_assets.warehouse import default_name

DEFAULTS = Settings(base_url="https://a.klaviyo.com", duckdb_path="data/warehouse.duckdb", rate_limit_share=0.9, duckdb_patience=300.0)


@pytest.fixture(autouse=True)
def empty_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)  # the default of the database depends on the working folder


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
        "KLAVIYO_DUCKDB_MEMORY_LIMIT",
        "KLAVIYO_DUCKDB_THREADS",
    ],
)
@pytest.mark.parametrize("text", ["", " ", "\t\n"], ids=["empty", "space", "white space"])
def test_a_blank_variable_is_not_set(name: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, text)

    assert from_environment() == DEFAULTS


@pytest.mark.parametrize(
    ("name", "text", "field", "value"),
    [
        ("KLAVIYO_BASE_URL", "http://127.0.0.1:8080", "base_url", "http://127.0.0.1:8080"),
        ("KLAVIYO_BASE_URL", " https://a.klaviyo.com/ ", "base_url", "https://a.klaviyo.com"),
        ("KLAVIYO_DUCKDB_PATH", " a b/shop.duckdb ", "duckdb_path", "a b/shop.duckdb"),
        ("KLAVIYO_RATE_LIMIT_SHARE", "1", "rate_limit_share", 1.0),
        ("KLAVIYO_RATE_LIMIT_SHARE", " 0.25 ", "rate_limit_share", 0.25),
        ("KLAVIYO_START_DATE", "2026-01-31", "start_date", "2026-01-31"),
        ("KLAVIYO_START_DATE", " 2026-01-31T12:00:00+01:00 ", "start_date", "2026-01-31T12:00:00+01:00"),
        ("KLAVIYO_ACCOUNT_ID", " AbC123 ", "account_id", "AbC123"),
        ("KLAVIYO_DUCKDB_PATIENCE", " 0 ", "duckdb_patience", 0.0),
        ("KLAVIYO_MAX_RESPONSE_BYTES", " 500000000 ", "max_response_bytes", 500_000_000),
        ("KLAVIYO_RATE_LIMIT_SHARE", "0.5\r", "rate_limit_share", 0.5),
        ("KLAVIYO_BASE_URL", "https://[2001:db8::1]:8443", "base_url", "https://[2001:db8::1]:8443"),
        ("KLAVIYO_ALLOW_HTTP", "True", "allow_http", True),
        ("KLAVIYO_ACCEPT_CHANGED_OPTIONS", "true", "accept_changed_options", True),
        ("KLAVIYO_CONCURRENCY", "8", "concurrency", 8),
        ("KLAVIYO_TIMEOUT", "12.5", "timeout", 12.5),
        ("KLAVIYO_MAX_RETRIES", "0", "max_retries", 0),
        ("KLAVIYO_REVISION", "2026-10-15", "revision", "2026-10-15"),
        *(("KLAVIYO_DUCKDB_MEMORY_LIMIT", text, "duckdb_memory_limit", text) for text in ("512MB", "2GB", "1GiB", "1.5 gb", "128MB", "25%", "1TB")),
        ("KLAVIYO_DUCKDB_THREADS", "4", "duckdb_threads", 4),
        ("KLAVIYO_EXCLUDE_EVENT_METRICS", "Active on Site", "exclude_event_metrics", ["Active on Site"]),
        ("KLAVIYO_EVENT_METRICS", '["Viewed, Product", "AbC123"]', "event_metrics", ["Viewed, Product", "AbC123"]),
        ("KLAVIYO_RESOURCE_TYPES", "core, list_members", "resource_types", ["core", "list_members"]),
        ("KLAVIYO_RESOURCE_TYPES", '["all"]', "resource_types", ["all"]),
    ],
)
def test_a_variable_sets_its_field(name: str, text: str, field: str, value: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, text)

    assert vars(from_environment()) == vars(DEFAULTS) | {field: value}


def test_metrics_cannot_be_both_included_and_excluded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLAVIYO_EVENT_METRICS", "Placed Order")
    monkeypatch.setenv("KLAVIYO_EXCLUDE_EVENT_METRICS", "Active on Site")

    with pytest.raises(InvalidSetting, match="KLAVIYO_EVENT_METRICS and KLAVIYO_EXCLUDE_EVENT_METRICS are both set"):
        from_environment()


DATE = "Write it as 2026-01-31 or 2026-01-31T12:00:00Z."


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
                f"KLAVIYO_MAX_RESPONSE_BYTES must be a whole number of bytes, 1000000 or more, such as 134217728; it is '{text}'.",
            )
            for text in ("0", "-1", "999999", "1e400", "nan", "512MB", "1000000.5")
        ),
        *(("KLAVIYO_START_DATE", text, f"KLAVIYO_START_DATE is not a date: '{text}'. {DATE}") for text in ("last year", "31.01.2026", "2026-02-30")),
        *(
            ("KLAVIYO_BASE_URL", text, f"KLAVIYO_BASE_URL is not a URL: '{text}'. Write it as https://a.klaviyo.com, or leave it out.")
            for text in ("a.klaviyo.com", "ftp://a.klaviyo.com", "//a.klaviyo.com")
        ),
        *(
            ("KLAVIYO_CONCURRENCY", text, f"KLAVIYO_CONCURRENCY must be a whole number from 1 to 256; it is '{text}'.")
            for text in ("0", "257", "-1", "1.5", "many", "nan", "inf", "1e400")
        ),
        *(
            ("KLAVIYO_MAX_RETRIES", text, f"KLAVIYO_MAX_RETRIES must be a whole number from 0 to 20; it is '{text}'.")
            for text in ("-1", "21", "nan", "-inf", "6 # six")
        ),
        ("KLAVIYO_RESOURCE_TYPES", "core,,lists", "KLAVIYO_RESOURCE_TYPES has an empty name: ['core', '', 'lists']. Remove it."),
        ("KLAVIYO_RESOURCE_TYPES", "lists,core,lists", "KLAVIYO_RESOURCE_TYPES lists a name twice: lists. List each once."),
        (
            "KLAVIYO_EVENT_METRICS",
            '["Placed Order", 7]',
            "KLAVIYO_EVENT_METRICS lists 7, which is not a string. Write each name in quotes.",
        ),
        *(
            (
                "KLAVIYO_EVENT_METRICS",
                text,
                f'KLAVIYO_EVENT_METRICS is not a JSON list ({reason}). Write it as ["one name", "another"].',
            )
            for text, reason in (
                ('["Placed Order"', "Expecting ',' delimiter: line 1 column 16 (char 15)"),
                ("[Placed Order]", "Expecting value: line 1 column 2 (char 1)"),
                ('["Placed Order"] # ours', "Extra data: line 1 column 18 (char 17)"),
            )
        ),
        *(("KLAVIYO_PARTITIONS", text, f"KLAVIYO_PARTITIONS must be daily or monthly; it is '{text}'.") for text in ("weekly", "Daily")),
        *(
            (
                "KLAVIYO_PARTITIONS_TIMEZONE",
                text,
                f"KLAVIYO_PARTITIONS_TIMEZONE is not the name of a time zone: '{text}'. Write its IANA name, such as Europe/Berlin.",
            )
            for text in ("Berlin", "Europe", "../../etc/passwd", "x" * 300)
        ),
        (
            "KLAVIYO_CONVERSION_METRIC_IDS",
            "RESQ6t, Placed Order",
            "KLAVIYO_CONVERSION_METRIC_IDS: 'Placed Order' is not the id of a metric. "
            "Write the ids alone, separated by commas, such as RESQ6t, Xy12Ab.",
        ),
        (
            "KLAVIYO_PUBLISH_PARQUET",
            "data/parquet",
            "KLAVIYO_PUBLISH_PARQUET needs KLAVIYO_PUBLISH_PATH: set both, such as data/published.duckdb.",
        ),
        *(
            ("KLAVIYO_TIMEOUT", text, f"KLAVIYO_TIMEOUT must be a number of seconds above 0, such as 60; it is '{text}'.")
            for text in ("0", "-1", "nan", "inf", "60s")
        ),
        *(
            (
                "KLAVIYO_DUCKDB_MEMORY_LIMIT",
                text,
                "KLAVIYO_DUCKDB_MEMORY_LIMIT must be a size of at least 128MB such as 512MB, 2GB or 1GiB, or a share of the machine's memory "
                f"such as 25%; it is '{text}'.",
            )
            for text in ("much", "512", "0", "-1", "none", "127MB", "500KB", "1B", "0%", "101%", "-1GB", "512 M", "1GB; DROP TABLE x")
        ),
        *(
            ("KLAVIYO_DUCKDB_THREADS", text, f"KLAVIYO_DUCKDB_THREADS must be a whole number from 1 to 256; it is '{text}'.")
            for text in ("0", "-1", "1.5", "two", "257", "nan")
        ),
        (
            "KLAVIYO_REVISION",
            "newest",
            "KLAVIYO_REVISION is not a revision of Klaviyo's API: 'newest'. Write it as 2026-07-15, or leave it out.",
        ),
        (
            "KLAVIYO_ACCOUNT_ID",
            "AbC123 # shop",
            "KLAVIYO_ACCOUNT_ID is not the id of an account: 'AbC123 # shop'. Write the id alone, such as AbC123.",
        ),
        (
            "KLAVIYO_DUCKDB_PATH",
            "shop.duckdb # ours",
            "KLAVIYO_DUCKDB_PATH has a comment in its value: 'shop.duckdb # ours'. Put the comment on a line of its own.",
        ),
    ],
)
def test_an_unusable_value_is_named_with_a_valid_one(name: str, text: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, text)

    with pytest.raises(InvalidSetting) as caught:
        from_environment()
    assert str(caught.value) == message


def test_the_key_is_not_read_with_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLAVIYO_API_KEY", "pk_0123456789abcdef0123456789abcdef01")

    assert from_environment() == DEFAULTS


VARIABLES = [
    *("KLAVIYO_BASE_URL", "KLAVIYO_DUCKDB_PATH", "KLAVIYO_RATE_LIMIT_SHARE", "KLAVIYO_START_DATE", "KLAVIYO_ACCOUNT_ID", "KLAVIYO_REVISION"),
    *("KLAVIYO_DUCKDB_PATIENCE", "KLAVIYO_CONCURRENCY", "KLAVIYO_TIMEOUT", "KLAVIYO_MAX_RETRIES", "KLAVIYO_ACCEPT_OTHER_ACCOUNT"),
    *("KLAVIYO_DUCKDB_MEMORY_LIMIT", "KLAVIYO_DUCKDB_THREADS"),
]


@pytest.mark.parametrize("variable", VARIABLES)
@pytest.mark.parametrize("text", ['"1"', "'1'", "“1”", '"1'])
def test_quotes_around_a_value_are_named(variable: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, text)

    with pytest.raises(InvalidSetting, match=f"^{variable} has quotes around its value: {text}. Remove the quotes.$"):
        from_environment()


@pytest.mark.parametrize("variable", VARIABLES)
@pytest.mark.parametrize("text", ["1\r\n2", "1\t1\x07", "1\u200b", "\ufeff1", "1\u20282"], ids=ascii)
def test_invisible_characters_are_named(variable: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, text)

    with pytest.raises(InvalidSetting, match=f"^{variable} has a line break or another invisible character") as caught:
        from_environment()
    assert str(caught.value).isprintable()


def test_a_variable_with_a_byte_order_mark_in_its_name_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("\ufeffKLAVIYO_API_KEY", "pk_0123456789abcdef0123456789abcdef01")

    with pytest.raises(InvalidSetting, match=r"its first variable, KLAVIYO_API_KEY, is not found. Save it as UTF-8"):
        from_environment()


@pytest.mark.parametrize("ahead", [timedelta(minutes=5), timedelta(days=1), timedelta(days=365_000)])
def test_a_start_date_in_the_future_is_refused(ahead: timedelta, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLAVIYO_START_DATE", (datetime.now(UTC) + ahead).isoformat())

    with pytest.raises(InvalidSetting, match=r"KLAVIYO_START_DATE is in the future: .* Set an earlier date"):
        from_environment()


def test_the_start_date_may_be_today(monkeypatch: pytest.MonkeyPatch) -> None:
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    monkeypatch.setenv("KLAVIYO_START_DATE", today)

    assert from_environment().start_date == today


def file(path: str) -> None:
    Path(path).parent.mkdir(exist_ok=True)
    Path(path).touch()


def test_a_file_at_the_earlier_default_is_used_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    file("data/klaviyo.duckdb")
    default_name._warn_once.cache_clear()

    with caplog.at_level(logging.WARNING, "klaviyo_assets"):
        assert [from_environment().duckdb_path for _ in range(3)] == ["data/klaviyo.duckdb"] * 3

    (message,) = caplog.messages
    assert "move the file to data/warehouse.duckdb" in message
    assert "KLAVIYO_DUCKDB_PATH=data/klaviyo.duckdb" in message


def test_another_programs_file_at_the_current_default_does_not_hide_the_earlier_one() -> None:
    file("data/klaviyo.duckdb")
    file("data/warehouse.duckdb")

    assert from_environment().duckdb_path == "data/klaviyo.duckdb"


def test_the_current_default_is_used_once_a_sync_has_filled_it(caplog: pytest.LogCaptureFixture) -> None:
    file("data/klaviyo.duckdb")
    file("data/warehouse.duckdb")
    Path("data/warehouse.duckdb.sync").mkdir()
    default_name._warn_once.cache_clear()

    with caplog.at_level(logging.WARNING, "klaviyo_assets"):
        assert from_environment().duckdb_path == "data/warehouse.duckdb"
    assert "data/klaviyo.duckdb, the default of earlier versions, is there too and is not" in caplog.text


@pytest.mark.parametrize("path", ["klaviyo.duckdb", "./Klaviyo.db", "data/KLAVIYO", "klaviyo.2026.duckdb", ".klaviyo.duckdb"])
def test_a_new_file_with_the_name_of_the_schema_is_refused(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLAVIYO_DUCKDB_PATH", path)

    with pytest.raises(InvalidSetting, match=r"^KLAVIYO_DUCKDB_PATH: .* so klaviyo.events is ambiguous. What to do: give the file another name"):
        from_environment()


def test_an_existing_file_with_the_earlier_default_name_is_used_anywhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = str(tmp_path / "shop" / "klaviyo.duckdb")
    file(path)
    monkeypatch.setenv("KLAVIYO_DUCKDB_PATH", path)

    assert from_environment().duckdb_path == path


def test_the_resource_has_every_option_with_its_type_default_and_description() -> None:
    types = get_type_hints(Settings)
    for option in RESOURCE_OPTIONS:
        field = KlaviyoResource.model_fields[option.name]
        assert field.description
        if option.name != "api_key":
            assert (field.default, field.description) == (option.default, f"{option.description}.")
            assert get_type_hints(KlaviyoResource)[option.name] == types[option.name]

    assert set(KlaviyoResource.model_fields) == {option.name for option in RESOURCE_OPTIONS}


@pytest.mark.parametrize(
    "option", [option for option in RESOURCE_OPTIONS if option.name not in {"api_key", "base_url", "allow_http"}], ids=lambda o: o.name
)
def test_an_option_of_the_environment_reaches_the_shipped_code_location(option: Option, monkeypatch: pytest.MonkeyPatch) -> None:
    text = option.example or str(option.default)
    if isinstance(option.kind, Number):
        text = str(float(text) / 2) if not option.kind.whole else str(int(text) - 1)
    monkeypatch.setenv(option.variable, text)

    value = getattr(from_environment(), option.name)
    assert value == option.kind.parse(text, option.variable)
    assert value != option.default or option.name == "revision"


def test_the_options_of_the_client_come_from_the_settings() -> None:
    settings = replace(DEFAULTS, timeout=1.5, concurrency=3, max_retries=0, base_url="https://example.com")

    assert client_settings(settings, max_retries=2) == ClientSettings(base_url="https://example.com", timeout=1.5, concurrency=3, max_retries=2)


def test_the_secrets_are_options_without_a_value_in_the_settings() -> None:
    assert {OPTIONS["api_key"].variable, OPTIONS["field_salt"].variable} == {"KLAVIYO_API_KEY", SALT_VARIABLE}
    assert not {"api_key", "field_salt"} & set(vars(DEFAULTS))
